# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others made or edited: refused with the reason, or taken over without an outage; never silently undone."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e import declaration
from e2e.fleet import Fleet
from e2e.observed import Json, Recorder, path, until
from e2e.playbook import Run
from testbed.api import Api, resource_path
from testbed.audit import AuditLog, Call, writes
from testbed.bed import Bed

NAMESPACE, POOL = declaration.NAMESPACE, "static"
NODE = "gpu-0"
REPLICAS = 2
READY_WITHIN_S = 60
DEPLOYMENTS = path("Deployment", NAMESPACE)
#: A model that loads in no time, on a node that is there: what matters is who is in charge, not how long it takes.
QUICK = {f"testbed.gpufleet.io/{stage}": "100ms" for stage in ("pull", "load", "compile", "warmup", "teardown")}
LIFECYCLE = {"p99_generation": "1s", "cold_start": "5s", "pre_stop": "0s", "teardown": "1s"}


def _model(name: str, **more: Any) -> Json:
    pod = {"metadata": {"annotations": QUICK}}
    overrides = {"Deployment": {"spec": {"template": pod}}}
    return declaration.model(name, **{"pool": POOL, "gpus": 1, "lifecycle": LIFECYCLE, "overrides": overrides, **more})


@pytest.fixture(scope="module")
def static(fleet: Fleet, bed: Bed, api: Api) -> Fleet:
    """A pool of one node that is already there, with a namespace that somebody else has made."""
    gpus = {"cpu": "96", "memory": "1024Gi", "pods": "110", "nvidia.com/gpu": "8"}
    labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "example.com/gpu": "h100"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": labels}}
    api.create(resource_path("v1", "nodes"), {**node, "status": {"capacity": gpus, "allocatable": gpus}})
    api.create(path("Namespace"), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    pool = {"name": POOL, "gpu": "h100-80gb", "gpus_per_node": 8, "node_selector": {"example.com/gpu": "h100"}}
    return fleet.having("gpufleet_pools", [pool])


def _hand_made(name: str, **selector: str) -> Json:
    """What a person writes to run vLLM, with the names and labels that the collection would give it."""
    labels = {"app.kubernetes.io/name": "vllm", "gpufleet.io/model": name, **selector}
    container = {
        "name": "vllm",
        "image": "vllm/vllm-openai:v0.31.0",
        "command": ["vllm", "serve"],
        "args": ["meta-llama/Llama-3.3-70B-Instruct", "--served-model-name", name],
        "ports": [{"name": "http", "containerPort": 8000}],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1},
    }
    template = {
        "metadata": {"labels": labels, "annotations": QUICK},
        "spec": {
            "containers": [container],
            "nodeSelector": {"example.com/gpu": "h100"},
            "terminationGracePeriodSeconds": 5,
        },
    }
    spec = {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _tool(bed: Bed, *command: str, **environment: str) -> None:
    """Run kubectl or helm as the administrator."""
    words = [str(Path(bed.tools) / command[0]), *command[1:]]
    login = {"KUBECONFIG": bed.kubeconfig, **environment}
    done = subprocess.run(words, env={**os.environ, **login}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def _by_kubectl(bed: Bed, folder: Path, manifest: Json) -> None:
    file = folder / "deployment.json"
    file.write_text(json.dumps(manifest))
    _tool(bed, "kubectl", "apply", "-f", str(file))


def _by_helm(bed: Bed, folder: Path, manifest: Json) -> None:
    (folder / "templates").mkdir()
    (folder / "Chart.yaml").write_text(json.dumps({"apiVersion": "v2", "name": "hand-made", "version": "1.0.0"}))
    (folder / "templates/deployment.yaml").write_text(json.dumps(manifest))
    _tool(bed, "helm", "install", manifest["metadata"]["name"], str(folder), "--namespace", NAMESPACE)


@dataclass(frozen=True)
class Adopted:
    """The refused run, what it wrote, and what the Deployments went through while a second run took them over."""

    refused: Json
    written: list[Call]
    courses: Mapping[str, list[Json]]
    again: Run


#: Deployments by the field manager that made them.
MADE_BY = {"kubectl-client-side-apply": _by_kubectl, "helm": _by_helm}


@pytest.fixture(scope="module")
def adopted(static: Fleet, bed: Bed, api: Api, audit: AuditLog, tmp_path_factory: pytest.TempPathFactory) -> Adopted:
    for manager, make in MADE_BY.items():
        make(bed, tmp_path_factory.mktemp(manager), _hand_made(_name(manager)))
    _until_all(api, lambda item: _available(item) == REPLICAS)
    fleet = static.having("gpufleet_models", [_model(_name(manager)) for manager in MADE_BY])
    since = audit.mark()
    refused = fleet.apply(components=["vllm"], fails=True).failure.result
    written = writes(audit.calls(since, "converge"))
    with Recorder(api, DEPLOYMENTS) as recorder:
        fleet.apply(components=["vllm"], force_conflicts=True)
        _until_all(api, _rolled_out)
        courses = {manager: [event.object for event in recorder.of(DEPLOYMENTS, _name(manager))] for manager in MADE_BY}
    return Adopted(refused, written, courses, fleet.apply(components=["vllm"]))


def _name(manager: str) -> str:
    return f"from-{manager.partition('-')[0]}"


def _until_all(api: Api, holds: Callable[[Json], bool]) -> None:
    for manager in MADE_BY:
        where = path("Deployment", NAMESPACE, _name(manager))
        until(lambda: holds(api.get(where)), READY_WITHIN_S, where)  # noqa: B023


@pytest.mark.parametrize("manager", MADE_BY)
def test_a_deployment_of_others_is_refused_with_the_reason(manager: str, adopted: Adopted) -> None:
    assert adopted.written == []
    findings = [entry for entry in adopted.refused["findings"] if entry["object"].endswith(f"/{_name(manager)}")]
    (image,) = (entry for entry in findings if entry["field"].endswith('containers[name="vllm"].image'))
    assert image["id"] == "conflict"
    assert image["object"] == f"Deployment {NAMESPACE}/{_name(manager)}"
    owned, wanted = "'vllm/vllm-openai:v0.31.0'", "'vllm/vllm-openai:v0.32.0'"
    assert image["message"] == f"{manager} owns it with value {owned}, wanted is {wanted}"


@pytest.mark.parametrize("manager", MADE_BY)
def test_force_adopts_a_deployment_of_others_without_an_outage(manager: str, adopted: Adopted) -> None:
    course = adopted.courses[manager]
    assert len(course) > REPLICAS
    assert {item["spec"]["replicas"] for item in course} == {REPLICAS}
    assert min(_available(item) for item in course) == REPLICAS
    assert course[-1]["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "gpufleet"
    assert adopted.again.changed == 0


def test_a_deployment_that_selects_other_pods_is_refused_even_from_force(
    static: Fleet, bed: Bed, api: Api, audit: AuditLog, tmp_path: Path
) -> None:
    name = "foreign"
    manifest = _hand_made(name, team="research")
    manifest["spec"]["replicas"] = 0
    _by_kubectl(bed, tmp_path, manifest)
    before = api.get(path("Deployment", NAMESPACE, name))["spec"]
    fleet = static.having("gpufleet_models", [_model(name)])
    since = audit.mark()
    refused = fleet.apply(components=["vllm"], force_conflicts=True, fails=True).failure.result
    assert writes(audit.calls(since, "converge")) == []
    assert refused["msg"].startswith(f"Deployment {NAMESPACE}/{name}")
    assert "spec.selector" in refused["msg"]
    assert "field is immutable" in refused["msg"]
    assert api.get(path("Deployment", NAMESPACE, name))["spec"] == before


def test_a_field_that_somebody_edited_is_a_conflict(
    static: Fleet, bed: Bed, api: Api, audit: AuditLog, tmp_path: Path
) -> None:
    name = "edited"
    paused = _model(name, overrides={"Deployment": {"spec": {"paused": True}}})
    fleet = static.having("gpufleet_models", [paused])
    fleet.apply(components=["vllm", "keda"])
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nexec sed -i "s/maxReplicaCount: 6/maxReplicaCount: 9/" "$1"\n')
    editor.chmod(0o755)
    _tool(bed, "kubectl", "edit", "scaledobject", name, "--namespace", NAMESPACE, KUBE_EDITOR=str(editor))
    since = audit.mark()
    refused = fleet.apply(components=["keda"], fails=True).failure.result
    assert writes(audit.calls(since, "converge")) == []
    assert refused["msg"] == (
        f"ScaledObject {NAMESPACE}/{name} spec.maxReplicaCount: kubectl-edit owns it with value 9, wanted is 6. "
        "Declare the live value, or take the field over with gpufleet_force_conflicts=true."
    )
    assert [entry["id"] for entry in refused["findings"]] == ["conflict"]
    scaled = path("ScaledObject", NAMESPACE, name)
    assert api.get(scaled)["spec"]["maxReplicaCount"] == 9
    as_edited = copy.deepcopy(paused)
    as_edited["replicas"]["max"] = 9
    assert fleet.having("gpufleet_models", [as_edited]).apply(components=["keda"]).changed == 0
    fleet.apply(components=["keda"], force_conflicts=True)
    assert api.get(scaled)["spec"]["maxReplicaCount"] == 6


def _available(deployment: Json) -> int:
    return int(deployment.get("status", {}).get("availableReplicas", 0))


def _rolled_out(deployment: Json) -> bool:
    status, generation = deployment["status"], deployment["metadata"]["generation"]
    current = status.get("observedGeneration") == generation and status.get("updatedReplicas") == REPLICAS
    return bool(current and status["replicas"] == _available(deployment) == REPLICAS)
