# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""KEDA, Karpenter and the GPU Operator are there, made by somebody else under other names: used, left as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from e2e import declaration, helm_releases
from e2e.fleet import Fleet
from e2e.observed import path, until
from e2e.playbook import Run
from testbed import charts
from testbed.api import Api, resource_path
from testbed.audit import AuditLog, Call, writes
from testbed.bed import Bed

Json = dict[str, Any]

PLATFORM, NVIDIA = "platform", "nvidia"
OPERATOR = "gpu-operator-1700000000"
DEFINITIONS = resource_path("apiextensions.k8s.io/v1", "customresourcedefinitions")
POLICY = resource_path("nvidia.com/v1", "clusterpolicies", name="cluster-policy")
#: Every kind of which the releases have made something; the Secrets are what Helm knows of them.
COLLECTIONS = [
    path(kind, namespace) for kind in ("Deployment", "ServiceAccount") for namespace in (PLATFORM, NVIDIA)
] + [resource_path("v1", plural, namespace) for plural in ("secrets", "configmaps") for namespace in (PLATFORM, NVIDIA)]
QUICK = {f"testbed.gpufleet.io/{stage}": "100ms" for stage in ("pull", "load", "compile", "warmup", "teardown")}
MODEL = declaration.model(
    gpus=1,
    replicas={"min": 1, "max": 2},
    overrides={"Deployment": {"spec": {"template": {"metadata": {"annotations": QUICK}}}}},
)


@dataclass(frozen=True)
class Story:
    """What belongs to others before and after a run of site.yml, and what the run wrote."""

    before: Mapping[str, str]
    after: Mapping[str, str]
    run: Run
    written: list[Call]


@pytest.fixture(scope="module")
def brownfield(fleet: Fleet, bed: Bed, api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("charts")
    helm_releases.uninstalled(api)
    helm_releases.hand_over(api, "keda", "autoscaling", PLATFORM)
    helm_releases.hand_over(api, "karpenter", "node-definitions", PLATFORM)
    for name, release, namespace in (
        ("keda", "autoscaling", PLATFORM),
        ("karpenter-crd", "node-definitions", PLATFORM),
        ("karpenter", "nodes", PLATFORM),
        ("gpu-operator", OPERATOR, NVIDIA),
    ):
        where = (f"--namespace={namespace}", "--create-namespace")
        helm_releases.helm(bed, "install", release, charts.chart(name, folder), *where)
    until(lambda: _available(api), 60, "all of them available")
    yield fleet.having("gpufleet_models", [MODEL])
    helm_releases.put_back(api)


def _available(api: Api) -> bool:
    found = [item for namespace in (PLATFORM, NVIDIA) for item in api.list(path("Deployment", namespace))]
    return all(item.get("status", {}).get("availableReplicas") == item["spec"]["replicas"] for item in found)


@pytest.fixture(scope="module")
def story(brownfield: Fleet, api: Api, audit: AuditLog) -> Story:
    before, since = _of_others(api), audit.mark()
    run = brownfield.site()
    return Story(before, _of_others(api), run, writes(audit.calls(since, "converge")))


def _of_others(api: Api) -> dict[str, str]:
    """Versions of everything that the releases have made. That of a ClusterPolicy counts what is declared: its operator
    writes the status whenever a node comes."""
    found = {
        f"{collection}/{item['metadata']['name']}": str(item["metadata"]["resourceVersion"])
        for collection in COLLECTIONS
        for item in api.list(collection)
    }
    for name in ("scaledobjects.keda.sh", "nodepools.karpenter.sh", "clusterpolicies.nvidia.com"):
        found[name] = str(api.get(f"{DEFINITIONS}/{name}")["metadata"]["resourceVersion"])
    policy = api.get(POLICY)
    return {**found, POLICY: str((policy["metadata"]["generation"], policy["metadata"].get("labels")))}


def test_they_are_recognised_and_named(story: Story) -> None:
    result = story.run.of("preflight")[0].result
    assert result["adopted"] == {
        "Karpenter": f"Helm release {PLATFORM}/nodes",
        "KEDA": f"Helm release {PLATFORM}/autoscaling",
        "GPU Operator": f"Helm release {NVIDIA}/{OPERATOR}",
    }
    assert result["versions"]["GPU Operator"] == "v26.7.0"
    assert f"used as they are: Karpenter (Helm release {PLATFORM}/nodes), KEDA" in result["msg"]
    assert result["msg"] in story.run.output
    assert [finding["id"] for finding in result["findings"] if finding["severity"] != "info"] == []


def test_the_fleet_converges_on_them(story: Story) -> None:
    waits = {task.role.rpartition(".")[2]: task for task in story.run.of("wait_for") if task.status != "skipped"}
    assert {role: wait.result["verdict"] for role, wait in waits.items()} == dict.fromkeys(
        ("karpenter", "vllm", "keda"), "ready"
    )
    assert all(wait.result["progress"].endswith(" ready") for wait in waits.values())


def test_nothing_of_theirs_is_changed(story: Story) -> None:
    assert len([key for key in story.before if "sh.helm.release" in key]) == 4
    assert story.after == story.before
    places = {(call.resource, call.namespace) for call in story.written}
    assert not {place for place in places if place[1] in (PLATFORM, NVIDIA)}
    assert not {"customresourcedefinitions", "clusterpolicies"} & {place[0] for place in places}


def test_to_install_beside_them_is_refused_before_anything_is_written(
    brownfield: Fleet, story: Story, bed: Bed, audit: AuditLog
) -> None:
    fleet = brownfield.having("gpufleet_cluster.auth.kubeconfig", bed.kubeconfigs["install"])
    for name, value in (
        ("gpufleet_gpu_operator_enabled", True),
        ("gpufleet_keda_install", True),
        ("gpufleet_karpenter_install", True),
        ("karpenter_chart_ref", "./karpenter"),
        ("karpenter_crd_chart_ref", "./karpenter-crd"),
        *((f"{role}_helm_binary", str(helm_releases.HELM_4)) for role in ("keda", "karpenter", "gpu_operator")),
    ):
        fleet = fleet.having(name, value)
    since = audit.mark()
    failure = fleet.site(fails=True).failure
    assert writes(audit.calls(since, "install")) == []
    assert failure.action == "gpufleet.llm.preflight"
    errors = [entry for entry in failure.result["findings"] if entry["severity"] == "error"]
    assert {entry["id"] for entry in errors} == {"foreign-release"}
    assert {entry["object"] for entry in errors} == {
        f"Deployment {NVIDIA}/gpu-operator",
        f"Deployment {PLATFORM}/keda-operator",
        f"Deployment {PLATFORM}/nodes-karpenter",
        "CustomResourceDefinition scaledobjects.keda.sh",
        "CustomResourceDefinition triggerauthentications.keda.sh",
        "CustomResourceDefinition nodepools.karpenter.sh",
        "CustomResourceDefinition nodeclaims.karpenter.sh",
    }
    named = {entry["object"]: entry["message"] for entry in errors}
    assert f"belongs to Helm release {NVIDIA}/{OPERATOR}" in named[f"Deployment {NVIDIA}/gpu-operator"]
