# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a set of slices fits on a GPU, by where they may start: adding up slices is not enough.

Seven compute slices hold 2x3g and 1x1g by their number, but two 3g leave no memory slice for the 1g.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Optional

from .profiles import MigGpu, Profile

#: How many slices of each profile, by its name.
Layout = Mapping[str, int]
_Counts = tuple[int, ...]


def place(gpu: MigGpu, layout: Layout) -> Optional[list[tuple[Profile, int]]]:
    """Where each slice of a layout may start; None where they do not fit together. Raises KeyError: unknown profile."""
    wanted = [gpu.profile(name) for name, count in layout.items() for _dummy in range(count)]
    if any(count > gpu.profile(name).most for name, count in layout.items()):
        return None
    # The largest first: they have the fewest places.
    return _place(sorted(wanted, key=lambda profile: (-profile.size, len(profile.starts), profile)), 0, 0)


def addable(gpu: MigGpu, layout: Layout) -> list[Profile]:
    """Profiles of which one more fits beside a layout."""
    return [
        profile
        for profile in gpu.profiles
        if place(gpu, {**layout, profile.name: layout.get(profile.name, 0) + 1}) is not None
    ]


def maximal(gpu: MigGpu) -> list[dict[str, int]]:
    """Every layout to which nothing can be added, the one with the fewest slices first."""
    known = _feasible(gpu)
    full = [counts for counts in known if not any(_raised(counts, index) in known for index in range(len(counts)))]
    return [_named(gpu, counts) for counts in sorted(full, key=lambda counts: (sum(counts), counts))]


def nearest(gpu: MigGpu, layout: Layout) -> list[dict[str, int]]:
    """The feasible layouts that differ from a layout in the fewest slices, those of larger slices first."""
    wanted = tuple(layout.get(profile.name, 0) for profile in gpu.profiles)

    def distance(counts: _Counts) -> int:
        return sum(abs(mine - theirs) for mine, theirs in zip(counts, wanted))

    known = [counts for counts in _feasible(gpu) if any(counts)]
    least = min(map(distance, known))
    best = [counts for counts in known if distance(counts) == least]
    return [_named(gpu, counts) for counts in sorted(best)]


def _place(rest: list[Profile], taken: int, after: int) -> Optional[list[tuple[Profile, int]]]:
    """Places for the rest of the slices beside the taken memory slices (a bit each); equal ones in rising order."""
    if not rest:
        return []
    profile = rest[0]
    same = len(rest) > 1 and rest[1] == profile
    for start in profile.starts:
        mask = ((1 << profile.size) - 1) << start
        if start < after or taken & mask:
            continue
        placed = _place(rest[1:], taken | mask, start + 1 if same else 0)
        if placed is not None:
            return [(profile, start), *placed]
    return None


@cache
def _feasible(gpu: MigGpu) -> frozenset[_Counts]:
    """Every layout that fits, the empty one among them, as counts in the order of the profiles of the GPU."""
    found: set[_Counts] = set()
    new = {(0,) * len(gpu.profiles)}
    while new:
        found |= new
        raised = {_raised(counts, index) for counts in new for index in range(len(counts))} - found
        new = {counts for counts in raised if place(gpu, _named(gpu, counts)) is not None}
    return frozenset(found)


def _raised(counts: _Counts, index: int) -> _Counts:
    return (*counts[:index], counts[index] + 1, *counts[index + 1 :])


def _named(gpu: MigGpu, counts: _Counts) -> dict[str, int]:
    return {profile.name: count for profile, count in zip(gpu.profiles, counts) if count}
