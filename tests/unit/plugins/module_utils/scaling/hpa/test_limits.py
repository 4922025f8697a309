# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows, rates and bounds one by one."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.limits import (
    bound,
    bound_plainly,
    remember_event,
    stabilize,
    stabilize_plainly,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    SECOND,
    Behavior,
    Hpa,
    Metric,
    Policy,
    Recommendation,
    Rules,
    ScaleEvent,
    SelectPolicy,
    TargetType,
)

NOW = 1000 * SECOND
MAX_INT32 = 2**31 - 1


def hpa(low: int, high: int) -> Hpa:
    return Hpa(low, high, (Metric("m", TargetType.AVERAGE_VALUE, 1000),))


def rules(*policies: Policy, select: SelectPolicy = SelectPolicy.MAX, window: int | None = 0) -> Rules:
    return Rules(window, select, policies or (Policy(True, 100, 15),))


def both(of: Rules) -> Behavior:
    return Behavior(of, of)


def ago(replicas: int, nanoseconds: int) -> Recommendation:
    return Recommendation(replicas, NOW - nanoseconds)


@pytest.mark.parametrize(("age", "expected"), [(300 * SECOND, 9), (300 * SECOND + 1, 2)], ids=["border", "beyond"])
def test_without_a_behavior_the_border_of_the_window_is_inside(age: int, expected: int) -> None:
    count, known = stabilize_plainly((ago(9, age),), 2, NOW, 300 * SECOND)
    assert count == expected
    # One that is too old gives its place to the newest.
    assert len(known) == (2 if expected == 9 else 1)


@pytest.mark.parametrize(("age", "expected"), [(299 * SECOND, 9), (300 * SECOND, 2)], ids=["inside", "border"])
def test_with_a_behavior_the_border_of_the_window_is_outside(age: int, expected: int) -> None:
    down = both(rules(window=300))
    count, known = stabilize((ago(9, age),), down, 9, 2, NOW, 0)
    assert count == expected
    assert len(known) == 2


def test_both_windows_hold_the_count_where_it_is() -> None:
    swinging = (ago(2, 10 * SECOND), ago(9, 20 * SECOND))
    assert stabilize(swinging, both(rules(window=60)), 5, 4, NOW, 0)[0] == 5
    assert stabilize(swinging, both(rules(window=0)), 5, 4, NOW, 0)[0] == 4


def test_a_window_of_the_controller_counts_in_whole_seconds() -> None:
    behavior = Behavior(rules(), rules(window=None))
    assert stabilize((ago(9, 45 * SECOND),), behavior, 9, 2, NOW, 45_500_000_000)[0] == 2
    assert stabilize_plainly((ago(9, 45 * SECOND),), 2, NOW, 45_500_000_000)[0] == 9


@pytest.mark.parametrize(
    ("current", "wanted", "expected"),
    [
        (1, 9, (4, "ScaleUpLimit")),
        (3, 9, (6, "ScaleUpLimit")),
        (8, 30, (10, "TooManyReplicas")),
        (5, 1, (2, "TooFewReplicas")),
        (5, 7, (7, "DesiredWithinRange")),
    ],
)
def test_without_a_behavior_a_count_doubles_or_reaches_four(
    current: int, wanted: int, expected: tuple[int, str]
) -> None:
    assert bound_plainly(hpa(2, 10), current, wanted) == expected


@pytest.mark.parametrize(
    ("select", "up", "down"),
    [
        (SelectPolicy.MAX, (12, "ScaleUpLimit"), (4, "ScaleDownLimit")),
        (SelectPolicy.MIN, (10, "ScaleUpLimit"), (6, "ScaleDownLimit")),
        (SelectPolicy.DISABLED, (8, "ScaleUpLimit"), (8, "ScaleDownLimit")),
    ],
    ids=lambda value: value.value if isinstance(value, SelectPolicy) else "",
)
def test_max_is_the_largest_change_in_both_directions(
    select: SelectPolicy, up: tuple[int, str], down: tuple[int, str]
) -> None:
    behavior = both(rules(Policy(False, 2, 15), Policy(True, 50, 15), select=select))
    assert bound(hpa(1, 99), behavior, (), (), 8, 90, NOW) == up
    assert bound(hpa(1, 99), behavior, (), (), 8, 1, NOW) == down


def test_changes_of_both_directions_count_until_their_period_is_over() -> None:
    behavior = both(rules(Policy(False, 4, 60)))
    ups, downs = (ScaleEvent(3, NOW - 59 * SECOND),), (ScaleEvent(1, NOW - 30 * SECOND),)
    assert bound(hpa(1, 99), behavior, ups, downs, 8, 90, NOW) == (10, "ScaleUpLimit")
    assert bound(hpa(1, 99), behavior, ups, downs, 8, 90, NOW + SECOND) == (13, "ScaleUpLimit")


@pytest.mark.parametrize(
    ("policy", "current", "expected"),
    [
        (Policy(False, MAX_INT32, 15), 5, 5),  # 5 + MAX wraps around: blocked
        (Policy(True, MAX_INT32, 15), 99, 200),
        (Policy(True, MAX_INT32, 15), 101, 101),
        (Policy(True, 1, 15), 5, 6),  # rounded up, or it would never move
    ],
    ids=["pods", "percent from 99", "percent from 101", "one percent"],
)
def test_a_huge_policy_overflows_and_blocks(policy: Policy, current: int, expected: int) -> None:
    assert bound(hpa(1, 200), both(rules(policy)), (), (), current, 200, NOW)[0] == expected


def test_percent_downwards_is_cut_towards_zero() -> None:
    assert bound(hpa(0, 9), both(rules(Policy(True, 30, 15))), (), (), 5, 0, NOW)[0] == 3
    assert bound(hpa(0, 9), both(rules(Policy(True, 300, 15))), (), (), 5, 0, NOW) == (0, "DesiredWithinRange")


def test_an_outdated_change_gives_its_place_and_never_comes_back() -> None:
    short, long = rules(Policy(False, 1, 15)), rules(Policy(False, 1, 600))
    events = (ScaleEvent(4, NOW - 40 * SECOND), ScaleEvent(5, NOW - 20 * SECOND), ScaleEvent(6, NOW - 15 * SECOND))
    marked = remember_event(events, short, 1, NOW)
    assert marked == (events[0]._replace(outdated=True), ScaleEvent(1, NOW), events[2])
    # The mark stays after an edit that makes the period longer.
    assert remember_event(marked, long, 2, NOW) == (ScaleEvent(2, NOW), marked[1], marked[2])
