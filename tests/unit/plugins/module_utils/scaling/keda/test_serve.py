# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the HPA gets when it asks: values, errors, and what a fallback puts in their place.

Vectors marked (KEDA) are those of pkg/fallback/fallback_test.go and pkg/scaling/modifiers/formula_test.go, v2.20.2.
"""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.parse import parse_scaled_object
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.serve import serve
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.types import (
    KedaMemory,
    Reading,
    ScaledObject,
    Served,
)
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.keda.objects import (
    modified,
    scaled,
    spec,
    trigger,
)

FIRST, SECOND = "s0-prometheus", "s1-prometheus"
LOST = Reading(error="connection refused")


def values(*numbers: float) -> list[Reading]:
    """One reading a number."""
    return [Reading((number,)) for number in numbers]


def falling(
    behavior: str = "static", replicas: int = 10, failures: int = 3, threshold: str = "10", **keys: Any
) -> ScaledObject:
    """One trigger, and a fallback."""
    fallback = {"failureThreshold": 3, "replicas": replicas, "behavior": behavior}
    strict = {"threshold": threshold, "ignoreNullValues": "false"}
    return parse_scaled_object(scaled(spec(fallback=fallback, triggers=[trigger(metadata=strict, **keys)])))


def composed(formula: str, behavior: str | None = None, **modifiers: Any) -> ScaledObject:
    """A formula over the triggers a and b, with a fallback to 3 at the second failure."""
    wanted = modified(formula=formula, **modifiers)
    if behavior:
        wanted["fallback"] = {"failureThreshold": 1, "replicas": 3, "behavior": behavior}
    return parse_scaled_object(scaled(wanted))


def failed(*failures: int) -> KedaMemory:
    """The memory after so many failures of each trigger."""
    return KedaMemory(dict(zip((FIRST, SECOND), failures, strict=False)))


def test_each_metric_has_its_own_value_or_error() -> None:
    two = parse_scaled_object(scaled(spec(triggers=[trigger(), trigger()])))
    assert serve(two, KedaMemory(), [LOST, *values(4.5)], 1, 1) == Served((None, 4500), KedaMemory())


def test_failures_are_counted_only_where_there_is_a_fallback() -> None:
    without = parse_scaled_object(scaled())
    assert serve(without, KedaMemory(), [LOST], 1, 1).memory == KedaMemory()
    assert serve(falling(), KedaMemory(last_active=7), [LOST], 1, 1).memory == KedaMemory({FIRST: 1}, 7)


def test_a_success_starts_the_count_again() -> None:
    """(KEDA) value 6 after 5 failures."""
    assert serve(falling(), failed(5), values(6), 1, 1) == Served((6000,), KedaMemory({FIRST: 0}))


def test_a_fallback_comes_only_after_more_failures_than_the_threshold() -> None:
    """(KEDA) 10 replicas at 10 each, from the fourth failure on."""
    scaled_object, memory = falling(), KedaMemory()
    for failures in (1, 2, 3):
        served = serve(scaled_object, memory, [LOST], 5, 5)
        assert (served.values, served.fell_back) == ((None,), ())
        assert served.memory.failures == {FIRST: failures}
        memory = served.memory
    served = serve(scaled_object, memory, [LOST], 5, 5)
    assert served == Served((100_000,), KedaMemory({FIRST: 4}), (FIRST,))


@pytest.mark.parametrize(
    ("behavior", "replicas", "expected"),
    [
        pytest.param("static", 20, 100, id="static (KEDA)"),
        pytest.param("currentReplicas", 20, 200, id="currentReplicas (KEDA)"),
        pytest.param("currentReplicas", 5, 50, id="currentReplicas, fewer"),
        pytest.param("currentReplicasIfHigher", 5, 100, id="currentReplicasIfHigher, fewer (KEDA)"),
        pytest.param("currentReplicasIfHigher", 20, 200, id="currentReplicasIfHigher, more"),
        pytest.param("currentReplicasIfLower", 5, 50, id="currentReplicasIfLower, fewer"),
        pytest.param("currentReplicasIfLower", 20, 100, id="currentReplicasIfLower, more"),
    ],
)
def test_behaviors(behavior: str, replicas: int, expected: int) -> None:
    assert serve(falling(behavior), failed(3), [LOST], replicas, 1).values == (expected * 1000,)


def test_a_value_metric_is_divided_by_the_ready_pods_because_the_hpa_multiplies() -> None:
    by_value = falling(metricType="Value")
    assert serve(by_value, failed(3), [LOST], 5, 4).values == (25_000,)
    assert serve(by_value, failed(3), [LOST], 5, 3).values == (33_333,)
    none_ready = serve(by_value, failed(3), [LOST], 5, 0)
    assert none_ready == Served((None,), KedaMemory({FIRST: 4}))


@pytest.mark.parametrize(
    ("threshold", "replicas", "expected"), [("5", 3, 15_000), ("4.007", 1, 4006), ("4.007", 6, 24041)]
)
def test_a_fallback_value_is_cut_where_its_float_is_too_small(threshold: str, replicas: int, expected: int) -> None:
    served = serve(falling(replicas=replicas, threshold=threshold), failed(3), [LOST], 1, 1)
    assert served.values == (expected,)


def test_an_empty_answer_counts_as_a_failure_where_null_values_are_not_ignored() -> None:
    assert serve(falling(), failed(3), [Reading()], 1, 1).fell_back == (FIRST,)


def test_a_formula_makes_one_metric_of_all() -> None:
    """(KEDA) trigger1 + trigger2 of 3 and 4."""
    assert serve(composed("a + b"), KedaMemory(), values(3, 4), 1, 1).values == (7000,)
    assert serve(composed("a / b"), KedaMemory(), values(2, 3), 1, 1).values == (666,)
    assert serve(composed("a - b"), KedaMemory(), values(2, 3), 1, 1).values == (-1000,)
    assert serve(composed("a / b"), KedaMemory(), values(2, 0), 1, 1).values == (-(2**63),)


def test_an_error_of_one_trigger_is_one_of_all() -> None:
    assert serve(composed("a"), KedaMemory(), [*values(3), LOST], 1, 1).values == (None,)
    assert serve(composed("a ?? b"), KedaMemory(), [LOST, *values(3)], 1, 1).values == (None,)


def test_a_formula_that_fails_gives_no_value() -> None:
    assert serve(composed("7 % max(1, a)"), KedaMemory(), values(3, 4), 1, 1).values == (None,)


@pytest.mark.parametrize("formula", ["a", "b", "a + b"])
def test_one_fallback_stands_for_the_whole_formula(formula: str) -> None:
    served = serve(composed(formula, "static"), failed(0, 1), [*values(40), LOST], 2, 2)
    assert served == Served((15_000,), failed(0, 2), (SECOND,))


def test_a_trigger_below_the_threshold_does_not_matter_once_another_fell_back() -> None:
    assert serve(composed("a + b", "static"), failed(0, 1), [LOST, LOST], 2, 2).values == (15_000,)
    assert serve(composed("a + b", "static"), failed(0, 0), [LOST, *values(4)], 2, 2).values == (None,)


def test_a_formula_over_a_value_divides_by_the_ready_pods_whatever_its_triggers_are() -> None:
    by_value = composed("a + b", "static", metricType="Value")
    assert serve(by_value, failed(1, 0), [LOST, *values(4)], 2, 2).values == (7500,)


def test_fallback_is_off_where_the_target_is_no_whole_number() -> None:
    served = serve(composed("a ?? b", "scalingModifiers", target="0.85"), failed(9), [LOST, *values(4)], 2, 2)
    assert served == Served((None,), failed(9))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        pytest.param("a ?? b", 4000, id="the other trigger"),
        pytest.param("a ?? nil", 15_000, id="nil is the fallback count"),
        pytest.param("a + b", None, id="nil cannot be added"),
        pytest.param("b * 2", 8000, id="it is not read"),
        pytest.param("a == nil ? b : a", 4000, id="a choice by nil"),
    ],
)
def test_a_formula_sees_nil_for_a_trigger_that_failed_too_often(formula: str, expected: int | None) -> None:
    scaled_object = composed(formula, "scalingModifiers")
    assert serve(scaled_object, failed(0, 0), [LOST, *values(4)], 2, 2) == Served((None,), failed(1, 0))
    assert serve(scaled_object, failed(1, 0), [LOST, *values(4)], 2, 2) == Served((expected,), failed(2, 0), (FIRST,))


def test_nil_without_a_fallback_is_an_error() -> None:
    assert serve(composed("a > 0 ? nil : (b ?? 0)"), KedaMemory(), values(1, 1), 1, 1).values == (None,)
