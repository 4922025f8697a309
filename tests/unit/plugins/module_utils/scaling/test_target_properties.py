# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every decision, whatever the situation."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.decision import Decision, Limit, Situation
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.explain import explain
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    SECOND,
    Memory,
    Recommendation,
    ScaleEvent,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.types import KedaMemory, Reading
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.offline import situation_of
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.target import decide
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.situations import (
    behavior,
    given,
    scaled_object,
    trigger,
)
from hypothesis import assume, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

NOW = 10_000 * SECOND
PLENTY = settings(max_examples=100, deadline=None)
#: Values around the edges of a threshold of 5, in thousandths.
DEMAND = st.one_of(
    st.integers(0, 40_000).map(lambda thousandths: thousandths / 1000),
    st.integers(0, 8).map(lambda count: 5.0 * count),
)
AGES = st.integers(0, 400).map(lambda age: NOW - age * SECOND)
POLICY = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Pods", "Percent"]),
        "value": st.integers(1, 150),
        "periodSeconds": st.sampled_from([15, 60, 360]),
    }
)
RULES = st.fixed_dictionaries(
    {
        "stabilizationWindowSeconds": st.sampled_from([0, 30, 300]),
        "selectPolicy": st.sampled_from(["Max", "Min", "Disabled"]),
        "policies": st.lists(POLICY, min_size=1, max_size=3),
    }
)
MEMORIES = st.builds(
    Memory,
    recommendations=st.lists(st.builds(Recommendation, st.integers(0, 8), AGES), max_size=2).map(tuple),
    ups=st.lists(st.builds(ScaleEvent, st.integers(1, 4), AGES), max_size=2).map(tuple),
    downs=st.lists(st.builds(ScaleEvent, st.integers(1, 4), AGES), max_size=2).map(tuple),
)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Two metrics, with and without a behaviour, a fallback and an idle count, at any count, with any memory."""
    low = draw(st.integers(0, 2))
    high = draw(st.integers(max(low, 1), 5))
    spec = draw(st.integers(0, high + 1))
    more: dict[str, Any] = {"triggers": [trigger(), trigger("queue", "5", activationThreshold="1")]}
    if draw(st.booleans()):
        more["advanced"] = behavior(draw(RULES), draw(RULES))
    if draw(st.booleans()):
        more["fallback"] = {"failureThreshold": 1, "replicas": 2, "behavior": "currentReplicasIfHigher"}
    if low and draw(st.booleans()):
        more["idleReplicaCount"] = 0
    scaled = scaled_object(low, high, **more)
    situation = situation_of(given(spec, {"demand": draw(DEMAND), "queue": draw(DEMAND)}, scaled))
    there = draw(st.integers(0, spec + 2))
    return replace(
        situation,
        now=NOW,
        status=there,
        pods=there,
        ready=draw(st.integers(0, there)),
        memory=draw(MEMORIES),
        keda=KedaMemory(last_active=draw(st.one_of(st.none(), AGES))),
    )


def with_first(situation: Situation, reading: Reading) -> Situation:
    """The situation with another answer for its first metric."""
    return replace(situation, readings=(reading, *situation.readings[1:]))


@PLENTY
@drawn(situations())
def test_is_within_the_bounds(situation: Situation) -> None:
    """Zero, and the idle count, are KEDA's alone: it may go there from anywhere, and nobody else leaves it."""
    scaled, decision = situation.scaled, decide(situation)
    rests = scaled.idle is not None or scaled.min == 0 or situation.spec == 0
    lost = decision.proposed is None and decision.desired == decision.current
    assert decision.desired <= scaled.max or lost
    assert decision.desired >= scaled.min or rests


@PLENTY
@drawn(situations(), DEMAND, DEMAND)
def test_more_demand_never_gives_fewer(situation: Situation, one: float, other: float) -> None:
    less, more = sorted([one, other])
    counts = [decide(with_first(situation, Reading((value,)))).desired for value in (less, more)]
    assert counts[0] <= counts[1]


@PLENTY
@drawn(situations())
def test_is_a_pure_function(situation: Situation) -> None:
    kept = repr(situation)
    assert decide(situation) == decide(situation)
    assert repr(situation) == kept


@PLENTY
@drawn(situations())
def test_a_lost_metric_never_lowers_the_count(situation: Situation) -> None:
    """An active fallback that is higher only may raise it; without one it stays."""
    lost = replace(situation, readings=(Reading(error="lost"),) * len(situation.readings))
    assert decide(lost).desired >= min(situation.spec, situation.scaled.max)


@PLENTY
@drawn(situations())
def test_one_lost_metric_lowers_nothing_that_the_other_holds(situation: Situation) -> None:
    lost = decide(with_first(situation, Reading(error="lost")))
    assume(situation.scaled.min > 0 and situation.scaled.idle is None)
    assert lost.desired >= min(situation.spec, situation.scaled.max)


@PLENTY
@drawn(situations())
def test_limits_lead_from_the_metrics_to_the_count(situation: Situation) -> None:
    """Each begins where the one before it ended, the first at what the metrics ask for, the last ends at the count."""
    decision = decide(situation)
    assume(decision.by == "hpa" and situation.spec > 0)
    chain = [bound for bound in decision.bounds if bound.limit in (Limit.WINDOW, Limit.POLICY, Limit.MIN, Limit.MAX)]
    count = decision.current if decision.proposed is None else decision.proposed
    for bound in chain:
        assert bound.before == count != bound.after
        count = bound.after
    assert count == decision.desired


@PLENTY
@drawn(situations())
def test_the_next_move_is_a_move_in_the_future(situation: Situation) -> None:
    decision = decide(situation)
    assert (decision.next_change is None) == (decision.next_count is None)
    if decision.next_change is not None:
        assert decision.next_change > situation.now
        assert decision.next_count != decision.desired


@PLENTY
@drawn(situations(), st.sampled_from([Reading(), Reading(error="lost"), Reading((1.0,))]))
def test_every_explanation_begins_with_the_count(situation: Situation, reading: Reading) -> None:
    situation = with_first(situation, reading)
    decision = decide(situation)
    first, *others = explain(situation, decision)
    assert re.match(rf"{decision.desired}\b", first)
    assert all(line.endswith(".") and "None" not in line and "\n" not in line for line in [first, *others])


def test_decisions_are_values() -> None:
    decision = decide(situation_of(given(4, 21)))
    assert isinstance(decision, Decision)
    assert hash(decision) == hash(decide(situation_of(given(4, 21))))
