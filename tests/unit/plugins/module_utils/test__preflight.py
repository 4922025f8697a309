# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight refuses, what it warns of, and that it writes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._preflight import Preflight
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ClusterError, QueryRefused
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding, Severity
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import Prometheus
from ansible_collections.gpufleet.llm.plugins.module_utils.releases.charts import Install
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import VALID, fleet
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi, status
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.preflight_api import UID, Api

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")

ALL = ("karpenter", "vllm", "keda")
KEDA = Install("keda", "keda", "keda", 300, helm_binary="/no/helm")
OPERATOR = Install("gpu_operator", "gpu-operator", "./x", 1200)
LABELLED = {"app.kubernetes.io/managed-by": "gpufleet"}


def findings(api: FakeApi, *changes: tuple[str, Any], components: tuple[str, ...] = ALL) -> list[Finding]:
    """What preflight says of the valid declaration with changes."""
    return Preflight(api.cluster(), fleet(*changes), components).run()


def ids(found: list[Finding]) -> list[str]:
    """Ids, in order."""
    return [finding.id for finding in found]


def test_all_well() -> None:
    api = Api()
    checks = Preflight(api.cluster(), fleet(), ALL)
    assert checks.run() == []
    assert checks.versions == {"Kubernetes": "v1.35.4", "KEDA": "2.20.2", "Karpenter": "1.14.3", "vLLM": "0.32.0"}
    reviews = [call for call in api.calls if call.path.endswith("/selfsubjectaccessreviews")]
    assert checks.calls_checked == len(reviews) == len({str(call.body) for call in reviews})
    assert [call for call in api.writes() if "/authorization.k8s.io/" not in call.path] == []


def test_another_cluster_is_left_alone() -> None:
    api = Api()
    (finding,) = findings(api, ("cluster.uid", "00000000-0000-0000-0000-000000000000"))
    assert (finding.id, finding.severity, UID in finding.message) == ("wrong-cluster", Severity.ERROR, True)
    assert {call.path for call in api.calls} == {"/api/v1", "/api/v1/namespaces/kube-system"}


def test_the_first_use_prints_the_line_to_add() -> None:
    (finding,) = findings(Api(), ("cluster.uid", None))
    assert (finding.id, finding.severity) == ("cluster-uid-missing", Severity.WARNING)
    assert finding.fix == f"Add this line to gpufleet_cluster: uid: {UID}"


@pytest.mark.parametrize(
    ("api_version", "expected"),
    [
        pytest.param("keda.sh/v1alpha1", ["missing-api"] * 2, id="KEDA"),
        pytest.param("karpenter.kwok.sh/v1alpha1", ["object-missing"], id="the class of a named one"),
        pytest.param("readiness.node.x-k8s.io/v1alpha1", ["ready-gate-remover-missing"], id="gate"),
    ],
)
def test_missing_apis(api_version: str, expected: list[str]) -> None:
    found = findings(Api(api_version) if api_version != "karpenter.kwok.sh/v1alpha1" else without_classes())
    assert [finding.id for finding in found if finding.severity is Severity.ERROR] == expected


def without_classes() -> Api:
    """Karpenter without the node class that the pool names."""
    api = Api()
    api.objects = {ref: obj for ref, obj in api.objects.items() if ref.kind != "KWOKNodeClass"}
    return api


def test_an_api_that_the_same_run_installs_is_not_missing() -> None:
    api = Api("keda.sh/v1alpha1")
    assert "missing-api" not in ids(Preflight(api.cluster(), fleet(), ALL, [KEDA]).run())


def test_charts_that_are_installed_have_their_obstacles_versions_and_calls() -> None:
    asked: list[dict[str, str]] = []
    api = Api()
    api.deny = lambda attributes: bool(asked.append(attributes))
    checks = Preflight(api.cluster(), fleet(("versions", {"keda": "2.19.0", "vllm": "0.32.0"})), ALL, [KEDA])
    found = {(finding.id, finding.object or finding.field) for finding in checks.run()}
    assert found == {
        ("helm-missing", "keda_helm_binary"),
        ("foreign-release", "Deployment system/keda-operator"),
        ("unsupported-version", "gpufleet_versions.keda"),
    }
    calls = {(entry["verb"], entry["resource"], entry["namespace"]) for entry in asked}
    assert {("delete", "secrets", "keda"), ("create", "namespaces", ""), ("create", "clusterroles", "")} <= calls
    assert checks.adopted == {"Karpenter": "not installed by Helm"}


def test_what_others_have_installed_is_named() -> None:
    api = Api()
    labels = {"app.kubernetes.io/name": "gpu-operator", "app.kubernetes.io/version": "v25.10.1"}
    notes = {"meta.helm.sh/release-name": "gpu", "meta.helm.sh/release-namespace": "nvidia"}
    operator = observed.observed("apps/v1", "Deployment", "gpu-operator", "nvidia")
    operator["metadata"].update(labels=labels, annotations=notes)
    api.add(operator)
    checks = Preflight(api.cluster(), fleet(), ALL)
    assert [(finding.id, finding.object) for finding in checks.run()] == [("unsupported-version", "GPU Operator")]
    assert (checks.versions["GPU Operator"], checks.adopted["GPU Operator"]) == ("v25.10.1", "Helm release nvidia/gpu")


def test_every_denied_call_is_named_with_the_user() -> None:
    api = Api()
    api.deny = lambda attributes: attributes["resource"] == "scaledobjects" or attributes["verb"] == "create"
    found = findings(api)
    messages = [finding.message for finding in found]
    assert set(ids(found)) == {"missing-permission"}
    assert len(messages) == len(set(messages))
    assert "ci may not patch scaledobjects.keda.sh in namespace inference" in messages
    assert "ci may not list scaledobjects.keda.sh in the whole cluster" in messages
    assert "ci may not create namespaces in the whole cluster" in messages


def test_what_rules_tell_is_not_asked_again() -> None:
    api = Api()
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    api.rules = {"-": [{**everything, "verbs": ["list"]}], "inference": [everything]}
    api.deny = lambda attributes: True
    denied = {(finding.message.split()[3], finding.message.split(" in ")[-1]) for finding in findings(api)}
    # Events of what has no namespace are in ``default``.
    assert {place for verb, place in denied if verb == "list"} == {"namespace default", "namespace gpufleet"}
    assert {place for verb, place in denied} == {"the whole cluster", "namespace default", "namespace gpufleet"}
    reviews = [call for call in api.calls if call.path.endswith("/selfsubjectrulesreviews")]
    asked = sorted((call.body or {})["spec"]["namespace"] for call in reviews)
    assert asked == ["-", "default", "gpufleet", "inference"]


def test_a_server_that_tells_no_rules_is_asked_call_by_call() -> None:
    api = Api()
    api.fail(lambda call: call.path.endswith("/selfsubjectrulesreviews"), status(403, "forbidden"))
    assert findings(api) == []


def test_to_explain_is_optional() -> None:
    api = Api()
    api.deny = lambda attributes: attributes["resource"] in ("pods", "events")
    assert {finding.severity for finding in findings(api)} == {Severity.WARNING}


@pytest.mark.parametrize(
    ("components", "absent"),
    [
        pytest.param(("karpenter",), {"scaledobjects", "services"}, id="karpenter: scalers of warm pods are read"),
        pytest.param(("keda",), {"deployments", "nodepools"}, id="keda alone"),
    ],
)
def test_only_what_the_components_need_is_asked(components: tuple[str, ...], absent: set[str]) -> None:
    asked: list[dict[str, str]] = []
    api = Api()
    api.deny = lambda attributes: bool(asked.append(attributes))
    findings(api, components=components)
    changed = {attributes["resource"] for attributes in asked if attributes["verb"] in ("create", "patch")}
    assert changed and not changed & absent


@pytest.mark.parametrize(
    ("high", "until", "expected"),
    [
        pytest.param(9, "2026-11-24T18:00:00Z", ["override-beyond-pools", "override"], id="too much"),
        pytest.param(8, "2026-11-24T18:00:00Z", ["override"], id="as much as fits"),
        pytest.param(9, "2026-11-24T12:00:00Z", ["override-ended"], id="ended"),
        pytest.param(0, "2026-11-24T18:00:00Z", ["override-invalid"], id="not to be read"),
    ],
)
def test_what_people_decided_is_named_and_measured_against_the_pools(
    high: int, until: str, expected: list[str]
) -> None:
    api = Api()
    decided = {"min": 1, "max": high, "until": until, "who": "ann", "why": "launch day"}
    labels = {**LABELLED, "gpufleet.io/cluster": "east", "gpufleet.io/role": "keda"}
    metadata = {"name": "llama-70b", "labels": labels, "annotations": {"gpufleet.io/override": json.dumps(decided)}}
    target = {"scaleTargetRef": {"kind": "Deployment", "name": "llama-70b"}}
    api.add(observed.scaled_object(metadata=metadata, spec=target))
    found = Preflight(api.cluster(), fleet(), ALL, now=lambda: observed.NOW).run()
    assert ids(found) == expected


def test_to_delete_is_only_asked_for_what_is_ours_and_retired() -> None:
    asked: list[dict[str, str]] = []
    api = Api()
    api.deny = lambda attributes: bool(asked.append(attributes))
    api.add(observed.scaled_object(metadata={"name": "qwen", "labels": LABELLED}))
    assert findings(api) == []
    assert [(entry["resource"], entry["namespace"]) for entry in asked if entry["verb"] == "delete"] == [
        ("scaledobjects", "inference")
    ]


def test_calls_of_a_wait_are_asked_for_where_it_makes_them() -> None:
    asked: list[dict[str, str]] = []
    api = Api()
    api.deny = lambda attributes: bool(asked.append(attributes))
    findings(api, ("models[1].namespace", "other"))
    calls = {(entry["verb"], entry["resource"], entry["namespace"]) for entry in asked}
    assert {place for verb, what, place in calls if (verb, what) == ("get", "horizontalpodautoscalers")} == {
        "inference"
    }
    assert {place for verb, what, place in calls if (verb, what) == ("list", "pods")} == {
        "inference",
        "other",
        "gpufleet",
    }


@pytest.mark.parametrize(
    ("components", "installs", "expected"),
    [
        pytest.param(("keda",), [], {("get", "deployments", "inference")}, id="targets of autoscalers"),
        pytest.param(("vllm",), [], {("get", "nodepools", "")}, id="where replicas may be instead"),
        pytest.param(
            ("keda",),
            [OPERATOR],
            {
                ("get", "clusterpolicies", ""),
                ("list", "clusterpolicies", ""),
                ("get", "deployments", "gpu-operator"),
                ("list", "deployments", ""),
            },
            id="GPU Operator",
        ),
    ],
)
def test_what_a_part_of_a_run_reads_is_asked_for(
    components: tuple[str, ...], installs: list[Install], expected: set[tuple[str, str, str]]
) -> None:
    asked: list[dict[str, str]] = []
    api = Api()
    api.kinds["nvidia.com/v1"] = {"ClusterPolicy": ("clusterpolicies", False)}
    api.deny = lambda attributes: bool(asked.append(attributes))
    Preflight(api.cluster(), fleet(), components, installs).run()
    assert expected <= {(entry["verb"], entry["resource"], entry["namespace"]) for entry in asked}


def test_a_read_that_is_denied_is_told_once() -> None:
    api = Api()
    api.deny = lambda attributes: (attributes["verb"], attributes["resource"]) == ("list", "scaledobjects")
    api.fail(lambda call: call.path.endswith("/scaledobjects"), status(403, "scaledobjects is forbidden"))
    assert ids(findings(api)) == ["missing-permission"]


def test_a_node_class_that_the_run_makes_need_not_exist() -> None:
    assert findings(without_classes(), ("pools[0].node_class", None)) == []


def test_a_class_of_another_provider_has_to_exist_too() -> None:
    custom = {"group": "karpenter.kwok.sh", "version": "v1alpha1", "kind": "KWOKNodeClass", "name": "shared"}
    assert findings(Api(), ("pools[0].node_class", {"custom": custom})) == []
    (finding,) = findings(Api(), ("pools[0].node_class", {"custom": {**custom, "name": "other"}}))
    assert (finding.id, finding.field) == ("object-missing", "gpufleet_pools[0].node_class")


def test_orphans_of_a_class_of_another_provider_are_listed_and_may_be() -> None:
    asked: list[dict[str, str]] = []
    api = Api()
    api.kinds["eks.amazonaws.com/v1"] = {"NodeClass": ("nodeclasses", False)}
    api.deny = lambda attributes: bool(asked.append(attributes))
    custom = {"group": "eks.amazonaws.com", "version": "v1", "kind": "NodeClass", "spec": {"role": "r"}}
    assert findings(api, ("pools[0].node_class", {"custom": custom})) == []
    verbs = {entry["verb"] for entry in asked if entry["resource"] == "nodeclasses"}
    assert verbs == {"get", "create", "patch", "list"}


def test_a_second_autoscaler() -> None:
    api = Api()
    target = {"kind": "Deployment", "name": "llama-70b"}
    api.add(observed.hpa(metadata={"name": "by-hand"}, spec={"scaleTargetRef": target}))
    (finding,) = findings(api)
    assert (finding.id, finding.object) == ("duplicate-scaler", "Deployment inference/llama-70b")


def test_versions_outside_the_tested_ones_warn() -> None:
    api = Api()
    api.version = "v1.37.0"
    (finding,) = findings(api)
    assert (finding.id, finding.severity) == ("unsupported-version", Severity.WARNING)


def test_a_version_is_read_from_the_crd_where_no_deployment_says_it() -> None:
    api = Api()
    api.objects = {ref: obj for ref, obj in api.objects.items() if ref.name != "keda-operator"}
    assert ids(findings(api)) == ["unknown-version"]
    labels = {"app.kubernetes.io/version": "2.19.0"}
    crd = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "scaledobjects.keda.sh")
    api.add(observed.observed(*crd, metadata={"labels": labels}))
    assert ids(findings(api)) == ["unsupported-version"]


def test_an_existing_pool_without_nodes() -> None:
    (finding,) = findings(Api(), ("pools[1].node_selector", {"example.com/gpu": "b200"}))
    assert (finding.id, finding.field) == ("pool-unschedulable", "gpufleet_pools[1].node_selector")


def test_a_pod_that_no_node_takes() -> None:
    (finding,) = findings(Api(), ("models[1].engine", {"memory": "2Ti"}))
    assert (finding.id, finding.field) == ("pool-unschedulable", "gpufleet_models[1]")


def test_pods_have_to_fit_every_pool_that_they_may_use() -> None:
    api = Api()
    api.add(observed.observed("v1", "Node", "n2", metadata={"labels": {"rack": "7"}}, status={"allocatable": {
        "cpu": "4", "memory": "1Ti", "nvidia.com/gpu": "8"}}))  # fmt: skip
    rack = {"name": "rack", "gpu": "a100-40gb", "gpus_per_node": 8, "node_selector": {"rack": "7"}}
    (finding,) = findings(api, ("pools", [*VALID["pools"], rack]), ("models[1].pool", ["old", "rack"]))
    assert (finding.id, finding.field) == ("pool-unschedulable", "gpufleet_models[1]")
    assert "pool 'rack'" in finding.message


def test_what_may_not_be_read_is_a_warning() -> None:
    api = Api()
    api.fail(lambda call: call.path == "/api/v1/nodes", status(403, "nodes is forbidden"))
    (finding,) = findings(api)
    assert (finding.id, finding.severity) == ("missing-permission", Severity.WARNING)


def test_a_cluster_that_cannot_be_told_is_an_error_beside_the_other_ones() -> None:
    api = Api()
    api.fail(lambda call: call.path.endswith("/kube-system"), status(403, "namespaces is forbidden"))
    api.deny = lambda attributes: attributes["resource"] == "nodepools" and attributes["verb"] == "list"
    assert [finding.severity for finding in findings(api)] == [Severity.ERROR, Severity.ERROR]


def test_a_server_that_breaks_is_no_finding() -> None:
    api = Api()
    api.fail(lambda call: call.path == "/api/v1/nodes", *[status(500, "boom")] * 3)
    with pytest.raises(ClusterError, match="boom"):
        findings(api)


def test_errors_come_first() -> None:
    api = Api("readiness.node.x-k8s.io/v1alpha1")
    assert ids(
        findings(api, ("cluster.uid", None), ("models[0].replicas.min", 1), ("models[0].scaling.fallback.replicas", 1))
    ) == [
        "ready-gate-remover-missing",
        "cluster-uid-missing",
        "single-replica",
    ]


def test_a_prometheus_that_does_not_answer_the_controller_is_a_warning() -> None:
    asked: list[str] = []

    def unreachable(prometheus: Prometheus, query: str) -> None:
        asked.append(str(prometheus.url))
        raise ClusterError([Finding("unreachable", Severity.ERROR, "does not answer a query", object="Prometheus")])

    (finding,) = Preflight(Api().cluster(), fleet(), ALL, query=unreachable).run()
    assert (finding.id, finding.severity, finding.object) == ("unreachable", Severity.WARNING, "Prometheus")
    assert Preflight(Api().cluster(), fleet(), ("karpenter", "vllm"), query=unreachable).run() == []
    assert asked == ["https://prometheus.example.com/east"]


def test_queries_that_prometheus_has_nothing_for_are_errors_where_replicas_serve() -> None:
    api = Api()
    checks = Preflight(api.cluster(), fleet(), ALL, query=lambda prometheus, query: [({}, 1.0)] * ("kv_" not in query))
    assert checks.run() == []
    available = {"type": "Available", "status": "True", "lastTransitionTime": "2026-11-01T00:00:00Z"}
    api.add(observed.observed("apps/v1", "Deployment", "llama-70b", "inference",
                              status={"readyReplicas": 3, "conditions": [available]}))  # fmt: skip
    (finding,) = checks.run()
    assert (finding.id, finding.severity, finding.message) == (
        "metric-missing", Severity.ERROR, "returns nothing, although 3 replicas are ready",
    )  # fmt: skip


def test_a_query_that_prometheus_refuses_is_an_error_of_its_trigger() -> None:
    def answers(prometheus: Prometheus, query: str) -> list[Any]:
        if "kv_" in query:
            raise QueryRefused([Finding("metric-missing", Severity.ERROR, "refuses a query", object="Prometheus")])
        return [({}, 1.0)]

    (finding,) = Preflight(Api().cluster(), fleet(), ALL, query=answers).run()
    assert (finding.severity, finding.line()) == (
        Severity.ERROR,
        "ScaledObject inference/llama-70b spec.triggers[1].metadata.query: refuses a query.",
    )


def test_an_autoscaler_that_cannot_work_is_told() -> None:
    (finding,) = findings(Api(), ("models[0].scaling.kv_cache", 0.95))
    # The demand on the model still adds replicas.
    assert (finding.id, finding.severity) == ("threshold-unreachable", Severity.WARNING)
    assert ids(findings(Api(), ("models[0].scaling.kv_cache", 0.95), components=("vllm",))) == []
