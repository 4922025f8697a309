# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ScaledObjects follow demand, never below the minimum, and hold still without metrics."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.objects import keda
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet
from hypothesis import given
from hypothesis import strategies as st


def scaled(*changes: tuple[str, Any]) -> dict[str, Any]:
    """The ScaledObject of the first model."""
    (found,) = [obj for obj in keda.build(fleet(*changes)) if obj["kind"] == "ScaledObject"]
    return found


def test_only_models_that_scale_get_one() -> None:
    assert [(obj["kind"], obj["metadata"]["name"]) for obj in keda.build(fleet())] == [
        ("TriggerAuthentication", "llama-70b"),
        ("ScaledObject", "llama-70b"),
    ]


def test_the_target_and_the_bounds() -> None:
    spec = scaled()["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama-70b"}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 6)


@pytest.mark.parametrize("low", [1, 2, 6])
def test_there_is_always_a_replica_to_wake_the_model(low: int) -> None:
    spec = scaled(("models[0].replicas.min", low), ("models[0].scaling.fallback", None))["spec"]
    assert spec["minReplicaCount"] == low >= 1
    assert "idleReplicaCount" not in spec


@pytest.mark.parametrize(("declared", "replicas"), [(None, 2), (2, 2), (6, 6)])
def test_lost_metrics_never_lower_the_count(declared: int | None, replicas: int) -> None:
    fallback = scaled(("models[0].scaling.fallback.replicas", declared))["spec"]["fallback"]
    assert fallback == {"failureThreshold": 3, "replicas": replicas, "behavior": "currentReplicasIfHigher"}


def test_both_metrics_are_errors_when_they_are_missing() -> None:
    for trigger in scaled()["spec"]["triggers"]:
        assert trigger["metadata"]["ignoreNullValues"] == "false"
        assert trigger["metricType"] == "AverageValue"
        assert {type(value) for value in trigger["metadata"].values()} == {str}


def test_every_query_parses() -> None:
    promql = pytest.importorskip("promql_parser")
    for trigger in scaled()["spec"]["triggers"]:
        assert promql.parse(trigger["metadata"]["query"])


def test_names_of_triggers_differ() -> None:
    assert [trigger["name"] for trigger in scaled()["spec"]["triggers"]] == ["demand", "kv-cache"]


@given(st.floats(0.001, 100_000))
def test_thresholds_are_plain_decimals_close_to_what_was_declared(value: float) -> None:
    text = scaled(("models[0].scaling.concurrency", value))["spec"]["triggers"][0]["metadata"]["threshold"]
    assert re.fullmatch(r"\d+(\.\d{0,2}[1-9])?", text)
    assert abs(float(text) - value) <= 0.0005 and float(text) > 0


@pytest.mark.parametrize(
    ("value", "text"), [(12, "12"), (100, "100"), (0.85, "0.85"), (0.5, "0.5"), (1.2345, "1.234"), (1000.0, "1000")]
)
def test_thresholds(value: float, text: str) -> None:
    assert scaled(("models[0].scaling.concurrency", value))["spec"]["triggers"][0]["metadata"]["threshold"] == text


@given(st.integers(1, 1800), st.none() | st.integers(1, 1800))
def test_a_step_up_waits_for_the_last_one_to_load(cold_start: int, period: int | None) -> None:
    declared = None if period is None or period < cold_start else f"{period}s"
    changes = (("models[0].lifecycle.cold_start", f"{cold_start}s"), ("models[0].scaling.scale_up.period", declared))
    behavior = scaled(*changes)["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    (policy,) = behavior["scaleUp"]["policies"]
    assert cold_start <= policy["periodSeconds"] <= 1800, "the HPA takes at most 1800 s"
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0


def test_a_step_down_is_slow() -> None:
    behavior = scaled()["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"] == {
        "stabilizationWindowSeconds": 600,
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 300}],
    }


def test_the_token_is_named_and_never_held() -> None:
    authentication, scaled_object = keda.build(fleet())
    assert authentication["spec"] == {
        "secretTargetRef": [{"parameter": "bearerToken", "name": "prometheus-token", "key": "token"}]
    }
    for trigger in scaled_object["spec"]["triggers"]:
        assert trigger["authenticationRef"] == {"name": authentication["metadata"]["name"]}
        assert trigger["metadata"]["authModes"] == "bearer"


def test_without_a_token_there_is_nothing_to_name() -> None:
    objects = keda.build(fleet(("cluster.prometheus.credentials", None)))
    assert [obj["kind"] for obj in objects] == ["ScaledObject"]
    assert all("authenticationRef" not in trigger for trigger in objects[0]["spec"]["triggers"])


def test_a_fixed_count_leaves_no_scaler() -> None:
    assert {(ref.kind, ref.namespace, ref.name) for ref in keda.absent(fleet())} == {
        ("ScaledObject", "inference", "qwen"),
        ("TriggerAuthentication", "inference", "qwen"),
    }
