# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small workloads for the tests of the bed, written by hand: they must not come from the collection."""

from __future__ import annotations

from testbed import objects
from testbed.api import Api, Json, resource_path

STARTUP_TAINT = "readiness.k8s.io/nvidia-gpu-not-ready"
_PLURALS = {"KWOKNodeClass": "kwoknodeclasses", "PriorityClass": "priorityclasses"}


def apply(api: Api, item: Json) -> None:
    plural = _PLURALS.get(item["kind"])
    meta = item["metadata"]
    path = resource_path(item["apiVersion"], plural, name=meta["name"]) if plural else objects.path_of(item)
    api.apply(path, item, "test")


def node_pool(name: str, instance_type: str) -> list[Json]:
    node_class = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": name}
    template = {
        "metadata": {"labels": {"gpufleet.io/pool": name}},
        "spec": {
            "nodeClassRef": node_class,
            "requirements": [
                {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [instance_type]},
                {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
            ],
            "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}],
            "startupTaints": [{"key": STARTUP_TAINT, "value": "pending", "effect": "NoSchedule"}],
        },
    }
    return [
        {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": name}},
        {
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodePool",
            "metadata": {"name": name},
            "spec": {"template": template, "disruption": {"consolidateAfter": "10s"}},
        },
    ]


def deployment(name: str, gpus: int, pool: str = "", replicas: int = 1, undisruptable: bool = False) -> Json:
    """A Deployment in namespace default; one named vllm is run by the vLLM stand-in."""
    labels = {"app.kubernetes.io/name": name, "gpufleet.io/model": name}
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "8000"} if name == "vllm" else {}
    if undisruptable:
        annotations["karpenter.sh/do-not-disrupt"] = "true"
    container: Json = {
        "name": name,
        "image": "vllm/vllm-openai:v0.32.0",
        "args": ["--model", "some/model"],
        "ports": [{"name": "http", "containerPort": 8000}],
    }
    spec: Json = {"containers": [container]}
    if gpus:
        container["resources"] = {"limits": {"nvidia.com/gpu": str(gpus)}}
        spec["nodeSelector"] = {"gpufleet.io/pool": pool}
        spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec},
        },
    }


def scaled_object(name: str, prometheus_url: str, query: str) -> Json:
    metadata = {"serverAddress": prometheus_url, "query": query, "threshold": "1"}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"name": name},
            "minReplicaCount": 1,
            "maxReplicaCount": 5,
            "pollingInterval": 1,
            "triggers": [{"type": "prometheus", "metadata": metadata}],
        },
    }


def priority_class(name: str) -> Json:
    labels = {"app.kubernetes.io/managed-by": "gpufleet"}
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name, "labels": labels},
        "value": -10,
    }


def running_pods(api: Api, name: str) -> int:
    """Pods of a Deployment that are Ready."""
    pods = api.list(resource_path("v1", "pods", "default"), {"labelSelector": f"app.kubernetes.io/name={name}"})
    conditions = [each for pod in pods for each in pod["status"].get("conditions", [])]
    return sum(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
