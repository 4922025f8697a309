# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided, what each metric has to do with it, and which limits were at work until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.decision import Bound, Decision, Limit, Situation
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import SECOND, Memory
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.generated import to_hpa
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.offline import situation_of
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.step import after, step
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.target import decide
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.explained import SITUATIONS
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.situations import (
    NOW,
    behavior,
    given,
    rules,
    scaled_object,
    trigger,
)

START = int(datetime.fromisoformat(NOW).astimezone(UTC).timestamp()) * SECOND


def bound(limit: Limit, before: int, count: int, until: int | None = None) -> Bound:
    """A limit that holds for that many seconds from now."""
    return Bound(limit, before, count, None if until is None else START + until * SECOND)


@pytest.mark.parametrize(
    ("title", "current", "desired", "bounds"),
    [
        ("more demand", 4, 6, []),
        ("within the tolerance, above", 4, 4, [bound(Limit.TOLERANCE, 5, 4)]),
        ("held by the window", 6, 6, [bound(Limit.WINDOW, 4, 6, 180)]),
        ("falls to an older and lower recommendation first", 8, 5, [bound(Limit.WINDOW, 2, 5, 30)]),
        ("a window for the way up", 3, 3, [bound(Limit.WINDOW, 6, 3, 75)]),
        ("held by a window of its own", 6, 6, [bound(Limit.WINDOW, 4, 6, 120)]),
        ("nothing is known of the past", 6, 6, [bound(Limit.WINDOW, 4, 6, 300)]),
        ("a rate that was used in part", 4, 5, [bound(Limit.POLICY, 8, 5, 180)]),
        ("a rate on the way down", 6, 5, [bound(Limit.POLICY, 1, 5, 300)]),
        ("the way up switched off", 3, 3, [bound(Limit.POLICY, 12, 3)]),
        ("the maximum", 8, 8, [bound(Limit.MAX, 12, 8)]),
        ("above the maximum", 11, 8, [bound(Limit.MAX, 11, 8)]),
        ("the minimum", 3, 2, [bound(Limit.MIN, 0, 2)]),
        ("below the minimum", 1, 2, [bound(Limit.MIN, 1, 2)]),
        ("the only metric is missing", 4, 4, [bound(Limit.MISSING_METRIC, 4, 4)]),
        ("one of two metrics is missing, the other asks for less", 4, 4, [bound(Limit.MISSING_METRIC, 2, 4)]),
        ("one of two metrics is missing, the other asks for more", 4, 6, []),
        ("a value while no pod exists", 4, 4, [bound(Limit.MISSING_METRIC, 4, 4)]),
        ("an active fallback", 4, 6, [bound(Limit.FALLBACK, 4, 6)]),
        ("paused", 3, 3, [bound(Limit.PAUSED, 6, 3)]),
        ("paused at a count", 3, 2, [bound(Limit.PAUSED, 6, 2)]),
        ("the way down paused", 6, 6, [bound(Limit.PAUSED, 1, 6)]),
        ("at zero", 0, 0, [bound(Limit.INACTIVE, 0, 0)]),
        ("at zero below the activation value", 0, 0, [bound(Limit.INACTIVE, 1, 0)]),
        ("wakes up", 0, 1, []),
        ("waits before it goes to zero", 2, 1, [bound(Limit.MIN, 0, 1), bound(Limit.COOLDOWN, 0, 1, 180)]),
        ("goes to zero", 2, 0, [bound(Limit.INACTIVE, 2, 0)]),
        ("goes to the idle count", 3, 0, [bound(Limit.IDLE, 3, 0)]),
        ("pods that do not come", 8, 5, [bound(Limit.TOLERANCE, 6, 5)]),
    ],
)
def test_decides_by_its_limits(title: str, current: int, desired: int, bounds: list[Bound]) -> None:
    decision = decide(situation_of(SITUATIONS[title]))
    assert (decision.current, decision.desired, list(decision.bounds)) == (current, desired, bounds)


@pytest.mark.parametrize(
    ("title", "by"),
    [("more demand", "hpa"), ("at zero", "hpa"), ("wakes up", "keda"), ("goes to zero", "keda"), ("paused", "keda")],
)
def test_says_who_writes(title: str, by: str) -> None:
    assert decide(situation_of(SITUATIONS[title])).by == by


@pytest.mark.parametrize(
    ("metric_type", "more", "value", "low", "high"),
    [
        pytest.param("AverageValue", {}, 20, 15, 22, id="rounding up is wider than the tolerance"),
        pytest.param("AverageValue", {"replicas": 20}, 100, 90, 110, id="the tolerance is wider"),
        pytest.param("AverageValue", {"replicas": 1}, 5, 0, 5.5, id="one replica"),
        pytest.param("Value", {}, 5, 3.75, 5.5, id="a value"),
        pytest.param("Value", {"ready": 2}, 5, 4.5, 10, id="a value while replicas load"),
        pytest.param("Value", {"ready": 0}, 5, 4.5, 5.5, id="a value while nobody is ready"),
    ],
)
def test_the_count_stays_between_low_and_high(
    metric_type: str, more: dict[str, Any], value: float, low: float, high: float
) -> None:
    """Just outside it does not: the bands are those of the algorithm itself."""
    scaled = scaled_object(high=40, triggers=[trigger(metric_type=metric_type)])

    def asked(number: float) -> tuple[Decision, int | None]:
        decision = decide(situation_of({**given(4, number, scaled), **more}))
        return decision, decision.triggers[0].proposal

    decision, count = asked(value)
    (one,) = decision.triggers
    assert (one.low, one.high) == pytest.approx((low, high))
    assert asked(high)[1] == count
    assert asked(high + 0.001)[1] != count
    assert asked(low + 0.001)[1] == count
    assert low == 0 or asked(low - 0.001)[1] != count


def test_a_trigger_says_all_of_its_arithmetic() -> None:
    (one,) = decide(situation_of(given(4, 21))).triggers
    assert (one.name, one.metric, one.metric_type) == ("demand", "s0-prometheus", "AverageValue")
    assert (one.threshold, one.value, one.ratio) == (5, 21, pytest.approx(1.05))
    assert (one.exact, one.proposal, one.within_tolerance) == (5, 4, True)
    assert (one.active, one.fallback, one.error) == (True, False, "")


@pytest.mark.parametrize(
    ("value", "within"),
    [(17.999, False), (18, True), (22, True), (22.001, False)],
    ids=["below", "low", "high", "above"],
)
def test_the_edges_are_within_the_tolerance(value: float, within: bool) -> None:
    (one,) = decide(situation_of(given(4, value))).triggers
    assert one.within_tolerance is within


def test_a_rate_ends_only_with_a_move_its_way() -> None:
    """Here the next move is KEDA's, to zero: the demand is high, and yet below the activation threshold."""
    rates = behavior(rules(4, 60, selectPolicy="Disabled"), rules(1, 60))
    scaled = scaled_object(0, triggers=[trigger(activationThreshold="100")], advanced=rates)
    decision = decide(situation_of(given(3, 60, scaled, last_active="2m")))
    assert decision.bounds[0] == bound(Limit.POLICY, 12, 3)
    assert decision.next_count == 0


def test_foretells_a_fallback_after_many_failures() -> None:
    scaled = scaled_object(fallback={"failureThreshold": 60, "replicas": 6, "behavior": "static"})
    decision = decide(situation_of(given(4, None, scaled)))
    # Three failures in 30 s: a poll and two syncs.
    assert (decision.next_change, decision.next_count) == (START + 600 * SECOND, 6)


def test_foretells_a_fallback_from_zero_by_polls_alone() -> None:
    scaled = scaled_object(0, pollingInterval=40, fallback={"failureThreshold": 20, "replicas": 2})
    decision = decide(situation_of(given(0, None, scaled)))
    assert (decision.next_change, decision.next_count) == (START + 20 * 40 * SECOND, 1)


@pytest.mark.parametrize("count", [0, 9])
def test_an_hpa_that_asks_for_no_metric_counts_no_failure(count: int) -> None:
    """At 0 replicas it is off, and beyond its bounds it goes back at once."""
    situation = situation_of(given(count, None, scaled_object(0, fallback={"failureThreshold": 3, "replicas": 2})))
    done = step(situation, to_hpa(situation.scaled))
    assert (done.keda.failures, done.served) == ({"s0-prometheus": 1}, None)


def test_a_pause_forgets_what_the_hpa_remembers() -> None:
    situation = situation_of(SITUATIONS["paused"])
    assert situation.memory.recommendations
    assert step(situation, to_hpa(situation.scaled)).memory == Memory()


def test_a_trigger_that_fell_back_says_why() -> None:
    (one,) = decide(situation_of(SITUATIONS["an active fallback"])).triggers
    assert (one.value, one.fallback, one.error) == (30, True, "the source does not answer")


@pytest.mark.parametrize("title", SITUATIONS)
def test_the_next_move_is_what_every_second_of_both_controllers_brings(title: str) -> None:
    """Both are played for 20 minutes, in another way than decide() does it."""
    situation = situation_of(SITUATIONS[title])
    decision, hpa = decide(situation), to_hpa(situation.scaled)
    moves = list(_moves(situation, hpa, 1200))
    following = moves[0] if moves and decision.desired == decision.current else (moves[1:] or [None])[0]
    expected = (decision.next_change, decision.next_count) if decision.next_change is not None else None
    assert following == expected


def _moves(situation: Situation, hpa: Any, seconds: int) -> Any:
    for second in range(seconds):
        situation = replace(situation, now=START + second * SECOND)
        done = step(situation, hpa, second % 30 == 0, second % 15 == 0)
        if done.desired != situation.spec:
            yield situation.now, done.desired
        situation = after(situation, done, situation.now)
