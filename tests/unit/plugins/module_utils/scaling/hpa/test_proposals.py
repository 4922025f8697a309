# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one metric asks for, at the edges that surprise, and where versions of Kubernetes differ."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.proposals import Band, band, propose
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    Behavior,
    Controller,
    Hpa,
    Metric,
    Observation,
    PodUsage,
    Policy,
    Rules,
    SelectPolicy,
    Source,
    TargetType,
    Usage,
)

WITHIN = Band(0.9, 1.1)
AVERAGE = Metric("demand", TargetType.AVERAGE_VALUE, 5000)
VALUE = Metric("usage", TargetType.VALUE, 1000)
OF_PODS = Metric("usage", TargetType.AVERAGE_VALUE, 1000, Source.PODS)
MAX_INT32 = 2**31 - 1


def seen(spec: int, status: int | None = None, ready: int | None = None, pods: int | None = None) -> Observation:
    ready = spec if ready is None else ready
    return Observation(0, spec, spec if status is None else status, (), ready, ready if pods is None else pods)


@pytest.mark.parametrize(
    ("usage", "status", "expected"),
    [
        (23000, 1, 5),
        (23000, 4, 5),
        (23000, 5, 5),
        (21000, 4, 4),  # ratio 1.05, although 21 / 5 is more than 4
        (22000, 4, 4),  # exactly 1.1
        (22100, 4, 5),
        (18000, 4, 4),  # exactly 0.9
        (17999, 4, 4),
        (15000, 4, 3),
        (5500, 1, 1),
        (6000, 1, 2),  # a threshold of 5 fires at 6
        (0, 0, 0),
        (3000, 0, 1),
        (0, 3, 0),
        (2**63 - 1, 3, MAX_INT32),
    ],
)
def test_an_average_value_is_compared_with_the_pods_that_exist(usage: int, status: int, expected: int) -> None:
    assert propose(AVERAGE, usage, seen(9, status), WITHIN, 35) == expected


@pytest.mark.parametrize(("minor", "expected"), [(33, -2), (34, MAX_INT32), (35, MAX_INT32), (37, MAX_INT32)])
def test_a_negative_average_value_asks_for_the_maximum_since_1_34(minor: int, expected: int) -> None:
    assert propose(AVERAGE, -10_000, seen(3), WITHIN, minor) == expected


@pytest.mark.parametrize(("minor", "expected"), [(33, -(2**31)), (34, MAX_INT32)])
def test_an_average_value_beyond_int32_is_capped_since_1_34(minor: int, expected: int) -> None:
    assert propose(AVERAGE, 5000 * 2**32, seen(3), WITHIN, minor) == expected


@pytest.mark.parametrize(("minor", "expected"), [(34, -(2**31)), (35, MAX_INT32)])
def test_a_value_beyond_int32_is_capped_since_1_35(minor: int, expected: int) -> None:
    assert propose(VALUE, 1000 * 2**32, seen(3), WITHIN, minor) == expected


@pytest.mark.parametrize(
    ("usage", "observation", "expected"),
    [
        (800, seen(4, ready=2, pods=4), 2),  # pods that load are not counted: down, while replicas start
        (1300, seen(4, ready=2, pods=4), 3),  # down as well, although the ratio says up
        (1050, seen(4, ready=2, pods=4), 4),
        (1300, seen(4, ready=0, pods=4), 0),
        (1300, seen(4, ready=0, pods=0), None),
        (1050, seen(4, ready=0, pods=0), 4),  # within the tolerance nobody asks for pods
        (2500, seen(0), 3),  # from zero neither tolerance nor pods count
        (1050, seen(0), 2),
        (-1000, seen(4), -4),
    ],
)
def test_a_value_is_multiplied_by_the_pods_that_are_ready(
    usage: int, observation: Observation, expected: int | None
) -> None:
    assert propose(VALUE, usage, observation, WITHIN, 35) == expected


@pytest.mark.parametrize(
    ("usage", "spec", "expected"),
    [
        (PodUsage(3000, 3), 3, 3),
        (PodUsage(6000, 3), 3, 6),
        (PodUsage(1500, 3), 3, 2),
        (PodUsage(3299, 3), 3, 3),  # the mean is cut to 1099, and 1.099 is within
        (PodUsage(-5, 3), 3, 0),  # a mean of -1.67 is cut towards zero
        (PodUsage(0, 0), 3, None),
        (PodUsage(6000, 3, missing=1), 4, 6),  # up: a pod without a value counts as idle
        (PodUsage(1500, 3, missing=1), 4, 3),  # down: as one that is exactly on target
        (PodUsage(2400, 2, missing=1), 3, 3),  # 1.2 becomes 0.8: turned, so nothing changes
        (PodUsage(6000, 3, unready=1), 4, 6),  # up: a pod that is not ready counts as idle
        (PodUsage(1500, 3, unready=1), 4, 2),  # down: not at all
        (PodUsage(3000, 2, missing=0, unready=1), 5, 5),  # 1.5 becomes 1.0
        (PodUsage(4000, 2, missing=0, unready=1), 5, 5),  # 4 would be down although the use is above target
        (PodUsage(2000, 2, missing=1), 3, 3),  # a ratio of exactly 1 leaves missing pods out
    ],
)
def test_use_of_pods_is_a_mean_over_those_that_count(usage: PodUsage, spec: int, expected: int | None) -> None:
    assert propose(OF_PODS, usage, seen(spec), WITHIN, 35) == expected


@pytest.mark.parametrize("metric", [AVERAGE, VALUE, OF_PODS], ids=["AverageValue", "Value", "Pods"])
def test_a_metric_that_cannot_be_read_asks_for_nothing(metric: Metric) -> None:
    usage: Usage = None
    assert propose(metric, usage, seen(3), WITHIN, 35) is None


def own(up: float | None, down: float | None) -> Hpa:
    policies = (Policy(False, 1, 15),)
    behavior = Behavior(Rules(0, SelectPolicy.MAX, policies, up), Rules(0, SelectPolicy.MAX, policies, down))
    return Hpa(1, 9, (AVERAGE,), behavior)


def test_an_own_tolerance_counts_since_1_35_and_zero_is_one() -> None:
    assert band(own(0.25, 0.0), Controller(minor=35)) == Band(1.0, 1.25)
    assert band(own(0.25, None), Controller(minor=35)) == Band(0.9, 1.25)
    assert band(own(0.25, 0.0), Controller(minor=34)) == Band(0.9, 1.1)
    assert band(Hpa(1, 9, (AVERAGE,)), Controller(tolerance=0.2)) == Band(0.8, 1.2)
