# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A component is taken away in order, as predicted, from wherever the last run ended, and nothing of others with it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._remove import Options, Remover, Step
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ClusterError, RemoveError
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi, status
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.runs import (
    INFERENCE,
    LLAMA,
    POOL,
    SCALER,
    converged,
    gpu_pod,
    node,
)

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")

ORDER = ("keda", "vllm", "karpenter")
WITH_CLASS = ("pools[0].node_class", None)
SERVICE = Ref("v1", "Service", "inference", "llama-70b")
DEFINITION = "CustomResourceDefinition"
LABELS = {"app.kubernetes.io/managed-by": "gpufleet", "gpufleet.io/cluster": "east"}


class Killed(Exception):
    """The end of a run."""


class Api(FakeApi):
    """With what else lives in namespaces, and a node class that only its users know."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds["v1"] = {**self.kinds["v1"], "ConfigMap": ("configmaps", True), "Event": ("events", True)}
        self.kinds["karpenter.example.com/v1"] = {"ExampleNodeClass": ("examplenodeclasses", False)}
        self.kinds["apiextensions.k8s.io/v1"] = {DEFINITION: ("customresourcedefinitions", False)}

    def collect(self, deleted: Ref) -> None:
        """What the garbage collector does."""
        owner = (deleted.kind, deleted.name)
        for ref, owned in list(self.objects.items()):
            owners = owned.obj["metadata"].get("ownerReferences", [])
            if deleted not in self.objects and owner in [(entry["kind"], entry["name"]) for entry in owners]:
                del self.objects[ref]


def fleet_api(*changes: tuple[str, Any]) -> Api:
    """A server with a converged fleet, and what Kubernetes puts into its namespaces."""
    api, done = Api(), converged(WITH_CLASS, *changes)
    api.objects = done.objects
    api.on_delete = api.collect
    api.add(observed.observed("v1", "ConfigMap", "kube-root-ca.crt", "inference"))
    api.add(observed.observed("v1", "ServiceAccount", "default", "inference"))
    api.add(observed.observed("v1", "Event", "e", "inference"))
    return api


def take(api: FakeApi, component: str, budget_s: float = 0, **options: Any) -> Step:
    """One step, or the prediction."""
    remover = Remover(api.cluster(), "east", component, Options(**options), clock=api.clock, now=lambda: observed.NOW)
    return remover.predict() if remover.options.check else remover.step(budget_s)


def deleted(step: Step) -> list[str]:
    """What a step has deleted, in order."""
    return [str(change.ref) for change in step.changes]


def all_of(api: FakeApi) -> list[str]:
    """What of ours is there, without what controllers have made of it."""
    found = [(ref, owned.obj["metadata"]) for ref, owned in api.objects.items()]
    ours = [(ref, meta) for ref, meta in found if meta.get("labels", {}).get("gpufleet.io/cluster") == "east"]
    return [str(ref) for ref, meta in ours if "ownerReferences" not in meta]


def test_everything_goes_as_predicted_and_what_uses_others_before_them() -> None:
    api = fleet_api()
    there = all_of(api)
    predicted = [name for component in ORDER for name in deleted(take(api, component, check=True))]
    assert api.writes() == [] and sorted(predicted) == sorted(there)
    done = [take(api, component, budget_s=5) for component in ORDER]
    assert all(step.done for step in done) and all_of(api) == []
    assert sorted(name for step in done for name in deleted(step)) == sorted(there)
    keda, vllm, karpenter = (deleted(step) for step in done)
    assert [name.partition(" ")[0] for name in keda] == ["ScaledObject", "TriggerAuthentication"]
    assert list(dict.fromkeys(name.partition(" ")[0] for name in vllm)) == [
        "Deployment", "PodDisruptionBudget", "Service", "ServiceAccount", "Namespace",
    ]  # fmt: skip
    assert karpenter == [
        "Deployment gpufleet/warm-h100", "NodePool h100", "KWOKNodeClass h100", "PriorityClass gpufleet-warm",
        "Namespace gpufleet",
    ]  # fmt: skip
    api.calls.clear()
    assert [deleted(take(api, component, budget_s=5)) for component in ORDER] == [[], [], []]
    assert [call for call in api.calls if call.method != "GET"] == []


def test_what_owns_pods_or_nodes_goes_after_them() -> None:
    api = fleet_api()
    for component in ORDER:
        take(api, component, budget_s=5)
    assert {call.query["propagationPolicy"] for call in api.writes()} == {"Foreground"}


def test_a_run_that_was_killed_at_any_call_is_continued() -> None:
    api = fleet_api()
    for component in ORDER:
        take(api, component, budget_s=5)
    for killed_at in range(0, len(api.calls), 7):
        again, seen = fleet_api(), iter(range(10**6))
        again.fail(lambda call, at=killed_at, seen=seen: next(seen) == at, Killed())  # type: ignore[misc]
        with pytest.raises(Killed):
            for component in ORDER:
                take(again, component, budget_s=5)
        assert all(take(again, component, budget_s=5).done for component in ORDER) and all_of(again) == []


def test_objects_that_nobody_declares_any_more_and_custom_node_classes_go_too() -> None:
    api = fleet_api()
    labels = {**LABELS, "gpufleet.io/role": "karpenter"}
    api.add(observed.observed("karpenter.example.com/v1", "ExampleNodeClass", "x", metadata={"labels": labels}))
    api.add(observed.observed("karpenter.sh/v1", "NodePool", "left", metadata={"labels": labels}))
    for component in ("keda", "vllm"):
        take(api, component, budget_s=5)
    gone = deleted(take(api, "karpenter", budget_s=5))
    assert gone.index("NodePool left") < gone.index("ExampleNodeClass x")
    assert all_of(api) == []


@pytest.mark.parametrize("labels", [{}, {**LABELS, "gpufleet.io/cluster": "west", "gpufleet.io/role": "vllm"}])
def test_a_namespace_with_objects_of_others_stays_and_says_so(labels: dict[str, str]) -> None:
    api = fleet_api()
    theirs = api.add(observed.observed("v1", "ConfigMap", "theirs", "inference", metadata={"labels": labels}))
    take(api, "keda", budget_s=5)
    predicted, step = take(api, "vllm", check=True), take(api, "vllm", budget_s=5)
    assert deleted(predicted) == deleted(step) and INFERENCE in api.objects and theirs in api.objects
    (finding,) = step.findings
    assert (finding.id, finding.object) == ("namespace-kept", "Namespace inference")
    assert "others have objects in it: ConfigMap inference/theirs" in finding.message
    assert step.done and predicted.findings == step.findings
    assert take(api, "karpenter", budget_s=5).findings == ()


def test_a_namespace_with_nothing_but_kinds_of_an_older_version_stays() -> None:
    """As that of NVIDIADriver: nvidia.com/v1 is preferred, and does not have it."""
    api = fleet_api()
    api.kinds["example.com/v1"] = {"Thing": ("things", True)}
    api.kinds["example.com/v1alpha1"] = {"Older": ("olders", True)}
    api.add(observed.observed("example.com/v1alpha1", "Older", "theirs", "inference"))
    take(api, "keda", budget_s=5)
    (finding,) = take(api, "vllm", budget_s=5).findings
    assert INFERENCE in api.objects and "Older inference/theirs" in finding.message


def test_a_namespace_that_cannot_be_looked_into_stays() -> None:
    api = fleet_api()
    take(api, "keda", budget_s=5)
    api.fail(lambda call: call.path.endswith("inference/configmaps"), status(403, "configmaps is forbidden"))
    step = take(api, "vllm", budget_s=5)
    assert INFERENCE in api.objects
    assert "may not list what is in it: ConfigMap" in step.findings[0].message


def test_a_namespace_of_others_stays() -> None:
    api = fleet_api()
    api.objects[INFERENCE].obj["metadata"]["labels"] = {"team": "a"}
    for component in ORDER:
        take(api, component, budget_s=5)
    assert INFERENCE in api.objects and all_of(api) == []


def test_a_namespace_waits_for_the_role_whose_objects_are_in_it() -> None:
    """Roles may share one: whichever of them empties it takes it away."""
    api = fleet_api(("cluster.namespace", "inference"))
    take(api, "keda", budget_s=5)
    step = take(api, "vllm", budget_s=5)
    assert step.done and step.findings == () and INFERENCE in api.objects
    assert take(api, "karpenter", budget_s=5).done and INFERENCE not in api.objects


def test_a_held_object_is_named_with_its_finalizer_and_deleted_once() -> None:
    api = fleet_api()
    take(api, "keda", budget_s=5)
    api.edit(SERVICE, {"metadata": {"finalizers": ["service.kubernetes.io/load-balancer-cleanup"]}})
    step = take(api, "vllm", budget_s=5)
    assert not step.done
    assert step.progress == "Service inference/llama-70b (waits for service.kubernetes.io/load-balancer-cleanup)"
    assert [(entry.id, entry.object) for entry in step.findings] == [("finalizer", "Service inference/llama-70b")]
    assert "which is removed by the cloud's controller manager" in step.findings[0].message
    assert Ref("v1", "ServiceAccount", "inference", "llama-70b") in api.objects
    assert deleted(take(api, "vllm", check=True)).count(str(SERVICE)) == 0
    assert deleted(take(api, "vllm", budget_s=5)) == []


def test_what_there_is_no_time_for_is_told_to_be_left_for_the_next_run() -> None:
    api = fleet_api()
    take(api, "keda", budget_s=5)
    step = take(api, "vllm")
    assert step.progress == "PodDisruptionBudget inference/llama-70b (comes next) and 1 more"
    assert step.findings[0].line() == (
        "PodDisruptionBudget inference/llama-70b: is still to be deleted, but time is up. Run again to go on."
    )


@pytest.mark.parametrize("check", [True, False])
def test_a_decision_that_goes_with_an_autoscaler_is_told(check: bool) -> None:
    api = fleet_api()
    api.edit(SCALER, {"metadata": {"annotations": {"autoscaling.keda.sh/paused": "true"}}})
    options = Options(check)
    remover = Remover(api.cluster(), "east", "keda", options, clock=api.clock)
    assert remover.predict().done if check else remover.step(5).done
    assert [(entry.id, entry.object) for entry in remover.lost] == [("decision-dropped", str(SCALER))]


def test_what_is_behind_a_held_object_is_named_first() -> None:
    api = fleet_api()
    take(api, "keda", budget_s=5)
    api.edit(LLAMA, {"metadata": {"finalizers": ["foregroundDeletion"]}})
    ending = {"deletionTimestamp": "2026-11-01T00:01:00Z"}
    pod = gpu_pod("llama-1", "n1", labels=dict(api.objects[LLAMA].obj["spec"]["selector"]["matchLabels"]))
    pod["metadata"].update(ending)
    api.add(pod)
    step = take(api, "vllm")
    assert [entry.object for entry in step.findings] == ["Pod inference/llama-1", "Deployment inference/llama-70b"]
    assert step.findings[0].message == "is being deleted; has until 2026-11-01T00:01:00Z to end"


def test_pods_of_others_keep_a_node_pool_and_those_of_models_only_while_they_run() -> None:
    api = fleet_api()
    for component in ("keda", "vllm"):
        take(api, component, budget_s=5)
    api.add(node("n1", "h100"))
    ours = api.add(gpu_pod("llama-1", "n1", labels={"gpufleet.io/model": "llama-70b"}))
    assert str(POOL) in deleted(take(api, "karpenter", check=True))
    with pytest.raises(RemoveError) as raised:
        take(api, "karpenter", budget_s=5)
    assert raised.value.line() == (
        "NodePool h100: 1 GPU pods run on it: inference/llama-1. Move or end them, then run again."
    )
    assert raised.value.findings[0].id == "in-use"
    del api.objects[ours]
    api.add(gpu_pod("theirs", "n1"))
    for check in (True, False):
        with pytest.raises(RemoveError, match="inference/theirs"):
            take(api, "karpenter", check=check)
    assert Ref("apps/v1", "Deployment", "gpufleet", "warm-h100") in api.objects


def test_pods_that_come_while_something_else_goes_keep_a_node_pool_too() -> None:
    api = fleet_api()
    for component in ("keda", "vllm"):
        take(api, component, budget_s=5)
    api.add(node("n1", "h100"))

    def arrive(deleted: Ref) -> None:
        if deleted.kind == "Deployment":
            api.add(gpu_pod("theirs", "n1"))

    api.on_delete = arrive
    with pytest.raises(RemoveError, match="inference/theirs"):
        take(api, "karpenter", budget_s=5)
    assert POOL in api.objects and "deletionTimestamp" not in api.objects[POOL].obj["metadata"]


def test_a_node_class_that_pools_of_others_use_stays() -> None:
    api = fleet_api()
    theirs = observed.observed("karpenter.sh/v1", "NodePool", "theirs")
    theirs["spec"] = {
        "template": {"spec": {"nodeClassRef": api.objects[POOL].obj["spec"]["template"]["spec"]["nodeClassRef"]}}
    }
    added = api.add(theirs)
    for check in (True, False):
        with pytest.raises(RemoveError, match="KWOKNodeClass h100: NodePool theirs makes its nodes by it"):
            take(api, "karpenter", check=check)
    del api.objects[added]
    assert take(api, "karpenter", budget_s=5).done


def test_models_stay_as_long_as_they_are_scaled() -> None:
    api = fleet_api()
    with pytest.raises(RemoveError, match="Take the role keda away first") as raised:
        take(api, "vllm", budget_s=5)
    assert str(SCALER) in {finding.object for finding in raised.value.findings}
    assert api.writes() == []


def definitions(api: Api) -> list[str]:
    """The definitions that are left."""
    return [ref.name for ref in api.objects if ref.kind == DEFINITION]


def test_definitions_go_last_and_only_on_demand() -> None:
    api = fleet_api()
    for name in ("scaledobjects.keda.sh", "cloudeventsources.eventing.keda.sh", "nodepools.karpenter.sh"):
        api.add(observed.observed("apiextensions.k8s.io/v1", DEFINITION, name))
    take(api, "keda", budget_s=5)
    assert len(definitions(api)) == 3
    predicted = take(api, "keda", definitions=True, check=True)
    assert deleted(predicted) == deleted(take(api, "keda", budget_s=5, definitions=True))
    assert definitions(api) == ["nodepools.karpenter.sh"]


def test_definitions_with_objects_of_others_are_refused_before_anything_is_deleted() -> None:
    api = fleet_api()
    api.add(observed.observed("keda.sh/v1alpha1", "ScaledObject", "theirs", "team"))
    with pytest.raises(RemoveError) as raised:
        take(api, "keda", definitions=True)
    (finding,) = raised.value.findings
    assert (finding.id, finding.object) == ("in-use", "ScaledObject team/theirs")
    assert "definition scaledobjects.keda.sh" in finding.message and api.writes() == []
    assert take(api, "keda", budget_s=5).done


def test_nodes_that_our_pools_own_are_not_of_others() -> None:
    api = fleet_api()
    api.kinds["karpenter.sh/v1"] = {**api.kinds["karpenter.sh/v1"], "NodeClaim": ("nodeclaims", False)}
    api.edit(POOL, {"metadata": {"uid": "u"}})
    owned = {"ownerReferences": [{"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "name": "h100", "uid": "u"}]}
    api.add(observed.observed("karpenter.sh/v1", "NodeClaim", "h100-1", metadata=owned))
    take(api, "karpenter", definitions=True, check=True)
    api.add(observed.observed("karpenter.sh/v1", "NodeClaim", "theirs"))
    with pytest.raises(RemoveError, match="NodeClaim theirs"):
        take(api, "karpenter", definitions=True, check=True)


def test_an_autoscaler_whose_owner_went_with_its_definition_goes_too() -> None:
    api = fleet_api()
    del api.objects[SCALER], api.kinds["keda.sh/v1alpha1"]
    assert deleted(take(api, "keda", check=True)) == ["HorizontalPodAutoscaler inference/keda-hpa-llama-70b"]
    assert take(api, "keda", budget_s=5).done
    assert take(api, "vllm", budget_s=5).done and INFERENCE not in api.objects


@pytest.mark.parametrize("missing", ["keda.sh/v1alpha1", "karpenter.sh/v1"])
def test_a_cluster_without_the_definitions_has_less_to_remove(missing: str) -> None:
    api = fleet_api()
    api.objects = {ref: owned for ref, owned in api.objects.items() if ref.api_version != missing}
    del api.kinds[missing]
    assert all(take(api, component, budget_s=5).done for component in ORDER) and all_of(api) == []


def test_nothing_is_deleted_when_one_deletion_is_refused() -> None:
    api = fleet_api()
    message = (
        'scaledobjects "qwen" is forbidden: User "x" cannot delete resource "scaledobjects" in API group "keda.sh"'
    )
    api.fail(lambda call: call.method == "DELETE" and "/triggerauthentications/" in call.path, status(403, message))
    with pytest.raises(RemoveError) as raised:
        take(api, "keda", budget_s=5)
    assert raised.value.findings[0].id == "missing-permission" and api.writes() == []


def test_a_server_that_fails_in_the_middle_is_an_error() -> None:
    api = fleet_api()
    api.fail(lambda call: call.path.endswith("/scaledobjects"), *[status(500, "etcd is down")] * 9)
    with pytest.raises(ClusterError, match="etcd is down"):
        take(api, "keda")
