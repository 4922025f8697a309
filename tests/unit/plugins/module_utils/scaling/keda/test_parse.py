# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ScaledObject is read with the defaults of KEDA."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import InvalidInput
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    Behavior,
    Policy,
    Rules,
    SelectPolicy,
    TargetType,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.parse import parse_scaled_object
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.types import (
    Fallback,
    FallbackBehavior,
    Pauses,
    ScaledObject,
    Trigger,
)
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.keda.objects import (
    Json,
    modified,
    scaled,
    spec,
    trigger,
)

ANNOTATION = "autoscaling.keda.sh/"
SERVER = "http://prometheus:9090"


def test_defaults_are_those_of_keda() -> None:
    triggers = (Trigger(0, "prometheus", "s0-prometheus", 5000, query="sum(a)", server=SERVER),)
    expected = ScaledObject("inference", "chat", "Deployment", "chat", "keda-hpa-chat", 0, 100, triggers)
    assert parse_scaled_object(scaled()) == expected


def test_everything_that_is_written_is_read() -> None:
    wanted = spec(
        scaleTargetRef={
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "name": "other",
            "envSourceContainerName": "vllm",
        },
        pollingInterval=10,
        cooldownPeriod=60,
        initialCooldownPeriod=20,
        idleReplicaCount=0,
        minReplicaCount=2,
        maxReplicaCount=9,
        fallback={"failureThreshold": 3, "replicas": 2, "behavior": "currentReplicasIfHigher"},
        advanced={
            "restoreToOriginalReplicaCount": True,
            "horizontalPodAutoscalerConfig": {"name": "mine", "behavior": {}},
        },
        triggers=[
            trigger(
                name="demand",
                metricType="Value",
                useCachedMetrics=True,
                authenticationRef={"name": "token"},
                metadata={
                    "threshold": "0.85",
                    "activationThreshold": "1.5e0",
                    "ignoreNullValues": "F",
                    "unsafeSsl": "true",
                },
            )
        ],
    )
    read = parse_scaled_object(scaled(wanted, {f"{ANNOTATION}force-activation": "true"}))
    assert (read.target_kind, read.target_name, read.hpa_name) == ("StatefulSet", "other", "mine")
    assert (read.polling, read.cooldown, read.initial_cooldown) == (10, 60, 20)
    assert (read.idle, read.min, read.max, read.force_active) == (0, 2, 9, True)
    assert read.fallback == Fallback(3, 2, FallbackBehavior.IF_HIGHER)
    up = Rules(0, SelectPolicy.MAX, (Policy(False, 4, 15), Policy(True, 100, 15)))
    assert read.behavior == Behavior(up, Rules(None, SelectPolicy.MAX, (Policy(True, 100, 15),)))
    assert read.triggers == (
        Trigger(0, "prometheus", "s0-prometheus", 850, TargetType.VALUE, "demand", 1.5, "sum(a)", False, True, SERVER),
    )


def test_age_is_read_in_whole_seconds() -> None:
    metadata = {"name": "chat", "creationTimestamp": "2026-11-25T00:00:10Z", "uid": "1"}
    read = parse_scaled_object(scaled(metadata=metadata))
    assert read.created == 1_795_564_810 * 10**9
    assert read.namespace == "default"


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        pytest.param({}, Pauses(), id="none"),
        pytest.param({"paused": "true"}, Pauses(everything=True), id="paused"),
        pytest.param({"paused": "maybe"}, Pauses(everything=True), id="what is no boolean is true"),
        pytest.param({"paused": "false"}, Pauses(), id="not paused"),
        pytest.param({"paused-replicas": "3"}, Pauses(everything=True, replicas=3, counted=True), id="a count"),
        pytest.param({"paused-replicas": "0"}, Pauses(everything=True, replicas=0, counted=True), id="none at all"),
        pytest.param(
            {"paused-replicas": "three"}, Pauses(everything=True, counted=True), id="stopped by what is no count"
        ),
        pytest.param(
            {"paused-replicas": "-1"}, Pauses(everything=True, counted=True), id="stopped by a negative count"
        ),
        pytest.param({"paused-scale-in": "true"}, Pauses(scale_in=True), id="in"),
        pytest.param({"paused-scale-out": "1"}, Pauses(scale_out=True), id="out"),
    ],
)
def test_annotations_pause(annotations: Json, expected: Pauses) -> None:
    full = {f"{ANNOTATION}{name}": text for name, text in annotations.items()}
    assert parse_scaled_object(scaled(annotations=full)).pauses == expected


def test_a_formula_is_read_with_its_target() -> None:
    read = parse_scaled_object(scaled(modified(target="2.5", activationTarget="1", metricType="Value"))).modifiers
    assert read is not None
    assert (read.formula.text, read.target, read.whole, read.activation) == ("a + b", 2500, False, 1.0)
    assert (read.metric_type, read.number) == (TargetType.VALUE, 2.5)
    whole = parse_scaled_object(scaled(modified())).modifiers
    assert whole is not None
    assert whole.whole


def test_idle_at_zero_goes_with_a_minimum_of_zero_that_is_written() -> None:
    assert parse_scaled_object(scaled(spec(minReplicaCount=0, idleReplicaCount=0))).idle == 0


def test_the_empty_modifiers_that_keda_writes_itself_are_none() -> None:
    assert parse_scaled_object(scaled(spec(advanced={"scalingModifiers": {}}))).modifiers is None


@pytest.mark.parametrize("target", ["5.0", "5e0"])
def test_a_target_counts_as_whole_only_where_go_parses_an_integer(target: str) -> None:
    read = parse_scaled_object(scaled(modified(target=target))).modifiers
    assert read is not None
    assert (read.target, read.whole) == (5000, False)


def test_a_formula_needs_no_name_of_a_trigger_that_it_does_not_read_and_no_threshold() -> None:
    triggers = [trigger(name="a"), trigger(metadata={"threshold": "0"})]
    assert len(parse_scaled_object(scaled(modified(triggers, formula="a * 2"))).triggers) == 2


HPA = {
    "spec": {
        "metrics": [
            {"type": "Resource", "resource": {"name": "cpu"}},
            {"external": {"metric": {"name": "s10-x"}, "target": {"type": "Value", "value": "9"}}},
            {
                "external": {
                    "metric": {"name": "s1-cron-x"},
                    "target": {"type": "AverageValue", "averageValue": "1500m"},
                }
            },
        ]
    }
}


def test_a_trigger_of_another_type_has_the_target_of_the_live_hpa() -> None:
    wanted = spec(triggers=[trigger(), {"type": "cron", "metadata": {"timezone": "UTC"}, "name": "day"}])
    assert parse_scaled_object(scaled(wanted), HPA).triggers[1] == Trigger(1, "cron", "s1-cron-x", 1500, name="day")
    line = (
        "ScaledObject inference/chat spec.triggers[1]: of type cron says its target only to KEDA, and there is no HPA "
        "that has its metric. Give the HPA that KEDA made of it."
    )
    with pytest.raises(InvalidInput) as caught:
        parse_scaled_object(scaled(wanted))
    assert caught.value.line() == line


@pytest.mark.parametrize(("names", "expected"), [(["s0-prometheus", "s1-kafka-x"], "s1-kafka-x"), ([], "s1-kafka")])
def test_with_a_formula_no_other_target_counts(names: list[str], expected: str) -> None:
    wanted = modified([trigger(name="a"), {"type": "kafka", "name": "b"}])
    read = parse_scaled_object(scaled(wanted, status={"externalMetricNames": names}))
    assert read.triggers[1] == Trigger(1, "kafka", expected, 0, name="b")
