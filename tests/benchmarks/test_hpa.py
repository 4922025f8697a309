# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HPA engine: a million steps beside the real controller, and how many decisions a second."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.sync import evaluate
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    SECOND,
    Behavior,
    Controller,
    Hpa,
    Memory,
    Metric,
    Observation,
    Policy,
    Rules,
    SelectPolicy,
    TargetType,
)

from oracle.differences import MINOR, compare
from oracle.scenarios import Generator
from testbed import build

_SEEDS = range(10)
_STEPS = 100_000
_EVALUATIONS = 20_000
_ROUNDS = 5

_METRICS = (
    Metric("demand", TargetType.AVERAGE_VALUE, 5000),
    Metric("cache", TargetType.AVERAGE_VALUE, 850),
    Metric("latency", TargetType.VALUE, 1000),
    Metric("tokens", TargetType.AVERAGE_VALUE, 100_000),
)
_BEHAVIOR = Behavior(
    Rules(0, SelectPolicy.MAX, (Policy(False, 4, 15), Policy(True, 100, 15))),
    Rules(600, SelectPolicy.MAX, (Policy(False, 1, 300),)),
)


def test_a_million_steps_are_decided_as_by_the_real_controller() -> None:
    oracle, hit, compared = build.executables()["hpa-oracle"], Counter[str](), 0
    for seed in _SEEDS:
        started, generator = time.monotonic(), Generator(seed, MINOR)
        compared += compare(oracle, generator, _STEPS)
        hit += generator.edges.hit
        print(f"seed {seed}: {compared} steps, no difference, {time.monotonic() - started:.0f} s", flush=True)
        assert not generator.edges.missed()
    assert compared >= len(_SEEDS) * _STEPS
    print("\n".join(f"{count:9} {name}" for name, count in sorted(hit.items())))


@pytest.mark.parametrize("behavior", [None, _BEHAVIOR], ids=["plain", "behavior"])
def test_fifty_thousand_evaluations_a_second(behavior: Behavior | None) -> None:
    """Of four metrics, on one core, while load rises and falls and windows are full."""
    best = max(_rate(Hpa(1, 20, _METRICS, behavior)) for _ in range(_ROUNDS))
    print(f"{best:,.0f} evaluations a second")
    assert best >= 50_000


def _rate(hpa: Hpa) -> float:
    memory, spec, controller = Memory(), 4, Controller()
    started = time.process_time()
    for number in range(_EVALUATIONS):
        load = number * 7 % 40
        values = (load * 2000, load * 300, 900 + load, load * 10_000)
        outcome = evaluate(hpa, controller, memory, Observation(number * 15 * SECOND, spec, spec, values, spec, spec))
        memory, spec = outcome.memory, outcome.desired
    return _EVALUATIONS / (time.process_time() - started)
