# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Out again: what left the inventory, then the whole fleet; held up twice on its way, and nothing of others touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from e2e import declaration
from e2e.fleet import Fleet
from e2e.observed import Json, path, snapshot, until
from e2e.playbook import Run
from testbed.api import Api, resource_path
from testbed.audit import AuditLog, Call, writes
from testbed.bed import Bed

NAMESPACE, POOL = declaration.NAMESPACE, declaration.POOL
WITHIN_S = 60
#: A model that loads in no time.
QUICK = {f"testbed.gpufleet.io/{stage}": "100ms" for stage in ("pull", "load", "compile", "warmup", "teardown")}
LIFECYCLE = {"p99_generation": "1s", "cold_start": "5s", "pre_stop": "0s", "teardown": "1s"}
CLAIMS = resource_path("karpenter.sh/v1", "nodeclaims")
HELD = path("Service", NAMESPACE, declaration.MODEL)
SCALED = path("ScaledObject", NAMESPACE, declaration.MODEL)
FINALIZER = "example.com/hold"

#: A run, and what it wrote.
Outcome = tuple[Run, list[Call]]


def _model(name: str, **more: Any) -> Json:
    overrides = {"Deployment": {"spec": {"template": {"metadata": {"annotations": QUICK}}}}}
    return declaration.model(name, **{"lifecycle": LIFECYCLE, "overrides": overrides, **more})


OLD_POOL = declaration.pool(name="old")
OLD_MODEL = _model("old", namespace="batch", pool="old", replicas={"count": 1})


@pytest.fixture(scope="module")
def smaller(empty_bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """What stays in the inventory."""
    pools = [declaration.pool(nodes={"max": 4, "warm": {"count": 1}})]
    variables = declaration.variables(empty_bed, _model(declaration.MODEL), pools=pools)
    return Fleet(tmp_path_factory.mktemp("uninstall"), {"local": variables})


@pytest.fixture(scope="module")
def applied(smaller: Fleet, api: Api) -> Fleet:
    """With a pool and a model that are going to leave it. Their pods run."""
    (declared,) = smaller.hosts.values()
    whole = smaller.having("gpufleet_pools", [*declared["gpufleet_pools"], OLD_POOL])
    whole = whole.having("gpufleet_models", [*declared["gpufleet_models"], OLD_MODEL])
    whole.apply()
    for namespace in ("batch", NAMESPACE, "gpufleet"):
        until(lambda: _all_run(api, namespace), WITHIN_S, f"the pods of {namespace} run")  # noqa: B023
    return whole


def test_what_left_the_inventory_is_an_orphan_until_it_is_pruned(applied: Fleet, smaller: Fleet, api: Api) -> None:
    told = smaller.apply()
    assert told.changed == 0
    orphans = {entry["object"] for task in told.of("apply") for entry in task.result["findings"]}
    kinds = ("Deployment", "Service", "ServiceAccount", "PodDisruptionBudget")
    assert orphans == {"NodePool old", "KWOKNodeClass old", *(f"{kind} batch/old" for kind in kinds)}
    kept = smaller.apply(components=["karpenter"], prune=True)
    assert kept.changed == 0
    messages = {entry["object"]: entry["message"] for entry in kept.of("apply")[0].result["findings"]}
    assert "1 GPU pods run on it: batch/old-" in messages["NodePool old"]
    smaller.apply(components=["vllm"], prune=True)
    until(lambda: not api.list(resource_path("v1", "pods", "batch")), WITHIN_S, "the pods of the model end")
    pruned = smaller.apply(components=["karpenter"], prune=True)
    assert {entry[:3] for entry in pruned.moved} == {("NodePool", "", "old"), ("KWOKNodeClass", "", "old")}
    assert api.find(path("NodePool", name="old")) is None


@dataclass(frozen=True)
class Story:
    """Uninstalled with an inventory that declares no more than the cluster: predicted, held by a finalizer, held by the
    pod of somebody else, to the end, and once more."""

    unconfirmed: Outcome
    wrong: Outcome
    before: set[tuple[str, str, str]]
    predicted: Outcome
    stuck: Outcome
    in_use: Outcome
    last: Outcome
    again: Outcome
    others: tuple[dict[str, str], dict[str, str]]


@pytest.fixture(scope="module")
def story(applied: Fleet, smaller: Fleet, bed: Bed, api: Api, audit: AuditLog) -> Iterator[Story]:
    # Namespaces and whatever is in them are not for those who only converge.
    bare = smaller.having("gpufleet_cluster.auth.kubeconfig", bed.kubeconfigs["install"])
    bare = bare.having("gpufleet_pools", None).having("gpufleet_models", None)

    def uninstall(*options: str, confirm: str = "e2e", fails: bool = False, **variables: str) -> Outcome:
        fleet, since = bare, audit.mark()
        for name, value in variables.items():
            fleet = fleet.having(name, value)
        confirmed = ("-e", f"uninstall_confirm={confirm}") if confirm else ()
        run = fleet.run("gpufleet.llm.uninstall", *confirmed, *options, fails=fails)
        return run, writes(audit.calls(since, "install"))

    paths = _foreign(api)
    before = set(snapshot(api))
    unconfirmed, wrong = uninstall(confirm="", fails=True), uninstall(confirm="west", fails=True)
    # Now, because by the end of two runs their controllers have settled.
    others = {each: _version(api, each) for each in paths}
    decided = {"min": 1, "max": 2, "until": "2099-01-01T00:00:00Z", "who": "ops", "why": "launch"}
    api.patch(SCALED, {"metadata": {"annotations": {"gpufleet.io/override": json.dumps(decided)}}})
    predicted = uninstall("--check", "--diff")
    api.patch(HELD, {"metadata": {"finalizers": [FINALIZER]}})
    stuck = uninstall(vllm_uninstall_timeout="4s", fails=True)
    api.patch(HELD, {"metadata": {"finalizers": None}})
    pods = resource_path("v1", "pods", "team")
    node = api.list(resource_path("v1", "nodes"), {"labelSelector": f"karpenter.sh/nodepool={POOL}"})[0]
    api.create(pods, _gpu_pod(node["metadata"]["name"]))
    in_use = uninstall(fails=True)
    api.delete(f"{pods}/theirs", {"gracePeriodSeconds": 0})
    last, again = uninstall(), uninstall()
    after = {each: _version(api, each) for each in paths}
    yield Story(unconfirmed, wrong, before, predicted, stuck, in_use, last, again, (others, after))


def test_nothing_happens_without_the_name_of_the_cluster(story: Story) -> None:
    assert (story.unconfirmed[1], story.wrong[1]) == ([], [])
    fix = "If that is meant, run with: --limit local -e uninstall_confirm=e2e"
    for (run, _), said in ((story.unconfirmed, "uninstall_confirm: is not set,"), (story.wrong, "is 'west',")):
        assert len(run.tasks) == 1
        message = run.failure.result["msg"]
        assert said in message
        assert message.endswith(fix)
        assert "\n" not in message


def test_check_mode_predicts_what_is_deleted(story: Story) -> None:
    assert story.predicted[1] == []
    runs = [story.stuck[0], story.in_use[0], story.last[0]]
    assert story.predicted[0].moved == set().union(*(run.moved for run in runs))
    kept = {("Namespace", "", NAMESPACE)}
    assert {entry[:3] for entry in story.predicted[0].moved} == story.before - kept
    assert {entry[3] for entry in story.predicted[0].moved} == {"delete"}


def test_a_finalizer_that_nobody_removes_is_named(story: Story) -> None:
    result = story.stuck[0].failure.result
    assert result["msg"].startswith(
        f"Service {NAMESPACE}/{declaration.MODEL}: is being deleted, and waits for finalizer {FINALIZER}, which is "
        "removed by the controller that has set it."
    )
    assert result["msg"].endswith("Gave up after 4s.")
    assert result["findings"][0]["id"] == "finalizer"
    assert result["changed"] is True


def test_a_decision_that_goes_with_an_autoscaler_is_told(story: Story) -> None:
    for run in (story.predicted[0], story.stuck[0]):
        findings = [entry for task in run.of("remove") for entry in task.result.get("findings", [])]
        (lost,) = (entry for entry in findings if entry["id"] == "decision-dropped")
        assert lost["object"] == f"ScaledObject {NAMESPACE}/{declaration.MODEL}"
        warning = "is deleted, and with it: override by ops until 2099-01-01T00:00:00Z"
        assert warning in " ".join(run.output.split())


def test_no_node_goes_under_the_pods_of_others(story: Story) -> None:
    result = story.in_use[0].failure.result
    assert result["msg"].startswith(f"NodePool {POOL}: 1 GPU pods run on it: team/theirs.")
    assert result["findings"][0]["id"] == "in-use"
    assert story.in_use[1] == []


def test_nothing_of_ours_is_left_but_a_namespace_in_which_others_are(story: Story, api: Api) -> None:
    assert set(snapshot(api)) == {("Namespace", "", NAMESPACE)}
    assert api.list(CLAIMS) == []
    assert {node["metadata"]["name"] for node in api.list(resource_path("v1", "nodes"))} == {"system"}
    (finding,) = (entry for task in story.last[0].of("remove") for entry in task.result.get("findings", []))
    assert (finding["id"], finding["object"]) == ("namespace-kept", f"Namespace {NAMESPACE}")
    assert f"others have objects in it: ConfigMap {NAMESPACE}/theirs" in finding["message"]


def test_a_second_run_changes_and_writes_nothing(story: Story) -> None:
    assert (story.again[0].changed, story.again[1]) == (0, [])


def test_objects_of_others_are_untouched(story: Story) -> None:
    before, after = story.others
    assert before == after


def _all_run(api: Api, namespace: str) -> bool:
    pods = api.list(resource_path("v1", "pods", namespace))
    return bool(pods) and all(pod["status"].get("phase") == "Running" for pod in pods)


def _version(api: Api, where: str) -> str:
    return str(api.get(where)["metadata"]["resourceVersion"])


def _gpu_pod(node: str) -> Json:
    gpus = {"nvidia.com/gpu": "1"}
    container = {"name": "c", "image": "research", "resources": {"limits": gpus, "requests": gpus}}
    spec = {"nodeName": node, "containers": [container], "tolerations": [{"operator": "Exists"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "theirs", "namespace": "team"}, "spec": spec}


def _foreign(api: Api) -> list[str]:
    """What others have beside the fleet and within its namespace; returned when their controllers have seen it."""
    meta: Json = {"name": "theirs"}
    there = {**meta, "namespace": "team"}
    pool = api.get(path("NodePool", name=POOL))["spec"]
    reference = {**pool["template"]["spec"]["nodeClassRef"], "name": "theirs"}
    spec = {"template": {"spec": {**pool["template"]["spec"], "nodeClassRef": reference}}}
    paused = {"autoscaling.keda.sh/paused": "true"}
    times = {"timezone": "UTC", "start": "0 0 1 1 *", "end": "1 0 1 1 *", "desiredReplicas": "1"}
    trigger = {"type": "cron", "metadata": times}
    scaled = {"scaleTargetRef": {"name": "theirs"}, "triggers": [trigger], "minReplicaCount": 0}
    pod = {"metadata": {"labels": {"app": "theirs"}}, "spec": {"containers": [{"name": "c", "image": "theirs"}]}}
    deployment = {"replicas": 0, "selector": {"matchLabels": {"app": "theirs"}}, "template": pod}
    created: list[tuple[str, str, str, Json, Json]] = [
        (path("Namespace"), "v1", "Namespace", {"name": "team"}, {}),
        (resource_path("v1", "configmaps", NAMESPACE), "v1", "ConfigMap", {**meta, "namespace": NAMESPACE}, {}),
        (path("KWOKNodeClass"), "karpenter.kwok.sh/v1alpha1", "KWOKNodeClass", meta, {}),
        (path("NodePool"), "karpenter.sh/v1", "NodePool", meta, {"spec": spec}),
        (path("Deployment", "team"), "apps/v1", "Deployment", there, {"spec": deployment}),
        (
            path("ScaledObject", "team"),
            "keda.sh/v1alpha1",
            "ScaledObject",
            {**there, "annotations": paused},
            {"spec": scaled},
        ),
    ]
    for where, api_version, kind, metadata, content in created:
        api.create(where, {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content})
    paths = [f"{where}/{metadata['name']}" for where, _, kind, metadata, _ in created if kind != "Deployment"]
    for where in (path("NodePool", name="theirs"), path("ScaledObject", "team", "theirs")):
        until(lambda: "Ready" in _conditions(api.get(where)), WITHIN_S, f"{where} is seen")  # noqa: B023
    return paths


def _conditions(item: Json) -> set[str]:
    return {entry["type"] for entry in item.get("status", {}).get("conditions") or [] if entry["status"] == "True"}
