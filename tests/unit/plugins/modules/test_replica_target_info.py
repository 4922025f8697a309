# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module replica_target_info as Ansible calls it: against a cluster and a Prometheus, and without either."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils import _cluster
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.parse import parse_fleet
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import Prometheus
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.capacity import config_query, length_queries
from ansible_collections.gpufleet.llm.plugins.modules import replica_target_info
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.prometheus_answers import FakePrometheus, Refusal
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.replica_world import (
    CLUSTER,
    GIVEN,
    NOW,
    SILENT,
    Ask,
    Json,
    ago,
    asking,
    rescaled,
    resized,
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


@pytest.mark.parametrize("check", [False, True])
def test_a_target_is_read_decided_and_explained(ask: Ask, check: bool) -> None:
    found = ask(world(4), steady(26), check, name="llama")
    (target,) = found["targets"]
    assert (found["changed"], found["verdict"], found["findings"]) == (False, "ready", [])
    assert (target["namespace"], target["name"], target["current"], target["desired"]) == ("inference", "llama", 4, 6)
    assert target["decision"]["triggers"][0]["value"] == 26 and target["decision"]["complete"]
    assert found["msg"] == f"inference/llama: {target['text'][0]}" and target["text"][0].startswith("6 (up from 4)")


def test_calls_are_few_however_many_targets_there_are(ask: Ask) -> None:
    names = ("llama", "mistral", "qwen")
    api, prometheus = world(2, *names), FakePrometheus(NOW, **dict.fromkeys(names, lambda at: [9.0]))
    found = ask(api, prometheus)
    assert [target["name"] for target in found["targets"]] == list(names)
    assert found["msg"] == "3 targets: 0 go up, 0 go down, 3 stay"
    asked = [call.path.rpartition("/inference/")[2] for call in api.calls]
    assert sorted(path for path in asked if path not in ("/version", "/apis/keda.sh/v1alpha1")) == sorted(
        ["/api/v1", "/apis/apps/v1", "/apis/autoscaling/v2"]
        + ["scaledobjects", "horizontalpodautoscalers", "events", "events"]
        + [f"deployments/{name}/scale" for name in names]
        + ["pods"] * 3
    )
    assert all(call.method == "GET" for call in api.calls)
    pods = [call.query["labelSelector"] for call in api.calls if call.path.endswith("/pods")]
    assert sorted(pods) == [f"app={name}" for name in names]
    fields = [call.query["fieldSelector"] for call in api.calls if call.path.endswith("/events")]
    assert sorted(fields) == ["reason=ScalingReplicaSet", "reason=SuccessfulRescale"]
    assert sorted(prometheus.asked) == sorted((call, name) for name in names for call in ("query", "query_range"))


def test_labels_choose(ask: Ask) -> None:
    api, prometheus = world(2, "llama", "qwen"), FakePrometheus(NOW, qwen=lambda at: [9.0])
    found = ask(api, prometheus, label_selector="gpufleet.io/model=qwen")
    assert [target["name"] for target in found["targets"]] == ["qwen"]


def test_pods_that_are_not_ready_do_not_count_for_a_value(ask: Ask) -> None:
    api = world(4)
    trigger = scaled_object()["spec"]["triggers"][0]
    api.add(scaled_object(triggers=[{**trigger, "metricType": "Value"}]))
    loading = observed.pod(observed.waiting("ContainerCreating"), "llama-3")
    api.add(loading)
    decision = ask(api, steady(10))["targets"][0]["decision"]
    assert (decision["proposed"], decision["complete"]) == (6, False)


def test_the_window_holds_what_the_metrics_asked_for_before(ask: Ask) -> None:
    fallen = FakePrometheus(NOW, llama=lambda at: [20.0 if at <= NOW - 120 else 5.0])
    (target,) = ask(world(4), fallen)["targets"]
    assert target["desired"] == 4 and target["decision"]["complete"]
    (bound,) = target["decision"]["bounds"]
    assert (bound["limit"], bound["before"], bound["after"]) == ("stabilization-window", 1, 4)
    assert ago(-180) <= bound["until"] <= ago(-195)


def test_a_new_hpa_remembers_nothing_from_before_it_was_made(ask: Ask) -> None:
    api = world(4)
    fallen = FakePrometheus(NOW, llama=lambda at: [40.0 if at < NOW - 60 else 5.0])
    assert ask(api, fallen)["targets"][0]["decision"]["stabilized"] == 8
    made = {"namespace": "inference", "name": "keda-hpa-llama", "creationTimestamp": ago(60)}
    api.add({**observed.hpa(), "metadata": made})
    assert ask(api, fallen)["targets"][0]["decision"]["stabilized"] == 4


RATE = {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 600}]}
SLOW = {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": RATE}}}


@pytest.mark.parametrize(
    ("events", "desired", "complete"),
    [
        pytest.param([], 6, True, id="none: two more are allowed"),
        pytest.param([rescaled(4, 120), resized(2, 4, 119)], 4, True, id="the Deployment tells the count before"),
        pytest.param(
            [rescaled(3, 400), resized(2, 3, 399), rescaled(4, 120)], 4, True, id="two that follow each other"
        ),
        pytest.param([rescaled(4, 120)], 6, False, id="nothing tells the count before"),
        pytest.param([rescaled(3, 120), resized(2, 3, 119)], 5, False, id="somebody else made it four"),
        pytest.param(
            [rescaled(4, 120, count=3), resized(3, 4, 119)], 5, False, id="counted in one, so that times are lost"
        ),
        pytest.param([rescaled(4, 700), resized(2, 4, 699)], 6, True, id="older than the policy"),
        pytest.param([rescaled(4, 120, "other"), resized(2, 4, 119)], 6, True, id="of another HPA"),
    ],
)
def test_events_use_up_what_a_policy_allows(ask: Ask, events: list[Json], desired: int, complete: bool) -> None:
    api = world(4)
    api.add(scaled_object(advanced=SLOW))
    for event in events:
        api.add(event)
    found = ask(api, steady(40))
    (target,) = found["targets"]
    assert (target["desired"], target["decision"]["complete"]) == (desired, complete)
    assert [finding["id"] for finding in found["findings"]] == ([] if complete else ["memory-incomplete"])


def test_a_prometheus_that_does_not_reach_back_leaves_it_incomplete(ask: Ask) -> None:
    young = FakePrometheus(NOW, llama=lambda at: [26.0] if at > NOW - 100 else [])
    found = ask(world(4), young)
    assert not found["targets"][0]["decision"]["complete"]
    assert [finding["id"] for finding in found["findings"]] == ["memory-incomplete"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(
            Refusal(400, "Bad Request", b'{"status":"error","error":"1:5: parse error"}'), "parse error", id="400"
        ),
        pytest.param(b'{"data":{"resultType":"scalar","result":[1,"5"]}}', "returns a scalar", id="scalar"),
    ],
)
def test_a_query_that_is_refused_is_refused_to_keda_too(ask: Ask, answer: Any, said: str) -> None:
    prometheus = steady(1)
    prometheus.queries["llama"] = answer
    found = ask(world(4), prometheus)
    (target,) = found["targets"]
    assert target["desired"] == 4 and said in target["decision"]["triggers"][0]["error"]
    assert said in found["findings"][0]["message"] and not target["decision"]["complete"]
    assert [finding["id"] for finding in found["findings"]] == ["metric-missing", "memory-incomplete"]
    assert len(found["warned"]) == 1


def test_triggers_of_other_types_have_no_value_and_hold_the_count(ask: Ask) -> None:
    api = world(4)
    queue = {"type": "rabbitmq", "name": "queue", "metadata": {"queueName": "prompts", "value": "5"}}
    api.add(scaled_object(triggers=[*scaled_object()["spec"]["triggers"], queue]))
    target = {"type": "AverageValue", "averageValue": "5"}
    metric = {"external": {"metric": {"name": "s1-rabbitmq-prompts"}, "target": target}}
    made = {"namespace": "inference", "name": "keda-hpa-llama", "creationTimestamp": ago(86400)}
    api.add({**observed.hpa(spec={"metrics": [metric]}), "metadata": made})
    found = ask(api, steady(5), what_if={"values": {"queue": 40}})
    (target,) = found["targets"]
    assert (target["desired"], target["what_if"]["desired"]) == (4, 8)
    assert "type rabbitmq" in found["warned"][0]


def with_metadata(**metadata: str) -> Json:
    """A ScaledObject whose trigger is told something else."""
    (trigger,) = scaled_object()["spec"]["triggers"]
    return scaled_object(triggers=[{**trigger, "metadata": {**trigger["metadata"], **metadata}}])


def test_a_trigger_that_asks_another_prometheus_has_no_value_here(ask: Ask) -> None:
    api, prometheus = world(4), steady(40)
    api.add(with_metadata(serverAddress="http://thanos:9090", ignoreNullValues="true"))
    found = ask(api, prometheus, what_if={"values": {"demand": 40}})
    (target,) = found["targets"]
    assert (target["desired"], target["what_if"]["desired"], target["decision"]["complete"]) == (4, 8, False)
    assert [finding["id"] for finding in found["findings"]] == ["metric-missing", "memory-incomplete"]
    message = "trigger demand asks another Prometheus (http://thanos:9090), which cannot be read here"
    assert message in found["warned"][0] and "what_if.values.demand" in found["warned"][0]
    assert target["decision"]["triggers"][0]["error"] == message and prometheus.asked == []


def test_a_slash_makes_no_other_prometheus(ask: Ask) -> None:
    api = world(4)
    api.add(with_metadata(serverAddress="http://prometheus.example.com/"))
    assert ask(api, steady(26))["targets"][0]["desired"] == 6


@pytest.mark.parametrize(("quiet_s", "desired"), [(100, 1), (400, 0)])
def test_keda_remembers_when_it_was_active_last(ask: Ask, quiet_s: int, desired: int) -> None:
    api = world(1)
    api.add({**scaled_object(minReplicaCount=0), "status": {"lastActiveTime": ago(quiet_s)}})
    assert ask(api, steady(0))["targets"][0]["desired"] == desired


def test_what_if_changes_everything_that_decides(ask: Ask) -> None:
    what_if = {"values": {"demand": 40}, "max": 5}
    (target,) = ask(world(4), steady(5), what_if=what_if)["targets"]
    assert (target["what_if"]["current"], target["what_if"]["desired"]) == (4, 5)
    assert target["what_if"]["text"] and target["what_if"]["decision"]["triggers"][0]["value"] == 40


def test_history_compares_with_a_proposed_configuration(ask: Ask) -> None:
    waves = FakePrometheus(NOW, llama=lambda at: [35.0 if at // 1800 % 2 else 5.0])
    history = {"hours": 6, "start_up": "2m", "proposed": {"max": 3}}
    (target,) = ask(world(4), waves, history=history)["targets"]
    configured, proposed = target["history"]["configured"], target["history"]["proposed"]
    assert configured["highest"] == 7 and proposed["highest"] == 3 and proposed["at_max_s"] > 6 * 1800
    assert configured["replica_hours"] > proposed["replica_hours"] > 6
    assert configured["below_demand_s"] < proposed["below_demand_s"]
    assert waves.asked == [("query", "llama"), ("query_range", "llama"), ("query_range", "llama")]


@pytest.mark.parametrize(("missing_s", "warns"), [(0, False), (300, False), (900, True), (7200, True)])
def test_history_without_metrics_is_no_knowledge(ask: Ask, missing_s: int, warns: bool) -> None:
    young = FakePrometheus(NOW, llama=lambda at: [5.0] if at >= NOW - 7200 + missing_s else [])
    found = ask(world(4), young, history={"hours": 2, "proposed": {"max": 3}})
    history = found["targets"][0]["history"]
    assert history["configured"]["no_data_s"] == history["proposed"]["no_data_s"] == missing_s
    ends = f", {missing_s // 60} min without metrics" if missing_s else "than the metrics asked for"
    assert all(line.endswith(ends) for line in history["text"])
    said = [finding["message"] for finding in found["findings"] if finding["id"] == "metric-missing"]
    assert len(said) == warns and all("of the 120 min of history have no value" in line for line in said)


def test_history_of_another_prometheus_is_no_zero(ask: Ask) -> None:
    api = world(4)
    api.add(with_metadata(serverAddress="http://thanos:9090", ignoreNullValues="true"))
    found = ask(api, steady(5), history={"hours": 1, "proposed": {"max": 6}})
    configured = found["targets"][0]["history"]["configured"]
    assert (configured["changes"], configured["no_data_s"]) == (0, 3600 + 15)


POOL = {"name": "h100", "gpu": "h100-80gb", "gpus_per_node": 8, "node_selector": {"example.com/gpu": "h100"}}
MODEL = {
    "name": "llama",
    "namespace": "inference",
    "source": {"uri": "meta-llama/Llama-3.3-70B-Instruct", "revision": "main"},
    "pool": "h100",
    "gpus": 4,
    "engine": {"args": ["--max-num-seqs", "64"]},
    "replicas": {"min": 2, "max": 8},
    "scaling": {"concurrency": 100},
}


def test_the_capacity_of_a_declared_model_is_told_and_what_differs_from_it(ask: Ask) -> None:
    prometheus = steady(5)
    (fleet_model,) = parse_fleet(CLUSTER, [POOL], [MODEL], None).models
    declared = Prometheus("http://prometheus.example.com")
    config = b'{"data":{"result":[{"metric":{"pod":"a","kv_cache_size_tokens":"80000"},"value":[1,"1"]}]}}'
    prometheus.queries[config_query(fleet_model, declared)] = config
    for query in length_queries(fleet_model, declared):
        prometheus.queries[query] = lambda at: [1000.0]
    found = ask(world(), prometheus, pools=[POOL], models=[MODEL])
    (target,) = found["targets"]
    told = target["capacity"]
    assert (told["concurrency"], told["kv_tokens"], told["request_tokens"], told["max_num_seqs"]) == (
        32,
        80000,
        2000,
        64,
    )
    assert told["declared_concurrency"] == 100 and told["formula"].endswith("= 32")
    assert [finding["id"] for finding in found["findings"]] == ["concurrency-off"] and len(found["warned"]) == 1
    prometheus.queries[config_query(fleet_model, declared)] = lambda at: []
    assert "capacity" not in ask(world(), prometheus, pools=[POOL], models=[MODEL])["targets"][0]


def test_given_values_need_neither_cluster_nor_library(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cluster, "IMPORT_ERROR", "Traceback")
    api = FakeApi()
    alone = {"cluster": None, "namespace": None}
    found = ask(api, SILENT, given=GIVEN, what_if={"replicas": 3}, **alone)
    (target,) = found["targets"]
    assert (target["desired"], target["what_if"]["desired"]) == (4, 5)
    both = ask(api, SILENT, given=[GIVEN, {**GIVEN, "replicas": 2}], query="[].desired", **alone)
    assert both["selected"] == [4, 4] and api.calls == []


def test_a_missing_library_is_named_only_where_it_is_needed(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_target_info, "JMESPATH_ERROR", "Traceback")
    assert "failed" not in ask(world(), steady(5))
    found = ask(world(), steady(5), query="[].name")
    assert found["failed"] and "jmespath" in found["msg"] and "\n" not in found["msg"]


def test_a_query_selects(ask: Ask) -> None:
    found = ask(world(4), steady(26), query="[?desired > current].{name: name, to: desired}")
    assert found["selected"] == [{"name": "llama", "to": 6}]
    assert "selected" not in ask(world(4), steady(26))


def test_a_prometheus_is_required(ask: Ask) -> None:
    found = ask(world(), SILENT, cluster={"name": "east", "provider": "kwok"})
    assert found["msg"].startswith("gpufleet_cluster.prometheus: is required")
