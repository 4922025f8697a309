# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole syncs: what is remembered from one to the next, zero, errors, and the conditions."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.sync import evaluate
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    SECOND,
    Behavior,
    Condition,
    Conditions,
    Controller,
    Hpa,
    Memory,
    Metric,
    Observation,
    Policy,
    Rules,
    SelectPolicy,
    Source,
    TargetType,
)

EMPTY = Memory()
DEMAND = Metric("demand", TargetType.AVERAGE_VALUE, 1000)
CACHE = Metric("cache", TargetType.VALUE, 1000)
OF_PODS = Metric("use", TargetType.AVERAGE_VALUE, 1000, Source.PODS)
DEFAULTS = Behavior(
    Rules(0, SelectPolicy.MAX, (Policy(False, 4, 15), Policy(True, 100, 15))),
    Rules(None, SelectPolicy.MAX, (Policy(True, 100, 15),)),
)


def played(hpa: Hpa, demands: list[int], start: int, memory: Memory = EMPTY) -> list[int]:
    """The counts that follow, one sync every 15 s, when every pod starts at once."""
    counts, spec = [], start
    for number, demand in enumerate(demands):
        seen = Observation(number * 15 * SECOND, spec, spec, (demand * 1000,), spec, spec)
        outcome = evaluate(hpa, Controller(), memory, seen)
        memory, spec = outcome.memory, outcome.desired
        counts.append(spec)
    return counts


def zeroed(hpa: Hpa, controller: Controller, memory: Memory, demand: int) -> tuple[int, Conditions]:
    outcome = evaluate(hpa, controller, memory, Observation(0, 0, 0, (demand * 1000,) * len(hpa.metrics)))
    return outcome.desired, outcome.memory.conditions


def test_after_a_wake_up_only_a_behavior_keeps_old_demand_away() -> None:
    """KEDA takes eight pods to zero and wakes one: without a behaviour what was asked for before still counts."""
    eight, plain = 8 * [8], Hpa(1, 10, (DEMAND,))
    for behavior, expected in ((None, [4, 8]), (DEFAULTS, [1, 1])):
        hpa = Hpa(1, 10, plain.metrics, behavior)
        memory = evaluate(hpa, Controller(), Memory(), Observation(-15 * SECOND, 8, 8, (8000,))).memory
        assert played(hpa, [1, 1], 1, memory=memory) == expected
    assert played(plain, eight, 8) == eight


def test_the_first_step_from_one_differs_with_a_behavior() -> None:
    assert played(Hpa(1, 99, (DEMAND,)), [50, 50], 1) == [4, 8]
    assert played(Hpa(1, 99, (DEMAND,), DEFAULTS), [50, 50], 1) == [5, 10]


def test_changes_whose_place_was_taken_count_no_more() -> None:
    up = Rules(0, SelectPolicy.MAX, (Policy(False, 4, 15),))
    down = Rules(0, SelectPolicy.MAX, (Policy(False, 4, 600),))
    hpa = Hpa(1, 99, (DEMAND,), Behavior(up, down))
    counts, spec, memory = [], 2, Memory()
    for at, demand in ((0, 50), (16, 50), (32, 50), (48, 1)):
        outcome = evaluate(hpa, Controller(), memory, Observation(at * SECOND, spec, spec, (demand * 1000,)))
        memory, spec = outcome.memory, outcome.desired
        counts.append(spec)
    # With every change of the last 600 s remembered the limit would be 2 - 4, and the count 1.
    assert counts == [6, 10, 14, 6]


def test_the_highest_proposal_counts_and_a_missing_one_only_stops_a_fall() -> None:
    hpa = Hpa(1, 99, (DEMAND, CACHE))
    two = {"status": 4, "ready": 4, "pods": 4}
    assert evaluate(hpa, Controller(), Memory(), Observation(0, 4, values=(2000, 1500), **two)).proposed == 6
    up = evaluate(hpa, Controller(), Memory(), Observation(0, 4, values=(6000, None), **two))
    assert (up.desired, up.memory.conditions.active) == (6, Condition(True, "ValidMetricFound"))
    down = evaluate(hpa, Controller(), Memory(), Observation(0, 4, values=(1000, None), **two))
    assert (down.desired, down.proposed) == (4, None)
    assert down.memory.conditions == Conditions(
        Condition(True, "SucceededGetScale"), Condition(False, "FailedGetExternalMetric")
    )


def test_the_first_metric_that_fails_names_the_reason() -> None:
    hpa = Hpa(1, 9, (DEMAND, OF_PODS, CACHE))
    outcome = evaluate(hpa, Controller(), Memory(), Observation(0, 4, 4, (1000, None, None)))
    assert outcome.memory.conditions.active == Condition(False, "FailedGetPodsMetric")


@pytest.mark.parametrize(("spec", "expected"), [(12, 9), (1, 2)], ids=["above", "below"])
def test_a_count_outside_the_bounds_is_moved_to_them_whatever_metrics_say(spec: int, expected: int) -> None:
    hpa = Hpa(2, 9, (DEMAND,), DEFAULTS)
    outcome = evaluate(hpa, Controller(), Memory(), Observation(0, spec, spec, (None,)))
    assert (outcome.desired, outcome.proposals) == (expected, ())
    assert len(outcome.memory.recommendations) == 1
    assert len(outcome.memory.ups + outcome.memory.downs) == 1


def test_a_write_that_is_refused_is_remembered_as_a_wish_only() -> None:
    hpa = Hpa(1, 9, (DEMAND,), DEFAULTS)
    outcome = evaluate(hpa, Controller(), Memory(), Observation(0, 4, 4, (6000,), writable=False))
    assert (outcome.desired, outcome.proposed) == (4, 6)
    assert outcome.memory.conditions.able == Condition(False, "FailedUpdateScale")
    assert [each.replicas for each in outcome.memory.recommendations] == [4, 6]
    assert outcome.memory.ups == ()


def test_twice_a_huge_count_overflows_and_is_refused() -> None:
    huge = Hpa(1, 2**31 - 1, (DEMAND,))
    outcome = evaluate(huge, Controller(), Memory(), Observation(0, 2**30, 2**30, (2**42,)))
    assert (outcome.desired, outcome.memory.conditions.able) == (2**30, Condition(False, "FailedUpdateScale"))


def test_without_a_behavior_changes_are_no_events() -> None:
    outcome = evaluate(Hpa(1, 9, (DEMAND,)), Controller(), Memory(), Observation(0, 4, 4, (6000,)))
    assert (outcome.desired, outcome.memory.ups) == (6, ())


def test_a_zero_is_left_alone_up_to_1_35_unless_the_minimum_is_zero() -> None:
    desired, conditions = zeroed(Hpa(1, 9, (DEMAND,)), Controller(minor=35), Memory(), 3)
    assert (desired, conditions.active) == (0, Condition(False, "ScalingDisabled"))
    assert zeroed(Hpa(0, 9, (DEMAND,)), Controller(minor=35), Memory(), 3)[0] == 3


def test_a_zero_that_the_hpa_made_is_left_since_1_37() -> None:
    hpa, controller = Hpa(0, 9, (DEMAND,), DEFAULTS), Controller(minor=37, downscale_window=0)
    # Somebody else's zero.
    assert zeroed(hpa, controller, Memory(), 3)[0] == 0
    own = evaluate(hpa, controller, Memory(), Observation(0, 2, 2, (0,), 2, 2))
    assert (own.desired, own.memory.conditions.scaled_to_zero) == (0, True)
    assert zeroed(hpa, controller, own.memory, 3)[0] == 3
    # The minimum was raised meanwhile.
    raised = Hpa(6, 9, hpa.metrics, DEFAULTS)
    desired, conditions = zeroed(raised, controller, own.memory, 3)
    assert (desired, conditions.scaled_to_zero) == (6, False)
    assert conditions.limited == Condition(False, "DesiredWithinRange")
    # A minimum of zero wakes by a metric that exists without pods only.
    assert zeroed(Hpa(0, 9, (OF_PODS,)), controller, own.memory, 0)[0] == 0


@pytest.mark.parametrize(
    ("minor", "gate", "expected"), [(36, None, False), (36, True, True), (37, None, True), (37, False, False)]
)
def test_the_feature_gate_decides_from_1_36_on(minor: int, gate: bool | None, expected: bool) -> None:
    controller = Controller(minor=minor, downscale_window=0, scale_to_zero=gate)
    outcome = evaluate(Hpa(0, 9, (DEMAND,), DEFAULTS), controller, Memory(), Observation(0, 2, 2, (0,), 2, 2))
    assert (outcome.desired, outcome.memory.conditions.scaled_to_zero) == (0, expected)


@pytest.mark.parametrize(
    ("demand", "spec", "expected"),
    [
        (3, 4, Conditions(Condition(True, "ScaleDownStabilized"), limited=Condition(False, "DesiredWithinRange"))),
        (4, 4, Conditions(Condition(True, "ReadyForNewScale"), limited=Condition(False, "DesiredWithinRange"))),
        (50, 4, Conditions(Condition(True, "SucceededRescale"), limited=Condition(True, "ScaleUpLimit"))),
        (50, 8, Conditions(Condition(True, "SucceededRescale"), limited=Condition(True, "TooManyReplicas"))),
    ],
    ids=["stabilized", "ready", "limited", "maximum"],
)
@pytest.mark.parametrize("behavior", [None, DEFAULTS], ids=["plain", "behavior"])
def test_conditions_tell_what_acted(demand: int, spec: int, expected: Conditions, behavior: Behavior | None) -> None:
    hpa = Hpa(1, 10, (DEMAND,), behavior)
    outcome = evaluate(hpa, Controller(), Memory(), Observation(0, spec, spec, (demand * 1000,)))
    assert outcome.memory.conditions == expected._replace(active=Condition(True, "ValidMetricFound"))
