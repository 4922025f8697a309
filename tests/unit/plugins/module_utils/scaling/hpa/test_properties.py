# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every HPA, whatever it is told, remembers and sees."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.sync import evaluate
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    SECOND,
    Behavior,
    Conditions,
    Controller,
    Hpa,
    Memory,
    Metric,
    Observation,
    Policy,
    Recommendation,
    Rules,
    ScaleEvent,
    SelectPolicy,
    TargetType,
)

CASES = 4000
NOW = 5000 * SECOND


class Case(NamedTuple):
    hpa: Hpa
    controller: Controller
    memory: Memory
    seen: Observation


def cases() -> Iterator[Case]:
    """Random HPAs in random situations; every pod is ready, and no value is below zero."""
    source = random.Random(7)
    for _dummy in range(CASES):
        low = source.randrange(4)
        metrics = tuple(
            Metric(f"m{n}", source.choice(list(TargetType)), source.choice((333, 1000, 5000)))
            for n in range(source.randrange(1, 4))
        )
        behavior = None if source.random() < 0.3 else Behavior(_rules(source), _rules(source))
        spec = source.randrange(14)
        values = tuple(_value(source, metric) for metric in metrics)
        yield Case(
            Hpa(low, max(1, low) + source.randrange(12), metrics, behavior),
            Controller(source.randrange(33, 38), source.choice((0.0, 0.1))),
            _memory(source),
            Observation(NOW, spec, spec, values, spec, spec, source.random() < 0.9),
        )


def _value(source: random.Random, metric: Metric) -> int | None:
    if source.random() < 0.15:
        return None
    return metric.target * source.randrange(14_000 if metric.type is TargetType.AVERAGE_VALUE else 1500) // 1000


def _rules(source: random.Random) -> Rules:
    policies = tuple(
        Policy(source.random() < 0.5, source.randrange(1, 200), source.randrange(1, 700))
        for _dummy in range(source.randrange(1, 4))
    )
    return Rules(source.choice((0, 60, 300)), source.choice(list(SelectPolicy)), policies)


def _memory(source: random.Random) -> Memory:
    def events() -> tuple[ScaleEvent, ...]:
        return tuple(ScaleEvent(source.randrange(1, 6), at()) for _dummy in range(source.randrange(4)))

    def at() -> int:
        return NOW - source.randrange(1000) * SECOND

    known = tuple(Recommendation(source.randrange(14), at()) for _dummy in range(source.randrange(6)))
    return Memory(known, events(), events(), Conditions(scaled_to_zero=source.random() < 0.5))


def test_a_count_that_is_written_is_within_the_bounds() -> None:
    """What stays outside is what is not written: a zero that is left alone, and what the API server refuses."""
    written = 0
    for hpa, controller, memory, seen in cases():
        desired = evaluate(hpa, controller, memory, seen).desired
        if desired == seen.spec:
            bounded = hpa.min_replicas <= desired <= hpa.max_replicas
            assert bounded or desired == 0 or not seen.writable, (hpa, controller, memory, seen)
        else:
            assert hpa.min_replicas <= desired <= hpa.max_replicas, (hpa, controller, memory, seen)
            written += 1
    assert written > CASES / 4


def test_more_demand_never_gives_fewer_replicas() -> None:
    """With the same memory this holds inside windows too.

    Not for a Value while pods load (its ratio is multiplied by ready pods outside of the tolerance, and is not looked
    at inside), nor for values below zero, which ask for the maximum.
    """
    source, more = random.Random(8), 0
    for hpa, controller, memory, seen in cases():
        raised = tuple(value if value is None else value + source.choice((0, 1, 500, 30_000)) for value in seen.values)
        low = evaluate(hpa, controller, memory, seen).desired
        high = evaluate(hpa, controller, memory, seen._replace(values=raised)).desired
        assert high >= low, (hpa, controller, memory, seen, raised)
        more += high > low
    assert more > CASES / 20


def test_a_lost_metric_never_gives_fewer_replicas_than_there_are() -> None:
    """As long as the count is within its bounds."""
    for hpa, controller, memory, seen in cases():
        if None in seen.values and seen.spec <= hpa.max_replicas:
            assert evaluate(hpa, controller, memory, seen).desired >= seen.spec, (hpa, seen)


def test_the_same_inputs_give_the_same_outcome_and_stay_as_they_are() -> None:
    for case in cases():
        before = repr(case)
        assert evaluate(*case) == evaluate(*case)
        assert repr(case) == before
