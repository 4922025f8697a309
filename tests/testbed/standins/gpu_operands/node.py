# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node should look like while its GPUs come up, as patches of what it looks like."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.api import Json

from .. import timestamps
from . import products
from .bring_up import Devices

GPU = "nvidia.com/gpu"
# How many GPUs the machine has, whatever is registered of them; set here from what the node was born with.
GPUS_ANNOTATION = "testbed.gpufleet.io/gpus"
# When the last of them became allocatable (MicroTime, never early); absent while some are missing.
FULL_AT_ANNOTATION = "testbed.gpufleet.io/gpu-full-at"
READY_CONDITION = "nvidia.com/GPUReady"
#: What the device plugin reports, by resource.
Registered = Mapping[str, Devices]


def gpus(node: Json) -> int:
    """GPUs of the machine: by annotation, else what a node that was never touched was born with."""
    annotated = annotations_of(node).get(GPUS_ANNOTATION)
    return int(annotated if annotated is not None else node["status"].get("allocatable", {}).get(GPU, 0))


def age(node: Json) -> float:
    """Seconds since the node joined."""
    return timestamps.since(node["metadata"]["creationTimestamp"])


def annotations_of(node: Json) -> Mapping[str, str]:
    found: Mapping[str, str] = node["metadata"].get("annotations", {})
    return found


def device_patch(node: Json, devices: Devices | None, registered: Registered) -> Json | None:
    """Patch of node and status that sets what is registered, takes the ready condition back unless all is there.

    What the device plugin no longer registers, the kubelet keeps at 0; it goes only with the plugin's first start.
    """
    expected = gpus(node)
    full = devices is not None and devices.healthy == expected
    allocatable, capacity = (node["status"].get(each, {}) for each in ("allocatable", "capacity"))
    gone = None if devices is None else "0"
    names = {name for name in (*allocatable, *capacity) if name.startswith("nvidia.com/")}
    healthy = dict.fromkeys(names, gone) | {name: str(each.healthy) for name, each in registered.items()}
    known = dict.fromkeys(names, gone) | {name: str(each.registered) for name, each in registered.items()}
    as_wanted = _shows(allocatable, healthy) and _shows(capacity, known)
    if as_wanted and (full or ready(node) == "False") and GPUS_ANNOTATION in annotations_of(node):
        return None
    patch: Json = {
        "metadata": {"annotations": {GPUS_ANNOTATION: str(expected)}},
        "status": {"allocatable": healthy, "capacity": known},
    }
    if not full:
        patch["metadata"]["annotations"][FULL_AT_ANNOTATION] = None
        patch["status"]["conditions"] = [_condition(node, "False")]
    return patch


def full_patch(node: Json, devices: Devices | None, registered: Registered) -> Json | None:
    """Patch for a node whose last GPU is known to be allocatable: says so, and since when."""
    if devices is None or devices.healthy != gpus(node) or ready(node) == "True":
        return None
    if device_patch(node, devices, registered):
        return None
    return {
        "metadata": {"annotations": {FULL_AT_ANNOTATION: timestamps.now_micro()}},
        "status": {"conditions": [_condition(node, "True")]},
    }


def label_patch(node: Json, features: Mapping[str, str] | None) -> Json | None:
    """Patch that sets the labels of discovery and, where GFD runs, its ``features`` and no other of its kind."""
    product = products.product_of(node)
    have = node["metadata"].get("labels", {})
    found = products.discovered_labels(product)
    # mig-manager pauses operands by these labels: the operator gives them only to nodes that lack them.
    wanted: dict[str, str | None] = {
        name: value for name, value in found.items() if not (name in have and name.startswith(products.DEPLOY))
    }
    if features is not None:
        wanted |= {name: None for name in have if products.is_feature(name)} | dict(features)
    differs = {name: value for name, value in wanted.items() if have.get(name) != value}
    return {"metadata": {"labels": differs}} if differs else None


def deployed(node: Json, operand: str) -> bool:
    """Whether the operand may run there: neither switched off nor paused."""
    return bool(node["metadata"].get("labels", {}).get(f"{products.DEPLOY}{operand}", "true") == "true")


def ready(node: Json) -> str | None:
    """Status of the ready condition, None when it is not there."""
    conditions = node["status"].get("conditions", ())
    return next((each["status"] for each in conditions if each["type"] == READY_CONDITION), None)


def _shows(have: Mapping[str, str], wanted: Mapping[str, str | None]) -> bool:
    return all(have.get(name) == value for name, value in wanted.items())


def _condition(node: Json, status: str) -> Json:
    """The condition of NVIDIA's example for the node readiness controller; there node-problem-detector writes it."""
    known: Json = next((each for each in node["status"].get("conditions", ()) if each["type"] == READY_CONDITION), {})
    now = timestamps.now()
    return {
        "type": READY_CONDITION,
        "status": status,
        "reason": "GPUReady" if status == "True" else "GPUNotReady",
        "message": f"{gpus(node)} GPUs expected",
        "lastHeartbeatTime": now,
        "lastTransitionTime": known["lastTransitionTime"] if known.get("status") == status else now,
    }
