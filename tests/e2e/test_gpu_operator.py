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

from e2e.fleet import Fleet
from e2e.helm_warnings import unexpected
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
ROLE = [{"hosts": "gpufleet", "gather_facts": False, "roles": ["gpufleet.llm.gpu_operator"]}]

#: A run, and what it wrote.
Outcome = tuple[Run, list[Call]]


@dataclass(frozen=True)
class Operator:
    """Runs the role, and counts what it wrote. It is that of helm 4 unless ``helm`` is another one."""

    fleet: Fleet
    audit: AuditLog

    def __call__(self, *options: str, fails: bool = False, helm: Path = HELM, **variables: Any) -> Outcome:
        fleet = self.fleet
        settings = {"chart_ref": str(CHART), "chart_repo_url": "", "helm_binary": str(helm), "wait_timeout": "30s"}
        for name, value in {**settings, **variables}.items():
            fleet = fleet.having(name if name.startswith("gpufleet_") else f"gpu_operator_{name}", value)
        since = self.audit.mark()
        run = fleet.run(ROLE, *options, fails=fails)
        assert unexpected(run.output) == []
        return run, writes(self.audit.calls(since, "converge"))


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
def operator(fleet: Fleet, audit: AuditLog) -> Operator:
    return Operator(fleet, audit)


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


def _refused(operator: Operator) -> list[Json]:
    """The findings that the role fails with, before it wrote anything."""
    run, written = operator(fails=True)
    assert written == []
    found: list[Json] = run.failure.result["findings"]
    return found
