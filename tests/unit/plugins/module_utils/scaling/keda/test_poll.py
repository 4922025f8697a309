# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What KEDA writes itself: from and to zero or idle, up to the minimum, and nothing else.

Vectors marked (KEDA) are those of pkg/scaling/executor/scale_scaledobjects_test.go, v2.20.2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import SECOND
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.parse import parse_scaled_object
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.poll import poll
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.types import (
    KedaMemory,
    Pauses,
    Polled,
    Reading,
    ScaledObject,
)
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.keda.objects import (
    modified,
    scaled,
    spec,
)

NOW = 1_000_000 * SECOND
BUSY, QUIET, LOST = Reading((3.0,)), Reading((0.0,)), Reading(error="connection refused")
METRIC = "s0-prometheus"
FALLBACK = {"failureThreshold": 1, "replicas": 2, "behavior": "static"}


def read(low: int | None = 0, **keys: Any) -> ScaledObject:
    """A ScaledObject with that minimum, made two weeks ago."""
    written = spec(minReplicaCount=low, **keys)
    return replace(parse_scaled_object(scaled(written)), created=NOW - 1_209_600 * SECOND)


def polled(scaled_object: ScaledObject, reading: Reading, replicas: int, memory: KedaMemory = KedaMemory()) -> Polled:  # noqa: B008
    """One poll."""
    return poll(scaled_object, memory, [reading], replicas, replicas, NOW)


@pytest.mark.parametrize(
    ("scaled_object", "reading", "replicas", "expected"),
    [
        pytest.param(read(0), QUIET, 10, (0, False, "ScalerNotActive"), id="to zero from any count (KEDA)"),
        pytest.param(read(5), QUIET, 1, (5, False, "ScalerNotActive"), id="up to the minimum (KEDA)"),
        pytest.param(read(5), QUIET, 5, (None, False, "ScalerNotActive"), id="at the minimum"),
        pytest.param(read(5), QUIET, 9, (None, False, "ScalerNotActive"), id="above the minimum it is the HPA's"),
        pytest.param(read(5), BUSY, 1, (None, True, "ScalerActive"), id="active below the minimum it is the HPA's"),
        pytest.param(read(0), BUSY, 0, (1, True, "ScalerActive"), id="from zero to one (KEDA)"),
        pytest.param(read(None), BUSY, 0, (1, True, "ScalerActive"), id="the minimum is zero by default"),
        pytest.param(read(5), BUSY, 0, (5, True, "ScalerActive"), id="from zero to the minimum"),
        pytest.param(read(0), BUSY, 4, (None, True, "ScalerActive"), id="active, and nothing to do"),
        pytest.param(read(0), QUIET, 0, (None, False, "ScalerNotActive"), id="not active at zero"),
        pytest.param(read(5, idleReplicaCount=0), QUIET, 10, (0, False, "ScalerNotActive"), id="to idle (KEDA)"),
        pytest.param(read(5, idleReplicaCount=0), BUSY, 0, (5, True, "ScalerActive"), id="from idle to min (KEDA)"),
        pytest.param(read(5, idleReplicaCount=2), BUSY, 3, (5, True, "ScalerActive"), id="between idle and min"),
        pytest.param(read(5, idleReplicaCount=2), BUSY, 5, (None, True, "ScalerActive"), id="active at min"),
        pytest.param(read(5, idleReplicaCount=2), QUIET, 2, (None, False, "ScalerNotActive"), id="at idle"),
        pytest.param(read(5, idleReplicaCount=2), QUIET, 1, (None, False, "ScalerNotActive"), id="below idle"),
        pytest.param(read(0), LOST, 4, (None, False, "ScalerNotActive"), id="an error never leads to zero"),
        pytest.param(read(5), LOST, 1, (None, False, "ScalerNotActive"), id="an error without fallback does nothing"),
        pytest.param(read(0, fallback=FALLBACK), LOST, 4, (None, False, "ScalerNotActive"), id="waiting for fallback"),
        pytest.param(
            read(0, fallback={**FALLBACK, "replicas": 0}),
            LOST,
            4,
            (0, False, "ScalerNotActive"),
            id="an error does lead to zero where the fallback is to zero",
        ),
    ],
)
def test_what_keda_writes(
    scaled_object: ScaledObject, reading: Reading, replicas: int, expected: tuple[int | None, bool, str]
) -> None:
    result = polled(scaled_object, reading, replicas)
    assert (result.replicas, result.active, result.reason) == expected


def test_a_fallback_wakes_what_is_at_zero() -> None:
    result = polled(read(0, fallback=FALLBACK), LOST, 0, KedaMemory({METRIC: 1}))
    memory = KedaMemory({METRIC: 2}, NOW)
    assert result == Polled(1, True, "ScalerActive", memory, (METRIC,))


def test_polls_count_failures_as_queries_of_the_hpa_do() -> None:
    assert polled(read(0, fallback=FALLBACK), LOST, 4).memory == KedaMemory({METRIC: 1})
    assert polled(read(0), LOST, 4).memory == KedaMemory()


def test_the_time_of_activity_is_written_where_something_is_active_and_nothing_failed() -> None:
    assert polled(read(0), BUSY, 0).memory.last_active == NOW
    assert polled(read(0), BUSY, 3).memory.last_active == NOW
    assert polled(read(0), QUIET, 3, KedaMemory(last_active=7)).memory.last_active == 7
    both = parse_scaled_object(scaled(spec(triggers=spec()["triggers"] * 2)))
    partly = poll(both, KedaMemory(last_active=7), [BUSY, LOST], 3, 3, NOW)
    assert (partly.active, partly.replicas, partly.memory.last_active) == (True, None, 7)
    assert poll(both, KedaMemory(), [BUSY, LOST], 0, 0, NOW).memory.last_active == NOW


def test_the_time_of_activity_has_whole_seconds() -> None:
    result = poll(read(0), KedaMemory(), [BUSY], 3, 3, NOW + 999_999_999)
    assert result.memory.last_active == NOW


@pytest.mark.parametrize(
    ("ago", "expected"),
    [(299, (None, "ScalerCooldown")), (300, (None, "ScalerCooldown")), (301, (0, "ScalerNotActive"))],
)
def test_the_cooldown_counts_from_the_last_activity(ago: int, expected: tuple[int | None, str]) -> None:
    result = polled(read(0), QUIET, 3, KedaMemory(last_active=NOW - ago * SECOND))
    assert (result.replicas, result.reason) == expected
    idle = polled(read(2, idleReplicaCount=0), QUIET, 3, KedaMemory(last_active=NOW - ago * SECOND))
    assert (idle.replicas, idle.reason) == expected


def test_the_initial_cooldown_counts_from_the_creation_until_the_first_activity() -> None:
    young = replace(read(0, initialCooldownPeriod=60), created=NOW - 60 * SECOND)
    assert polled(young, QUIET, 3).reason == "ScalerCooldown"
    assert polled(replace(young, created=NOW - 61 * SECOND), QUIET, 3).replicas == 0
    assert polled(replace(young, created=None), QUIET, 3).replicas == 0
    assert polled(young, QUIET, 3, KedaMemory(last_active=NOW - 301 * SECOND)).replicas == 0


def test_no_cooldown_holds_above_a_minimum() -> None:
    assert polled(read(1), QUIET, 3, KedaMemory(last_active=NOW)).reason == "ScalerNotActive"


@pytest.mark.parametrize(
    ("pauses", "low", "reading", "replicas", "expected"),
    [
        pytest.param(Pauses(scale_in=True), 0, QUIET, 10, (None, False), id="in: not to zero (KEDA)"),
        pytest.param(Pauses(scale_in=True), 0, BUSY, 0, (1, True), id="in: from zero"),
        pytest.param(Pauses(scale_out=True), 0, BUSY, 0, (None, True), id="out: not from zero (KEDA)"),
        pytest.param(Pauses(scale_out=True), 0, QUIET, 10, (0, False), id="out: to zero"),
        pytest.param(Pauses(scale_out=True), 5, QUIET, 1, (5, False), id="out: up to the minimum all the same"),
        pytest.param(Pauses(everything=True), 5, QUIET, 1, (None, False), id="everything"),
        pytest.param(Pauses(everything=True, replicas=3), 5, BUSY, 1, (3, False), id="to a count (KEDA)"),
        pytest.param(Pauses(everything=True, replicas=0), 5, BUSY, 1, (0, False), id="to none"),
        pytest.param(Pauses(everything=True, replicas=3), 5, BUSY, 3, (None, False), id="at the count"),
    ],
)
def test_pauses(pauses: Pauses, low: int, reading: Reading, replicas: int, expected: tuple[int | None, bool]) -> None:
    result = polled(replace(read(low), pauses=pauses), reading, replicas)
    assert (result.replicas, result.active) == expected
    if pauses.scale_out and reading is BUSY:
        assert result.memory.last_active is None


def test_nothing_is_asked_while_everything_is_paused() -> None:
    paused = replace(read(0, fallback=FALLBACK), pauses=Pauses(everything=True))
    assert polled(paused, LOST, 4) == Polled(None, False, "ScaledObjectPaused", KedaMemory())


def test_activation_can_be_forced() -> None:
    forced = replace(read(0), force_active=True)
    assert polled(forced, QUIET, 0) == Polled(1, True, "ScalerActive", KedaMemory(last_active=NOW))
    assert polled(forced, LOST, 0).replicas == 1
    assert polled(forced, QUIET, 3).replicas is None


@pytest.mark.parametrize(
    ("formula", "activation", "readings", "active"),
    [
        pytest.param("a + b", "0", (QUIET, BUSY), True, id="the result is above"),
        pytest.param("a + b", "3", (QUIET, BUSY), False, id="the result is not above"),
        pytest.param("a - b", "0", (QUIET, BUSY), False, id="a trigger alone does not count"),
        pytest.param("b", "0", (LOST, BUSY), False, id="any error is none"),
        pytest.param("7 % max(1, b)", "0", (QUIET, BUSY), False, id="a formula that fails is none"),
    ],
)
def test_with_a_formula_its_result_decides(
    formula: str, activation: str, readings: tuple[Reading, Reading], active: bool
) -> None:
    composed = parse_scaled_object(scaled(modified(formula=formula, activationTarget=activation)))
    assert poll(composed, KedaMemory(), readings, 0, 0, NOW).active is active


def test_a_fallback_of_a_formula_counts_by_its_value() -> None:
    wanted = {**modified(activationTarget="10"), "fallback": FALLBACK}
    composed = parse_scaled_object(scaled(wanted))
    memory = KedaMemory({METRIC: 1})
    result = poll(composed, memory, [LOST, BUSY], 0, 0, NOW)
    assert (result.active, result.fell_back) == (False, (METRIC,))
    assert not poll(composed, memory, [LOST, LOST], 0, 0, NOW).active
    composed = parse_scaled_object(scaled({**wanted, "fallback": {**FALLBACK, "replicas": 3}}))
    assert poll(composed, memory, [LOST, BUSY], 0, 0, NOW).replicas == 1
