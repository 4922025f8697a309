# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role gpu_operator against a chart of the vendor's name, version and values: in, again, changed, refused."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.fleet import Fleet, play
from e2e.helm_warnings import unexpected
from e2e.observed import until
from e2e.playbook import Run
from testbed import reset, toolchain, versions
from testbed.api import Api, resource_path
from testbed.audit import AuditLog, Call, writes
from testbed.bed import Bed

Json = dict[str, Any]

CHART = Path(toolchain.__file__).parent / "charts/gpu-operator"
NAMESPACE = "gpu-operator"
POLICIES = resource_path("nvidia.com/v1", "clusterpolicies")
POLICY = f"{POLICIES}/cluster-policy"
NODES = resource_path("v1", "nodes")
EXISTING: Json = {"name": "own", "gpu": "h100-80gb", "gpus_per_node": 8, "node_selector": {"example.com/gpu": "h100"}}
HELM = toolchain.kubectl_directory() / "helm"
DEFINITION = resource_path("apiextensions.k8s.io/v1", "customresourcedefinitions", name="clusterpolicies.nvidia.com")
SECRETS = resource_path("v1", "secrets", NAMESPACE)
DEPLOYMENTS = resource_path("apps/v1", "deployments", NAMESPACE)

#: A run, and what it wrote.
Outcome = tuple[Run, list[Call]]


@dataclass(frozen=True)
class Operator:
    """Runs the role, and counts what it wrote. It is that of helm 4 unless ``helm`` is another one."""

    fleet: Fleet
    audit: AuditLog

    def __call__(
        self, *options: str, fails: bool = False, helm: Path = HELM, tasks: str = "main", **variables: Any
    ) -> Outcome:
        fleet, role = self.fleet, {"name": "gpufleet.llm.gpu_operator", "tasks_from": tasks}
        settings = {"chart_ref": str(CHART), "chart_repo_url": "", "helm_binary": str(helm), "wait_timeout": "30s"}
        for name, value in {**settings, **variables}.items():
            fleet = fleet.having(name if name.startswith("gpufleet_") else f"gpu_operator_{name}", value)
        since = self.audit.mark()
        run = fleet.run(play({"ansible.builtin.include_role": role}), *options, fails=fails)
        assert unexpected(run.output) == []
        return run, writes(self.audit.calls(since, "install"))


@dataclass(frozen=True)
class Story:
    """Helm 3 installs on an empty bed, helm 4 takes over; what the cluster held after the first and the last run."""

    predicted: Outcome
    first: Outcome
    installed: Mapping[str, Json]
    again: Outcome
    taken_over: Outcome
    change_predicted: Outcome
    change: Outcome
    changed: Json


@pytest.fixture(scope="module")
def operator(fleet: Fleet, bed: Bed, audit: AuditLog) -> Operator:
    """As a user who may install a chart."""
    return Operator(fleet.having("gpufleet_cluster.auth.kubeconfig", bed.kubeconfigs["install"]), audit)


@pytest.fixture(scope="module")
def story(operator: Operator, api: Api) -> Story:
    helm_3 = toolchain.helm_3()
    predicted, first = operator("--check", "--diff", helm=helm_3), operator(helm=helm_3)
    counters = resource_path("v1", "configmaps", NAMESPACE, "gpufleet-dcgm-counters")
    installed = {"policy": api.get(POLICY), "counters": api.get(counters)}
    again, taken_over, change_predicted = operator(helm=helm_3), operator(), operator("--check", driver="host")
    change = operator(driver="host")
    return Story(predicted, first, installed, again, taken_over, change_predicted, change, api.get(POLICY))


def test_installs_once_as_predicted(story: Story, api: Api) -> None:
    assert (story.predicted[0].changed, story.predicted[1]) == (1, [])
    assert story.first[0].changed == 1
    (record,) = api.list(resource_path("v1", "secrets", NAMESPACE), {"labelSelector": "owner=helm,version=1"})
    assert record["metadata"]["labels"]["name"] == "gpu-operator"


def test_waits_for_the_reason(story: Story) -> None:
    """All pools are bought: no GPU node is all right, and the wait before it was for node discovery."""
    status = story.installed["policy"]["status"]
    assert (status["state"], status["conditions"][0]["reason"]) == ("ready", "NoGPUNodes")
    assert story.first[0].of("wait_for")[0].result["progress"] == "2 of 2 ready"
    assert story.predicted[0].of("wait_for")[0].status == "skipped"


def test_values_reach_the_operator(story: Story) -> None:
    spec = story.installed["policy"]["spec"]
    keys = {entry["key"] for entry in spec["daemonsets"]["tolerations"]}
    assert {"nvidia.com/gpu", "readiness.k8s.io/nvidia-gpu-not-ready"} <= keys
    assert spec["dcgmExporter"]["config"]["name"] == story.installed["counters"]["metadata"]["name"]
    csv = story.installed["counters"]["data"]["dcgm-metrics.csv"]
    assert "\nDCGM_FI_DEV_ECC_DBE_VOL_TOTAL, counter, " in csv
    assert csv.startswith("DCGM_FI_DEV_XID_ERRORS, gauge, ")


def test_a_second_run_changes_and_writes_nothing(story: Story) -> None:
    assert (story.again[0].changed, story.again[1]) == (0, [])


def test_another_helm_takes_the_release_over_as_it_is(story: Story) -> None:
    assert (story.taken_over[0].changed, story.taken_over[1]) == (0, [])


@pytest.mark.parametrize(
    ("helm", "version"), [(toolchain.helm_3, versions.HELM_3), (lambda: HELM, versions.CHOSEN.helm)], ids=["3", "4"]
)
def test_both_major_versions_of_helm_are_what_they_are_called(helm: Callable[[], Path], version: str) -> None:
    shown = subprocess.run([helm(), "version", "--short"], check=True, capture_output=True, text=True).stdout
    assert shown.startswith(f"v{version}")


def test_a_changed_value_is_predicted_and_reaches_the_operator(story: Story) -> None:
    assert (story.change_predicted[0].changed, story.change_predicted[1]) == (1, [])
    assert story.change[0].changed == 1
    before, after = story.installed["policy"]["spec"], story.changed["spec"]
    assert [(spec["driver"]["enabled"], spec["toolkit"]["enabled"]) for spec in (before, after)] == [
        (True, True),
        (False, False),
    ]


def test_a_misspelt_value_is_refused_and_nothing_changes(operator: Operator, story: Story, api: Api) -> None:
    run, _ = operator(fails=True, values={"dcgmExporter": {"enabeld": False}})
    assert "enabeld" in run.failure.result["msg"]
    assert api.get(POLICY)["spec"] == story.changed["spec"]


def test_a_second_policy_and_what_a_killed_helm_left_are_refused_by_name(
    operator: Operator, story: Story, api: Api
) -> None:
    secrets = resource_path("v1", "secrets", NAMESPACE)
    newest = max(api.list(secrets, {"labelSelector": "owner=helm"}), key=lambda item: item["metadata"]["name"])
    record = f"{secrets}/{newest['metadata']['name']}"
    api.patch(record, {"metadata": {"labels": {"status": "pending-upgrade"}}})
    api.create(POLICIES, {**story.changed, "metadata": {"name": "by-hand"}, "status": {}})
    try:
        findings = _refused(operator)
        assert [(entry["id"], entry["object"]) for entry in findings] == [
            ("second-cluster-policy", "ClusterPolicy by-hand"),
            ("release-pending", f"Secret {NAMESPACE}/{newest['metadata']['name']}"),
        ]
    finally:
        api.delete(f"{POLICIES}/by-hand")
        api.patch(record, {"metadata": {"labels": {"status": "deployed"}}})


def test_existing_pools_need_their_gpus(operator: Operator, story: Story, api: Api) -> None:
    pools: Json = {"gpufleet_pools": [EXISTING], "gpufleet_models": [], "driver": "host"}
    run, _ = operator(fails=True, wait_timeout="2s", **pools)
    assert "(NoGPUNodes)" in run.failure.result["msg"]
    labels = {**EXISTING["node_selector"], "kubernetes.io/hostname": "own-1"}
    notes = {"testbed.gpufleet.io/gpus": "8", "testbed.gpufleet.io/gpu-bring-up": "1@0s,all@2s"}
    meta = {"name": "own-1", "labels": labels, "annotations": notes}
    api.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": meta})
    run, written = operator(**pools)
    node = api.get(f"{NODES}/own-1")
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert (run.changed, written) == (0, [])


@dataclass(frozen=True)
class Removed:
    """Uninstalled after a Helm that was killed in the middle, with the definitions, and once more."""

    predicted: Outcome
    refused: Outcome
    after_kill: Outcome
    left: list[str]
    again: Outcome


@pytest.fixture(scope="module")
def removed(operator: Operator, story: Story, bed: Bed, api: Api) -> Removed:
    predicted = operator("--check", tasks="uninstall", uninstall_crds=True)
    api.create(POLICIES, {**story.changed, "metadata": {"name": "by-hand"}, "status": {}})
    refused = operator(tasks="uninstall", uninstall_crds=True, fails=True)
    api.delete(f"{POLICIES}/by-hand")
    _kill_helm_while_it_uninstalls(bed, api)
    after_kill = operator(tasks="uninstall", uninstall_crds=True)
    there = [item["metadata"]["name"] for where in (SECRETS, DEPLOYMENTS) for item in api.list(where)]
    left = [*there, *([DEFINITION] if api.find(DEFINITION) else [])]
    return Removed(predicted, refused, after_kill, left, operator(tasks="uninstall", uninstall_crds=True))


def _kill_helm_while_it_uninstalls(bed: Bed, api: Api) -> None:
    """A finalizer keeps it waiting for what it has deleted already."""
    counters = resource_path("v1", "configmaps", NAMESPACE, "gpufleet-dcgm-counters")
    api.patch(counters, {"metadata": {"finalizers": ["example.com/hold"]}})
    command = [str(HELM), "uninstall", "gpu-operator", "--wait", f"--namespace={NAMESPACE}"]
    with subprocess.Popen([*command, f"--kubeconfig={bed.kubeconfig}"], stdout=subprocess.DEVNULL) as helm:
        until(lambda: "deletionTimestamp" in api.get(counters)["metadata"], 30, "helm deletes")
        helm.kill()
    api.patch(counters, {"metadata": {"finalizers": None}})
    (record,) = api.list(SECRETS, {"labelSelector": "owner=helm,status=uninstalling"})
    assert record["metadata"]["labels"]["name"] == "gpu-operator"
    # Longer ago than any Helm waits.
    api.patch(f"{SECRETS}/{record['metadata']['name']}", {"metadata": {"labels": {"modifiedAt": "1700000000"}}})


def test_uninstall_predicts_what_goes(removed: Removed) -> None:
    run, written = removed.predicted
    assert written == []
    assert {entry[:3] for entry in run.moved} == {
        ("ClusterPolicy", "", "cluster-policy"),
        ("CustomResourceDefinition", "", "clusterpolicies.nvidia.com"),
    }
    assert run.changed == 3


def test_a_definition_with_objects_of_others_is_refused(removed: Removed) -> None:
    run, written = removed.refused
    assert written == []
    assert run.failure.result["msg"].startswith("ClusterPolicy by-hand: is not of this fleet, and needs what is to be")


def test_uninstall_ends_what_a_killed_helm_has_begun(removed: Removed) -> None:
    (record,) = (entry for entry in removed.after_kill[0].moved if entry[0] == "Secret")
    assert record[3] == "update"
    assert removed.left == []
    assert (removed.again[0].changed, removed.again[1]) == (0, [])


def test_a_foreign_release_is_refused_by_name(operator: Operator, story: Story, bed: Bed, api: Api) -> None:
    """Last: it starts anew, with an operator that somebody else has installed."""
    reset.reset(bed)
    command = ["install", "gpu-operator-1700000000", str(CHART), "--namespace=nvidia", "--create-namespace"]
    subprocess.run([HELM, *command, f"--kubeconfig={bed.kubeconfig}"], check=True, capture_output=True)
    before = api.get(POLICY)["spec"]
    (finding,) = _refused(operator)
    assert (finding["id"], finding["object"]) == ("foreign-release", "Deployment nvidia/gpu-operator")
    assert "Helm release nvidia/gpu-operator-1700000000" in finding["message"]
    assert api.get(POLICY)["spec"] == before
    run, written = operator(tasks="uninstall")
    assert (run.changed, written) == (0, [])


def _refused(operator: Operator) -> list[Json]:
    """The findings that the role fails with, before it wrote anything."""
    run, written = operator(fails=True)
    assert written == []
    found: list[Json] = run.failure.result["findings"]
    return found
