# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's pods get the GPUs, the time and the traffic that they need, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.objects import vllm
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import CUT, MIXED, fleet
from hypothesis import given
from hypothesis import strategies as st


def built(*changes: tuple[str, Any], model: str = "llama-70b") -> dict[str, dict[str, Any]]:
    """Objects of one model by kind."""
    return {obj["kind"]: obj for obj in vllm.build(fleet(*changes)) if obj["metadata"]["name"] == model}


def pod(*changes: tuple[str, Any], model: str = "llama-70b") -> dict[str, Any]:
    """The pod spec of one model."""
    spec: dict[str, Any] = built(*changes, model=model)["Deployment"]["spec"]["template"]["spec"]
    return spec


def option(arguments: list[str], name: str) -> str:
    """The value of an option that is given exactly once."""
    assert arguments.count(name) == 1
    return arguments[arguments.index(name) + 1]


SECONDS = [st.integers(1, 3600), st.integers(1, 600), st.integers(0, 600), st.integers(1, 600)]


@given(*SECONDS)
def test_no_answer_is_cut_off_and_no_start_is_killed(p99: int, cold_start: int, pre_stop: int, teardown: int) -> None:
    times = {"p99_generation": p99, "cold_start": cold_start, "pre_stop": pre_stop, "teardown": teardown}
    spec = pod(("models[0].lifecycle", {key: f"{value}s" for key, value in times.items()}))
    (container,) = spec["containers"]
    shutdown = int(option(container["args"], "--shutdown-timeout"))
    sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert sleep == pre_stop
    assert shutdown >= p99
    assert spec["terminationGracePeriodSeconds"] > sleep + shutdown + teardown
    probe = container["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= cold_start
    (ready_timeout,) = [entry["value"] for entry in container["env"] if entry["name"] == "VLLM_ENGINE_READY_TIMEOUT_S"]
    assert int(ready_timeout) >= cold_start


def test_a_rollout_gives_a_replica_longer_than_its_start() -> None:
    spec = built()["Deployment"]["spec"]
    probe = spec["template"]["spec"]["containers"][0]["startupProbe"]
    assert spec["progressDeadlineSeconds"] > probe["periodSeconds"] * probe["failureThreshold"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@pytest.mark.parametrize("gpus", [1, 2, 4, 8])
def test_gpus_and_memory_are_requested_as_they_are_limited(gpus: int) -> None:
    (container,) = pod(("models[0].gpus", gpus))["containers"]
    requests, limits = container["resources"]["requests"], container["resources"]["limits"]
    assert requests["nvidia.com/gpu"] == limits["nvidia.com/gpu"] == str(gpus)
    assert requests["memory"] == limits["memory"] == "64Gi"
    assert "cpu" not in limits, "a CPU limit throttles the scheduler of vLLM"


@pytest.mark.parametrize(
    ("gpus", "arguments", "expected"),
    [
        (1, [], None),
        (4, [], "4"),
        (4, ["--tensor-parallel-size", "2", "--pipeline-parallel-size=2"], "2"),
        (4, ["--pipeline_parallel_size=4"], None),
        (4, ["-tp=4"], None),
        (4, ["-dp", "4"], None),
    ],
)
def test_the_user_may_split_a_model_otherwise(gpus: int, arguments: list[str], expected: str | None) -> None:
    (container,) = pod(("models[0].gpus", gpus), ("models[0].engine.args", arguments))["containers"]
    assert container["args"][-len(arguments) or len(container["args"]) :] == arguments or not arguments
    if expected is None:
        assert "--tensor-parallel-size" not in container["args"]
    else:
        assert option(container["args"], "--tensor-parallel-size") == expected


def test_the_model_is_served_under_its_declared_name() -> None:
    (container,) = pod()["containers"]
    assert container["command"] == ["vllm", "serve"]
    assert container["args"][0] == "meta-llama/Llama-3.3-70B-Instruct"
    assert option(container["args"], "--served-model-name") == "llama-70b"
    assert option(container["args"], "--revision") == "6f6073b"
    assert option(container["args"], "--port") == "8000"
    assert container["args"][-2:] == ["--max-num-seqs", "16"]
    assert container["image"] == "registry.example.com:5000/vllm/vllm-openai:v0.32.0"


def test_a_hub_token_comes_from_its_secret() -> None:
    (container,) = pod()["containers"]
    (token,) = [entry for entry in container["env"] if entry["name"] == "HF_TOKEN"]
    assert token["valueFrom"] == {"secretKeyRef": {"name": "hub", "key": "token"}}


def test_weights_on_a_volume_are_mounted_read_only() -> None:
    spec = pod(model="qwen")
    (container,) = spec["containers"]
    assert container["args"][0] == "/models/qwen" and "--revision" not in container["args"]
    assert {"name": "models", "mountPath": "/models", "readOnly": True} in container["volumeMounts"]
    claim = {"claimName": "weights", "readOnly": True}
    assert {"name": "models", "persistentVolumeClaim": claim} in spec["volumes"]
    assert container["image"] == "vllm/vllm-openai:v0.32.0"


def test_shared_memory_is_sized() -> None:
    spec = pod(("models[0].engine.shm", "20Gi"))
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "20Gi"}} in spec["volumes"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in spec["containers"][0]["volumeMounts"]


def test_a_pod_has_no_rights_and_no_links() -> None:
    objects = built()
    spec = objects["Deployment"]["spec"]["template"]["spec"]
    assert objects["ServiceAccount"]["automountServiceAccountToken"] is False
    assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
    assert spec["serviceAccountName"] == objects["ServiceAccount"]["metadata"]["name"]
    context = spec["containers"][0]["securityContext"]
    assert context == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_selectors_match_the_pods_and_only_labels_that_never_change() -> None:
    objects = built()
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selector = {"app.kubernetes.io/name": "vllm", "gpufleet.io/model": "llama-70b"}
    assert labels.items() >= selector.items()
    assert objects["Deployment"]["spec"]["selector"]["matchLabels"] == selector
    assert objects["Service"]["spec"]["selector"] == selector
    assert objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == selector
    (spread,) = objects["Deployment"]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == selector


def test_probes_scraping_and_service_meet_at_one_port() -> None:
    objects = built()
    template = objects["Deployment"]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 8000, "protocol": "TCP"}]
    assert template["metadata"]["annotations"]["prometheus.io/port"] == "8000"
    assert objects["Service"]["spec"]["ports"][0]["targetPort"] == "http"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/health", "port": "http"}


def test_a_loading_replica_is_protected_for_as_long_as_it_loads() -> None:
    annotations = built()["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["karpenter.sh/do-not-disrupt"] == "8m"


def test_pods_go_where_the_pool_is() -> None:
    assert pod()["nodeSelector"] == {"gpufleet.io/pool": "h100"}
    assert pod(model="qwen")["nodeSelector"] == {"example.com/gpu": "a100"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod()["tolerations"]


def test_an_autoscaled_model_declares_no_count() -> None:
    assert "replicas" not in built()["Deployment"]["spec"]
    assert built(model="qwen")["Deployment"]["spec"]["replicas"] == 5
    assert built(("models[1].replicas.count", 0), model="qwen")["Deployment"]["spec"]["replicas"] == 0


def test_namespaces_come_first_and_once() -> None:
    objects = vllm.build(fleet())
    assert [obj["metadata"]["name"] for obj in objects if obj["kind"] == "Namespace"] == ["inference"]
    assert objects[0]["kind"] == "Namespace"


def test_overrides_come_last() -> None:
    override = {"Deployment": {"spec": {"template": {"spec": {"containers": [{"name": "vllm", "workingDir": "/x"}]}}}}}
    (container,) = pod(("models[0].overrides", override))["containers"]
    assert container["workingDir"] == "/x" and container["command"] == ["vllm", "serve"]


@pytest.mark.parametrize(
    ("changes", "resource"), [(CUT, "nvidia.com/gpu"), (MIXED, "nvidia.com/mig-1g.10gb")], ids=["single", "mixed"]
)
def test_a_replica_on_a_slice_asks_for_one(changes: tuple[tuple[str, Any], ...], resource: str) -> None:
    spec = pod(*changes)
    (container,) = spec["containers"]
    assert container["resources"]["limits"] == {resource: "1", "memory": "64Gi"}
    assert container["resources"]["requests"][resource] == "1"
    assert spec["topologySpreadConstraints"][0]["maxSkew"] == 56, "as many as a node holds"
