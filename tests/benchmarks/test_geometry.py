# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long it takes to say whether slices fit on a GPU, for every set of slices of every GPU."""

from __future__ import annotations

import itertools
import random
import time

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.geometry import place
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.profiles import MIG_GPUS, MigGpu

_MOST_S = 0.001
_SAMPLE = 20_000


def layouts(gpu: MigGpu) -> list[dict[str, int]]:
    """All sets of slices with up to one of each more than there may be, or a sample of them."""
    ranges = [range(profile.most + 2) for profile in gpu.profiles]
    names = [profile.name for profile in gpu.profiles]
    size = 1
    for counts in ranges:
        size *= len(counts)
    if size <= _SAMPLE:
        return [dict(zip(names, counts, strict=True)) for counts in itertools.product(*ranges)]
    chosen = random.Random(1)
    return [{name: chosen.choice(counts) for name, counts in zip(names, ranges, strict=True)} for _ in range(_SAMPLE)]


def longest(gpu: MigGpu) -> float:
    """Seconds of the longest check; of each the better of two, so that it is not another process that is measured."""
    return max(min(_timed(gpu, layout), _timed(gpu, layout)) for layout in layouts(gpu))


def _timed(gpu: MigGpu, layout: dict[str, int]) -> float:
    started = time.perf_counter()
    place(gpu, layout)
    return time.perf_counter() - started


def test_a_check_of_any_layout(capsys: pytest.CaptureFixture[str]) -> None:
    found = {gpu.name: longest(gpu) for gpu in MIG_GPUS}
    with capsys.disabled():
        for name, seconds in found.items():
            print(f"\n{name:20} {seconds * 1e6:8.0f} µs", end="")
    assert max(found.values()) < _MOST_S
