# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What replica_target_info refuses, and what it makes of a cluster or a Prometheus that does not answer: one line."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import status
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.prometheus_answers import Refusal
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.replica_world import (
    GIVEN,
    Ask,
    Json,
    asking,
    scaled_object,
    steady,
    world,
)

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run the module, and return what it prints."""
    return asking(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("params", "msg"),
    [
        pytest.param({"cluster": None}, "cluster: is required", id="no cluster"),
        pytest.param({"namespace": None}, "namespace: is required", id="no namespace"),
        pytest.param({"namespace": "a b"}, "namespace: must be a namespace", id="namespace"),
        pytest.param({"name": "a", "label_selector": "a=b"}, "label_selector: contradicts name", id="two selections"),
        pytest.param({"name": "../a"}, "name: must be the name of a Kubernetes object", id="name"),
        pytest.param({"label_selector": "a&b"}, "label_selector: must be a label selector", id="labels"),
        pytest.param({"what_if": {"replica": 3}}, "what_if.replica: is not a known key", id="what_if key"),
        pytest.param(
            {"what_if": {"values": {"demnd": 3}}},
            "ScaledObject inference/llama what_if.values.demnd: is the name of no trigger",
            id="value",
        ),
        pytest.param(
            {"what_if": {"values": {"demand": "x"}}},
            "ScaledObject inference/llama what_if.values.demand: must be a number",
            id="no number",
        ),
        pytest.param({"what_if": {"min": 9}}, "ScaledObject inference/llama what_if.min: is 9, above max 8", id="min"),
        pytest.param({"what_if": {"max": -1}}, "what_if.max: must be a whole number", id="max"),
        pytest.param(
            {"what_if": {"threshold": {"demand": 0}}},
            "ScaledObject inference/llama what_if.threshold.demand: must be",
            id="threshold",
        ),
        pytest.param({"history": {}}, "history.proposed: is required", id="nothing proposed"),
        pytest.param({"history": {"proposed": {"maximum": 3}}}, "history.proposed.maximum: is not", id="proposed"),
        pytest.param(
            {"history": {"proposed": {"replicas": 3}}}, "history.proposed.replicas: does nothing", id="replay"
        ),
        pytest.param({"history": {"proposed": {"max": 3}, "hours": 0}}, "history.hours: must be a number", id="hours"),
        pytest.param({"history": {"proposed": {"max": 3}, "hours": 48}}, "history.hours: makes more than", id="points"),
        pytest.param({"query": "[?"}, "query: is no JMESPath expression", id="query"),
        pytest.param({"query": "sum([].name)"}, "query: cannot be applied", id="query on other types"),
        pytest.param({"given": []}, "given: is empty", id="nothing given"),
        pytest.param({"given": "text"}, "given: must be a dictionary", id="given text"),
        pytest.param({"given": [{}]}, "given[0].scaled_object: is required", id="given nothing"),
        pytest.param(
            {"given": [GIVEN, {**GIVEN, "scaled_object": scaled_object(maxReplicaCount=0)}]},
            "ScaledObject inference/llama given[1].scaled_object.spec.maxReplicaCount: must be",
            id="given manifest",
        ),
        pytest.param({"given": {**GIVEN, "values": {}}}, "given.values.demand: is required", id="given no value"),
        pytest.param(
            {"given": GIVEN, "history": {"proposed": {"max": 3}}}, "history: needs the Prometheus", id="history"
        ),
        pytest.param({"name": "mistral"}, "ScaledObject inference/mistral: does not exist", id="absent"),
        pytest.param({"namespace": "other"}, "Namespace other: has no ScaledObject.", id="absent namespace"),
        pytest.param(
            {"label_selector": "a=b"}, "Namespace inference: has no ScaledObject with the labels a=b", id="none"
        ),
    ],
)
def test_bad_input_is_one_line(ask: Ask, params: Json, msg: str) -> None:
    found = ask(world(), steady(5), **params)
    assert found["failed"] and found["msg"].startswith(msg) and "\n" not in found["msg"]
    assert found["verdict"] == "broken" and found["findings"]


@pytest.mark.parametrize(
    ("answer", "msg"),
    [
        pytest.param(Refusal(401, "Unauthorized", b""), "401 Unauthorized. Name the variable", id="401"),
        pytest.param(Refusal(404, "Not Found", b"<html>"), "404 Not Found. Check gpufleet_cluster", id="404"),
        pytest.param(Refusal(500, "Internal Server Error", b"{"), "500 Internal Server Error. Check", id="500"),
        pytest.param(b"<!doctype html><title>Sign in", "is not JSON, but begins with '<!doctype html>", id="HTML"),
        pytest.param(b" " * (33 << 20), "the answer is larger than 32 MiB", id="huge"),
        pytest.param(ConnectionRefusedError(111, "Connection refused"), "Connection refused", id="refused"),
        pytest.param(TimeoutError("timed out"), "timed out", id="slow"),
    ],
)
def test_a_prometheus_that_does_not_answer_is_one_line(ask: Ask, answer: Any, msg: str) -> None:
    prometheus = steady(5)
    prometheus.queries["llama"] = answer
    found = ask(world(), prometheus)
    begins = "Prometheus: http://prometheus.example.com does not answer a query: "
    assert found["failed"] and found["msg"].startswith(begins) and msg in found["msg"] and "\n" not in found["msg"]


def test_a_scaled_object_that_cannot_work_is_named_and_the_others_are_decided(ask: Ask) -> None:
    api = world(4, "llama", "qwen")
    broken = scaled_object("qwen")
    broken["spec"]["triggers"][0]["metadata"]["threshold"] = "0"
    api.add(broken)
    found = ask(api, steady(26), query="[].desired")
    begins = "ScaledObject inference/qwen spec.triggers[0].metadata.threshold: is 0, and must be above 0"
    assert found["failed"] and found["msg"].startswith(begins) and "\n" not in found["msg"]
    assert [target["name"] for target in found["targets"]] == ["llama"] and found["selected"] == [6]


@pytest.mark.parametrize("path", ["what_if", "history.proposed"])
def test_a_target_without_the_trigger_that_is_named_is_named_and_the_others_are_decided(ask: Ask, path: str) -> None:
    api, prometheus = world(4, "llama", "qwen"), steady(26)
    prometheus.queries["qwen"] = prometheus.queries["llama"]
    other = scaled_object("qwen")
    other["spec"]["triggers"][0]["name"] = "queue"
    api.add(other)
    change: Json = {"threshold": {"demand": 3}}
    asks = {"what_if": change} if path == "what_if" else {"history": {"hours": 1, "proposed": change}}
    found = ask(api, prometheus, **asks)
    begins = f"ScaledObject inference/qwen {path}.threshold.demand: is the name of no trigger"
    assert found["failed"] and found["msg"].startswith(begins)
    (target,) = found["targets"]
    assert target["name"] == "llama" and path.partition(".")[0] in target


def test_a_workload_that_is_not_there_is_named_and_the_others_are_decided(ask: Ask) -> None:
    api = world(4, "llama", "qwen")
    api.add(scaled_object("qwen", scaleTargetRef={"kind": "Deployment", "name": "gone"}))
    found = ask(api, steady(26))
    begins = (
        "ScaledObject inference/qwen spec.scaleTargetRef: Deployment inference/gone does not exist, or has no scale."
    )
    assert found["failed"] and found["msg"].startswith(begins)
    assert [target["name"] for target in found["targets"]] == ["llama"]


def test_a_label_selector_that_the_api_server_refuses_is_named(ask: Ask) -> None:
    api = world()
    refused = status(400, "unable to parse requirement: found '=', expected: identifier")
    api.fail(lambda call: "labelSelector" in call.query and call.path.endswith("/scaledobjects"), refused)
    found = ask(api, steady(5), label_selector="a==b=")
    begins = "label_selector: 'a==b=' is refused: unable to parse requirement: found '=', expected: identifier. Write"
    assert found["failed"] and found["msg"].startswith(begins) and "\n" not in found["msg"]


def test_what_may_not_be_read_is_named(ask: Ask) -> None:
    api = world()
    api.fail(lambda call: call.path.endswith("/scale"), status(403, "deployments/scale is forbidden"))
    found = ask(api, steady(5))
    assert found["msg"].startswith(
        "scale of Deployment inference/llama: deployments/scale is forbidden. Grant the verb"
    )
