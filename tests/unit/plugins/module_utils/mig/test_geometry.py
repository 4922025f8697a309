# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fits on a GPU, against brute force over all placements."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.geometry import addable, maximal, nearest, place
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.profiles import MIG_GPUS, MigGpu, refusal

BY_NAME = {gpu.name: gpu for gpu in MIG_GPUS}
H100 = BY_NAME["h100-80gb"]


@pytest.fixture(params=MIG_GPUS, ids=lambda gpu: gpu.name)
def gpu(request: pytest.FixtureRequest) -> MigGpu:
    found: MigGpu = request.param
    return found


def every_feasible(gpu: MigGpu) -> set[frozenset[tuple[str, int]]]:
    """By putting down every slice at every free place, without any cleverness."""
    found: set[frozenset[tuple[str, int]]] = set()
    seen: set[tuple[int, tuple[tuple[str, int], ...]]] = set()

    def put(taken: int, counts: dict[str, int]) -> None:
        key = (taken, tuple(sorted(counts.items())))
        if key in seen:
            return
        seen.add(key)
        found.add(frozenset(counts.items()))
        for profile in gpu.profiles:
            if counts.get(profile.name, 0) == profile.most:
                continue
            for start in profile.starts:
                mask = sum(1 << slot for slot in range(start, start + profile.size))
                if not taken & mask:
                    put(taken | mask, {**counts, profile.name: counts.get(profile.name, 0) + 1})

    put(0, {})
    return found


def every_multiset(gpu: MigGpu) -> Iterator[Counter[str]]:
    """Of up to one slice more than the GPU could hold of its smallest; a larger one has one of these in it."""
    slots = max(start + profile.size for profile in gpu.profiles for start in profile.starts)
    most = slots // min(profile.size for profile in gpu.profiles)
    names = [profile.name for profile in gpu.profiles]
    for size in range(most + 2):
        yield from map(Counter, itertools.combinations_with_replacement(names, size))


def test_placement_is_brute_force_over_all_multisets(gpu: MigGpu) -> None:
    feasible = every_feasible(gpu)
    layouts = list(every_multiset(gpu))
    assert feasible <= {frozenset(layout.items()) for layout in layouts}
    wrong = [
        layout for layout in layouts if (place(gpu, layout) is not None) != (frozenset(layout.items()) in feasible)
    ]
    assert wrong == []


def test_maximal_and_nearest_layouts_are_those_of_brute_force(gpu: MigGpu) -> None:
    feasible = [Counter(dict(counts)) for counts in every_feasible(gpu)]
    full = [layout for layout in feasible if not any(layout < other for other in feasible)]
    assert sorted(sorted(layout.items()) for layout in maximal(gpu)) == sorted(sorted(one.items()) for one in full)
    for asked in ({gpu.profiles[0].name: 5, gpu.profiles[-1].name: 2}, {gpu.profiles[2].name: 3}):
        wanted = Counter(asked)
        apart = [((wanted - one) + (one - wanted)).total() for one in feasible if one]
        found = [Counter(one) for one in nearest(gpu, asked)]
        assert {((wanted - one) + (one - wanted)).total() for one in found} == {min(apart)}
        assert len(found) == apart.count(min(apart))


def test_places_do_not_overlap(gpu: MigGpu) -> None:
    for layout in maximal(gpu):
        placed = place(gpu, layout)
        assert placed is not None
        slots = [slot for profile, start in placed for slot in range(start, start + profile.size)]
        assert len(slots) == len(set(slots))
        assert all(start in profile.starts for profile, start in placed)


def test_plain_maximal_layouts_of_eight_slices() -> None:
    """The twelve that are known of plain profiles, without media engines and double memory."""
    plain = [profile for profile in H100.profiles if profile.name not in ("1g.10gb+me", "1g.20gb")]
    layouts = {
        "+".join(f"{count}x{name.partition('g')[0]}" for name, count in layout.items())
        for layout in maximal(replace(H100, profiles=tuple(plain)))
    }
    assert layouts == {
        "7x1", "5x1+1x2", "3x1+2x2", "1x1+3x2", "4x1+1x3", "2x1+1x2+1x3", "2x2+1x3", "2x3", "3x1+1x4", "1x1+1x2+1x4",
        "1x3+1x4", "1x7",
    }  # fmt: skip


def test_slices_that_only_add_up_are_refused() -> None:
    assert place(H100, {"3g.40gb": 2, "1g.10gb": 1}) is None
    assert nearest(H100, {"3g.40gb": 2, "1g.10gb": 1})[0] == {"3g.40gb": 2}


def test_what_may_be_added() -> None:
    assert [profile.name for profile in addable(H100, {"4g.40gb": 1, "2g.20gb": 1})] == [
        "1g.10gb",
        "1g.10gb+me",
        "1g.20gb",
    ]
    assert addable(H100, {"7g.80gb": 1}) == []


@pytest.mark.parametrize(
    ("name", "why"), [("1c.2g.20gb", "compute instance"), ("half", "not written"), ("1g.10", "not")]
)
def test_words_that_are_no_profile(name: str, why: str) -> None:
    assert why in refusal(name)


def test_every_profile_of_the_table_is_one(gpu: MigGpu) -> None:
    assert [profile.name for profile in gpu.profiles if refusal(profile.name)] == []
