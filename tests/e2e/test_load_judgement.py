# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What judges the autoscaler says no when it should: a late step, a small one, one too many. Needs no bed."""

from __future__ import annotations

import pytest

from e2e.scaling import Counts, Policy

UP, DOWN = Policy(2, 15.0), Policy(1, 5.0)
#: Five replicas are wanted from second 105 on, 60 requests at 12 a replica, and none from second 140 on.
DEMAND = [(100.0 + second, 60.0 if 5 <= second < 40 else 0.0) for second in range(60)]


@pytest.mark.parametrize(
    ("steps", "fine"),
    [
        ([(106.5, 3), (121.6, 5)], True),
        ([(106.5, 2), (108.5, 3), (121.6, 5)], True),
        ([(110.5, 3), (125.6, 5)], False),
        ([(106.5, 3), (127.0, 5)], False),
        ([(106.5, 2), (121.6, 5)], False),
        ([], False),
    ],
    ids=["in time", "in two steps", "late", "late after the pause", "too small", "never"],
)
def test_a_demand_is_answered_in_time_or_not(steps: list[tuple[float, int]], fine: bool) -> None:
    unanswered = Counts([(0.0, 1), *steps]).unanswered(DEMAND, 12, 8, UP, within_s=4.0)
    assert (unanswered == []) is fine


def test_more_than_the_maximum_and_less_than_the_tolerance_are_not_asked_for() -> None:
    assert Counts([(0.0, 4)]).unanswered(DEMAND, 12, 4, UP, within_s=4.0) == []
    assert Counts([(0.0, 5)]).unanswered([(time, demand * 1.1) for time, demand in DEMAND], 12, 8, UP, 4.0) == []
    assert Counts([(0.0, 5)]).unanswered([(time, demand * 1.2) for time, demand in DEMAND], 12, 8, UP, 4.0)


@pytest.mark.parametrize(
    ("steps", "fine"),
    [
        ([(10.0, 3), (25.0, 5), (60.0, 4), (65.0, 3)], True),
        ([(10.0, 4)], False),
        ([(10.0, 3), (24.9, 4)], False),
        ([(10.0, 3), (40.0, 2), (44.9, 1)], False),
        # What was removed meanwhile does not make room for more.
        ([(10.0, 3), (12.0, 2), (14.0, 3)], False),
    ],
    ids=["within", "too many at once", "too soon up", "too soon down", "down and up again"],
)
def test_a_policy_is_kept_or_not(steps: list[tuple[float, int]], fine: bool) -> None:
    assert (Counts([(0.0, 1), *steps]).violations(UP, DOWN) == []) is fine
