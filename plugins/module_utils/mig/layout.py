# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each GPU of a node is cut into: from the declaration, checked, to what the node then offers."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..fleet.fields import Problems
from ..fleet.fields import nearest as nearest_word
from ..fleet.slices import GpuSlices, Mig, MigStrategy
from .geometry import nearest, place
from .profiles import MIG_GPUS, MigGpu, refusal, resource_of

#: Resource of GPUs that are not cut, and of every slice with the strategy single (k8s-device-plugin v0.20.0).
GPU_RESOURCE = "nvidia.com/gpu"
#: By compute slices, what mig-parted v0.15 puts on a GPU of 7 or 4 of them for all-balanced (pkg/mig/builder).
_BALANCED = {7: {1: 2, 2: 1, 3: 1}, 4: {1: 2, 2: 1}}
#: Longest value of a label: k8s.io/apimachinery v0.35 pkg/util/validation.
_LABEL_LENGTH = 63
#: Feasible layouts that an error offers.
_OFFERED = 3

#: Counts by profile; None where MIG is off.
Slices = Optional[Mapping[str, int]]


@dataclass(frozen=True)
class NodeLayout:
    """The slices of each GPU of a node, by its index; an empty mapping has MIG on and no slices."""

    gpus: tuple[Slices, ...]

    def entries(self) -> list[dict[str, Any]]:
        """The layout as entries of a mig-parted configuration (api/spec/v1 of v0.15.0), without device filters."""
        kinds: list[Slices] = []
        for slices in self.gpus:
            if slices not in kinds:
                kinds.append(slices)
        return [
            _entry(kind, "all" if len(kinds) == 1 else [i for i, slices in enumerate(self.gpus) if slices == kind])
            for kind in kinds
        ]


def _entry(slices: Slices, devices: Any) -> dict[str, Any]:
    entry = {"devices": devices, "mig-enabled": slices is not None}
    return entry if slices is None else {**entry, "mig-devices": dict(sorted(slices.items()))}


def named(gpu: MigGpu) -> dict[str, Slices]:
    """What each name that mig-parted v0.15 generates for a GPU stands for (pkg/mig/builder)."""
    plain = {profile.compute: profile.name for profile in gpu.plain}
    return {
        "all-disabled": None,
        "all-enabled": {},
        "all-balanced": {plain[compute]: count for compute, count in _BALANCED[max(plain)].items()},
        **{_all(profile.name): {profile.name: profile.most} for profile in gpu.profiles},
    }


def layout_of(mig: Mig, gpu: MigGpu, count: int, path: str, problems: Problems) -> Optional[NodeLayout]:
    """The declared layout of a node with ``count`` such GPUs; None after reporting why it cannot be.

    ``path`` is that of the declaration. GPUs that no entry names stay whole.
    """
    before = len(problems.findings)
    gpus: list[Slices] = [None] * count
    taken: set[int] = set()
    for index, entry in enumerate(mig.layout):
        where = f"{path}.layout" if mig.layout == (GpuSlices(entry.slices),) else f"{path}.layout[{index}]"
        slices = _resolved(entry.slices, gpu, where, problems)
        for device in entry.devices or range(count):
            if device >= count:
                problems.add(f"{where}.devices", f"has GPU {device}, and a node has {count}", "Count from 0.")
                break
            if device in taken:
                problems.add(f"{where}.devices", f"gives slices to GPU {device} once more", "Name each GPU once.")
                break
            taken.add(device)
            gpus[device] = slices
    if len(problems.findings) > before:
        return None
    layout = NodeLayout(tuple(gpus))
    if mig.strategy is MigStrategy.SINGLE and not _equal(layout):
        problems.add(
            f"{path}.strategy",
            "is single, and with it a node offers GPUs only if each has slices and all are of one profile",
            "Use the strategy mixed, or the same profile on every GPU.",
        )
        return None
    return layout


def strategy_of(mig: Mig, layout: NodeLayout) -> MigStrategy:
    """The declared strategy, or the one that suits a layout."""
    return mig.strategy or (MigStrategy.SINGLE if _equal(layout) else MigStrategy.MIXED)


def resources(layout: NodeLayout, strategy: MigStrategy) -> dict[str, int]:
    """What a node with this layout has allocatable, without sharing; all that is not named is absent or 0."""
    amounts: Counter[str] = Counter()
    for slices in layout.gpus:
        if slices is None:
            amounts[GPU_RESOURCE] += 1
        for name, count in (slices or {}).items():
            amounts[GPU_RESOURCE if strategy is MigStrategy.SINGLE else resource_of(name)] += count
    return dict(amounts)


def config_name(layout: NodeLayout) -> str:
    """The name of a layout in the configuration of mig-manager, and value of its label.

    Another layout has another name, because mig-manager acts on nothing but a label that changes.
    """
    entries = layout.entries()
    if entries == [_entry(None, "all")]:
        return "all-disabled"
    digest = hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()[:8]
    words = "_".join(_label_words(entry.get("mig-devices")) for entry in entries)
    return f"gpufleet-{words[: _LABEL_LENGTH - len('gpufleet--') - len(digest)]}-{digest}"


def is_mode_change(before: NodeLayout, after: NodeLayout) -> bool:
    """Whether MIG goes on or off on any GPU: mig-parted v0.15 then clears and resets all GPUs of the node."""
    return [slices is None for slices in before.gpus] != [slices is None for slices in after.gpus]


def written(slices: Mapping[str, int]) -> str:
    """Slices as a person writes them: 2x1g.10gb + 1x3g.40gb."""
    return " + ".join(f"{count}x{name}" for name, count in slices.items())


def _equal(layout: NodeLayout) -> bool:
    """Whether the strategy single can name the slices: every GPU has some, all of one profile, or none is cut."""
    if all(slices is None for slices in layout.gpus):
        return True
    return all(layout.gpus) and len({name for slices in layout.gpus for name in slices or ()}) == 1


def _resolved(declared: Any, gpu: MigGpu, path: str, problems: Problems) -> Slices:
    """The slices of one GPU as they are to be, after reporting what is wrong with them."""
    if isinstance(declared, str):
        return _by_name(declared, gpu, path, problems)
    if not declared:
        return None
    gpu = gpu.speaking(declared)
    known = [profile.name for profile in gpu.profiles]
    unknown = [name for name in declared if name not in known]
    for name in unknown:
        problems.add(f"{path}.{name}", *_unknown(name, gpu, known))
    if not unknown and place(gpu, declared) is None:
        offers = "; or ".join(written(layout) for layout in nearest(gpu, declared)[:_OFFERED])
        problems.add(path, f"{written(declared)} do not fit on one {gpu.name}", f"Nearest that fit: {offers}.")
    return dict(declared)


def _by_name(name: str, gpu: MigGpu, path: str, problems: Problems) -> Slices:
    plain = name.replace("+", ".")
    slices = named(gpu.speaking({new for _dummy, new in gpu.renamed if _all(new) == plain}))
    if plain not in slices:
        reason, fix = _unknown(name, gpu, list(slices))
        problems.add(path, reason, fix)
    return slices.get(plain)


def _unknown(word: str, gpu: MigGpu, known: list[str]) -> tuple[str, str]:
    """Why a profile, or a name of slices, cannot be had on a GPU, and what to do."""
    twin = dict(gpu.renamed).get(word)
    if twin in known:
        return f"{word!r} is what another driver calls {twin}", "Use the names of one driver."
    fix = nearest_word(word, known)
    profile = word[len("all-") :] if word.startswith("all-") else word
    others = [other.name for other in MIG_GPUS if word in _words(other)]
    reason = refusal(profile)
    if reason and not others and (word == profile or profile[:1].isdigit()):
        return f"{word!r} {reason}", fix
    kind = "profile" if word == profile else "layout"
    return f"{word!r} is no {kind} of {gpu.name}{', but of ' if others else ''}{', '.join(others)}", fix


def _words(gpu: MigGpu) -> set[str]:
    """All names of profiles and layouts that a GPU has with any driver."""
    profiles = {profile.name for profile in gpu.profiles} | {new for _dummy, new in gpu.renamed}
    return {*named(gpu), *profiles, *map(_all, profiles)}


def _all(profile: str) -> str:
    return f"all-{profile.replace('+', '.')}"


def _label_words(slices: Slices) -> str:
    if not slices:
        return "whole" if slices is None else "empty"
    return "_".join(f"{count}x{name.replace('+', '.')}" for name, count in slices.items())
