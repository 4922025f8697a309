# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of the past through both controllers: counts on a virtual clock, and what they are worth."""

from __future__ import annotations

import time

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.data import course_data
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.offline import situation_of
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.replay import Course, Turn, looks_of, replay
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.situations import (
    Json,
    behavior,
    given,
    rules,
    scaled_object,
    trigger,
)

START = 1_795_600_000 // 15 * 15
QUICK = behavior(rules(10, 15), rules(10, 15))


def played(values: list[float | None], scaled: Json, replicas: int = 1, start_up: int = 0, hold: int = 15) -> Course:
    """The course of one value every ``hold`` seconds; None is no series."""
    series = {START + index * hold: value for index, value in enumerate(values) if value is not None}
    (entry,) = scaled["spec"]["triggers"]
    situation = situation_of(given(replicas, {entry["name"]: 0}, scaled))
    looks = list(looks_of([[series]], START, START + len(values) * hold - 15, hold))
    return replay(situation, situation.scaled, looks, start_up)


def counts(course: Course) -> list[tuple[int, int, int]]:
    """Changes as (seconds from the start, before, after)."""
    return [(turn.at // 10**9 - START, turn.before, turn.after) for turn in course.turns]


def test_the_count_follows_within_windows_and_rates() -> None:
    slow = scaled_object(advanced=behavior(rules(2, 30), rules(1, 30, window=60)))
    course = played([20.0] * 4 + [5.0] * 12, slow)
    assert counts(course) == [(0, 1, 3), (30, 3, 4), (105, 4, 3), (135, 3, 2), (165, 2, 1)]
    assert (course.lowest, course.highest, course.flips) == (1, 4, 1)
    assert course.replica_seconds == 15 * (2 * 3 + 5 * 4 + 2 * 3 + 2 * 2 + 5 * 1)


def test_new_replicas_are_ready_after_the_start_up_and_the_newest_go_first() -> None:
    value = scaled_object(high=20, advanced=QUICK, triggers=[trigger("latency", "1", "Value")])
    at_once = played([2.0, 1.0, 2.0, 1.0], value, 2)
    loading = played([2.0, 1.0, 2.0, 1.0], value, 2, start_up=60)
    assert counts(at_once) == [(0, 2, 4), (30, 4, 8)]
    # Value multiplies by the pods that are ready.
    assert counts(loading) == [(0, 2, 4)]
    shrinking = played([20.0, 5.0, 5.0, 20.0], scaled_object(advanced=QUICK), start_up=45)
    assert counts(shrinking) == [(0, 1, 4), (15, 4, 1), (45, 1, 4)]
    assert shrinking.below == 15 + 15


def test_time_at_the_maximum_and_below_what_was_asked_for() -> None:
    course = played([60.0] * 4 + [20.0] * 4, scaled_object(high=8, advanced=QUICK))
    assert (course.at_max, course.below) == (60, 60)
    assert course_data(course) == {
        "replica_hours": round((4 * 8 + 4 * 4) * 15 / 3600, 2),
        "changes": 2,
        "direction_flips": 1,
        "at_max_s": 60,
        "below_demand_s": 60,
        "no_data_s": 0,
        "lowest": 1,
        "highest": 8,
        "timeline": [
            {"at": "2026-11-25T09:46:30Z", "before": 1, "after": 8, "by": "hpa"},
            {"at": "2026-11-25T09:47:30Z", "before": 8, "after": 4, "by": "hpa"},
        ],
    }


def test_lost_metrics_lower_nothing() -> None:
    course = played([20.0, None, None, None, 20.0], scaled_object(advanced=QUICK))
    assert counts(course) == [(0, 1, 4)]
    assert course.no_data == 3 * 15


def test_keda_goes_to_zero_and_wakes() -> None:
    course = played([5.0] * 2 + [0.0] * 10 + [5.0] * 2, scaled_object(0, advanced=QUICK, cooldownPeriod=60))
    assert [(before, after, by) for _dummy, before, after, by in course.turns] == [(1, 0, "keda"), (0, 1, "keda")]


def test_a_value_holds_until_the_next_sample() -> None:
    course = played([5.0, 20.0, 20.0], scaled_object(advanced=QUICK), hold=60)
    assert counts(course) == [(60, 1, 4)]


@pytest.mark.parametrize(("replicas", "begins"), [(0, 2), (1, 2), (5, 5), (12, 8)])
def test_begins_within_the_bounds(replicas: int, begins: int) -> None:
    course = played([begins * 5.0], scaled_object(2, 8, advanced=QUICK), replicas)
    assert (course.lowest, course.turns) == (begins, [])


def test_flips_count_turns_back() -> None:
    turns = [Turn(0, *ends, "hpa") for ends in ((1, 2), (2, 4), (4, 3), (3, 2), (2, 5))]
    assert Course(turns=turns).flips == 2


def test_a_day_takes_seconds() -> None:
    values: list[float | None] = [20.0 + 15 * (index // 240 % 2) for index in range(24 * 240)]
    began = time.process_time()
    course = played(values, scaled_object(advanced=behavior(rules(2, 360), rules(1, 300, window=600))))
    assert len(course.turns) > 20
    assert time.process_time() - began < 5


def test_at_zero_replicas_only_polls_count_failures() -> None:
    """The HPA is off then, and asks for nothing: the fourth poll of a lost source is the first to fall back."""
    scaled = scaled_object(0, advanced=QUICK, cooldownPeriod=15, fallback={"failureThreshold": 3, "replicas": 2})
    course = played([0.0] * 4 + [None] * 12, scaled)
    assert counts(course) == [(0, 1, 0), (150, 0, 1), (165, 1, 2)]
