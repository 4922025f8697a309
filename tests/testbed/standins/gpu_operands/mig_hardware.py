# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs of a node as they are cut, and what cutting them anew makes of them (mig-parted v0.15.0).

Traps kept: a change of the mode clears every GPU that has MIG on; a layout that cannot be placed ends with its GPU
cleared; a GPU in use stops the walk where it stands, with all before it cleared already.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from testbed.api import Json

from . import mig_tables
from . import node as nodes
from .mig_config import Gpu
from .products import Product

#: How each GPU is cut, as a list of null (MIG off) and of instances by profile.
DEVICES_ANNOTATION = "testbed.gpufleet.io/mig-devices"


def layouts(node: Json) -> list[Gpu]:
    """Of all GPUs by index; MIG is off at first."""
    text = nodes.annotations_of(node).get(DEVICES_ANNOTATION)
    return [None] * nodes.gpus(node) if text is None else list(json.loads(text))


def annotation(gpus: Sequence[Gpu]) -> Json:
    """The patch of a node that keeps them."""
    return {"metadata": {"annotations": {DEVICES_ANNOTATION: json.dumps(gpus)}}}


def applied(gpus: Sequence[Gpu], wanted: Mapping[int, Gpu]) -> bool:
    """Every GPU has to be spoken of."""
    return all(index in wanted and wanted[index] == gpu for index, gpu in enumerate(gpus))


def changes_mode(gpus: Sequence[Gpu], wanted: Mapping[int, Gpu]) -> bool:
    return any((gpus[index] is None) != (gpu is None) for index, gpu in wanted.items())


def with_modes(gpus: Sequence[Gpu], wanted: Mapping[int, Gpu]) -> list[Gpu]:
    """After a change of the mode: as wanted, and no instance left anywhere."""
    modes = [wanted.get(index, gpu) for index, gpu in enumerate(gpus)]
    return [None if mode is None else {} for mode in modes]


def cut(gpus: Sequence[Gpu], wanted: Mapping[int, Gpu], product: Product, in_use: bool) -> tuple[list[Gpu], bool]:
    """The GPUs afterwards, and whether that went well. The one in use is the last that has to change."""
    if in_use:
        return _stopped(gpus, wanted, product), False
    now = with_modes(gpus, wanted) if changes_mode(gpus, wanted) else list(gpus)
    for index, gpu in sorted(wanted.items()):
        if gpu == now[index] or gpu is None:
            continue
        if not mig_tables.fits(product.name, gpu):
            now[index] = {}
            return now, False
        now[index] = gpu
    return now, True


def _stopped(gpus: Sequence[Gpu], wanted: Mapping[int, Gpu], product: Product) -> list[Gpu]:
    """Ampere changes no mode without a reset of all GPUs; Hopper does, GPU by GPU."""
    now = list(gpus)
    *free, busy = sorted(index for index, gpu in wanted.items() if gpu != now[index])
    if changes_mode(gpus, wanted) and product.family == "ampere":
        return now
    for index in free:
        now[index] = None if wanted[index] is None else {}
    now[busy] = _without_first(now[busy])
    return now


def _without_first(gpu: Gpu) -> Gpu:
    if not gpu:
        return gpu
    first, *others = gpu
    return {**({first: gpu[first] - 1} if gpu[first] > 1 else {}), **{name: gpu[name] for name in others}}


def uses_gpu(pods: Iterable[Json], operators: str) -> bool:
    """Whether a process of a pod outside of the operator's namespace holds a GPU, with a request or without."""
    return any(
        pod["metadata"]["namespace"] != operators
        and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        and (pod["spec"].get("runtimeClassName") == "nvidia" or _requests_gpu(pod["spec"]))
        for pod in pods
    )


def _requests_gpu(spec: Json) -> bool:
    containers = [*spec["containers"], *spec.get("initContainers", ())]
    limits = [name for each in containers for name in each.get("resources", {}).get("limits", {})]
    return any(name.startswith("nvidia.com/") for name in limits)
