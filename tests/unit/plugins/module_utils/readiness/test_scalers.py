# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a ScaledObject scales on live metrics, and what keeps it from doing so."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Severity
from ansible_collections.gpufleet.llm.plugins.module_utils.readiness.scalers import scaled_object
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import conditions

READY = ("Ready", "True", "ScaledObjectReady", "")
FALLBACK = ("Fallback", "True", "FallbackExists", "At least one trigger is falling back")
NO_METRIC = ("ScalingActive", "False", "FailedGetExternalMetric", "unable to get s0-prometheus: no matching metrics")


def status(*entries: tuple[str, str, str, str]) -> dict[str, Any]:
    """A status with these conditions."""
    return {"status": {"conditions": conditions(*entries)}}


def test_ready_with_a_value_for_each_metric() -> None:
    state = scaled_object(observed.scaled_object(), observed.hpa())
    assert (state.ready, state.progress, state.reasons) == (True, "scaling on live metrics", ())


@pytest.mark.parametrize(
    ("scaled", "hpa", "finding_id", "message"),
    [
        pytest.param({"status": {}}, {}, "autoscaler", "KEDA has not said yet", id="KEDA does not run"),
        pytest.param(
            status(("Ready", "False", "TriggerError", "Triggers defined are not working")),
            {},
            "metric-missing",
            "is not Ready: Triggers defined are not working (TriggerError)",
            id="no trigger works",
        ),
        pytest.param(
            status(("Ready", "False", "ScaledObjectCheckFailed", "no such target")),
            {},
            "autoscaler",
            "is not Ready: no such target",
            id="refused",
        ),
        pytest.param(status(READY, FALLBACK), {}, "metric-missing", "its fallback stands in", id="fallback"),
        pytest.param({}, None, "object-missing", "HorizontalPodAutoscaler keda-hpa-llama does not exist", id="no HPA"),
        pytest.param({}, {"spec": {"maxReplicas": 4}}, "autoscaler", "has other bounds yet", id="HPA lags"),
        pytest.param({}, status(NO_METRIC), "metric-missing", "gets no metric: unable to get s0", id="no metric"),
        pytest.param(
            {},
            status(("ScalingActive", "False", "ScalingDisabled", "the replica count of the target is zero")),
            "autoscaler",
            "does not scale: the replica count of the target is zero",
            id="scaled to zero",
        ),
        pytest.param(
            {},
            status(("AbleToScale", "False", "FailedGetScale", "not found")),
            "autoscaler",
            "is not able to scale: not found",
            id="no scale",
        ),
        pytest.param({}, {"status": {"conditions": []}}, "autoscaler", "no controller has looked at it", id="new HPA"),
        pytest.param(
            {},
            {
                "status": {
                    "currentMetrics": [{"type": ""}, {"external": {"metric": {"name": "s1-prometheus"}, "current": {}}}]
                }
            },
            "metric-missing",
            "has no value for s0-prometheus, s1-prometheus yet",
            id="empty entries",
        ),
        pytest.param(
            {}, {"status": {"currentMetrics": None}}, "metric-missing", "no value for s0-prometheus", id="null"
        ),
    ],
)
def test_not_ready(scaled: dict[str, Any], hpa: Any, finding_id: str, message: str) -> None:
    state = scaled_object(observed.scaled_object(**scaled), None if hpa is None else observed.hpa(**hpa))
    (reason,) = state.reasons
    assert (state.ready, reason.id, reason.object) == (False, finding_id, "ScaledObject inference/llama")
    assert message in reason.message
    assert reason.fix


LOST = ("Ready", "Unknown", "", "")
NO_FALLBACK = ("Fallback", "False", "NoFallbackFound", "")


def test_the_hpa_is_witness_while_keda_has_lost_its_ready_condition() -> None:
    lost = observed.scaled_object(**status(LOST, NO_FALLBACK))
    assert scaled_object(lost, observed.hpa()).ready
    assert not scaled_object(lost, observed.hpa(status={"currentMetrics": None})).ready


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param((LOST,), id="nothing said of a fallback"),
        pytest.param((("Ready", "Unknown", "PartialTriggerError", "some"), NO_FALLBACK), id="a reason"),
        pytest.param((("Ready", "False", "TriggerError", "none"), NO_FALLBACK), id="not ready"),
    ],
)
def test_the_hpa_is_no_witness_against_what_keda_says(entries: Any) -> None:
    assert not scaled_object(observed.scaled_object(**status(*entries)), observed.hpa()).ready


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("paused", "true", id="paused"),
        pytest.param("paused", "yes", id="not a boolean counts as true"),
        pytest.param("paused-scale-in", "true", id="scale-in"),
        pytest.param("paused-replicas", "0", id="at zero"),
    ],
)
def test_paused_is_ready_with_a_warning(name: str, value: str) -> None:
    annotations = {f"autoscaling.keda.sh/{name}": value}
    state = scaled_object(observed.scaled_object(metadata={"annotations": annotations}, status={}), None)
    (reason,) = state.reasons
    assert (state.ready, reason.id, reason.severity) == (True, "paused", Severity.WARNING)


@pytest.mark.parametrize("value", ["false", "0", "False"])
def test_a_pause_that_is_false_is_none(value: str) -> None:
    annotations = {"autoscaling.keda.sh/paused": value}
    assert not scaled_object(observed.scaled_object(metadata={"annotations": annotations}), None).ready


def test_an_hpa_has_never_a_minimum_of_zero() -> None:
    to_zero = observed.scaled_object()
    to_zero["spec"]["minReplicaCount"] = 0
    assert scaled_object(to_zero, observed.hpa(spec={"minReplicas": 1})).ready
