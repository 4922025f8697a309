# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as a cluster shows them, with the few fields that predicates read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

NOW = datetime(2026, 11, 24, 12, 10, tzinfo=UTC)
TEN_MINUTES_AGO = "2026-11-24T12:00:00Z"
MINUTE_AGO = "2026-11-24T12:09:00Z"


def conditions(*entries: tuple[str, str, str, str]) -> list[Json]:
    """Entries of status.conditions from (type, status, reason, message), a minute old."""
    keys = ("type", "status", "reason", "message")
    return [{**dict(zip(keys, entry, strict=True)), "lastTransitionTime": MINUTE_AGO} for entry in entries]


def observed(api_version: str, kind: str, name: str, namespace: str = "", **parts: Any) -> Json:
    """An object of generation 1."""
    where = {"namespace": namespace} if namespace else {}
    metadata = {"name": name, "generation": 1, **where, **parts.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": {}, "status": {}, **parts}


def deployment(replicas: int = 2, updated: int = 2, available: int = 2, total: int = 2, **parts: Any) -> Json:
    """A Deployment whose controller has seen its newest generation."""
    counts = {"replicas": total, "updatedReplicas": updated, "availableReplicas": available, "observedGeneration": 1}
    template = {"spec": {"nodeSelector": {"gpufleet.io/pool": "h100"}}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "llama"}}, "template": template}
    status = {**counts, **parts.pop("status", {})}
    return observed("apps/v1", "Deployment", "llama", "inference", spec=spec, status=status, **parts)


def pod(container: Json | None = None, name: str = "llama-1", phase: str = "Pending", **parts: Any) -> Json:
    """A pod on its node with one container that is not ready, in that state."""
    status: Json = {"phase": phase, "conditions": conditions(("PodScheduled", "True", "", ""))}
    if container is not None:
        status["containerStatuses"] = [
            {"name": "vllm", "image": "vllm:1", "ready": False, "restartCount": 3, **container}
        ]
    status.update(parts.pop("status", {}))
    metadata = {"labels": {"app": "llama"}, **parts.pop("metadata", {})}
    return observed("v1", "Pod", name, "inference", metadata=metadata, status=status, **parts)


def waiting(reason: str, message: str = "") -> Json:
    """State of a container that the kubelet has not started."""
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def scaled_object(**parts: Any) -> Json:
    """A ScaledObject as KEDA 2.20 leaves it when all is well."""
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "llama"}, "minReplicaCount": 2, "maxReplicaCount": 6}
    status = {
        "hpaName": "keda-hpa-llama",
        "conditions": conditions(("Ready", "True", "ScaledObjectReady", ""), ("Fallback", "False", "", "")),
    }
    return observed(
        "keda.sh/v1alpha1", "ScaledObject", "llama", "inference", **{"spec": spec, "status": status, **parts}
    )


def hpa(**parts: Any) -> Json:
    """The HPA that KEDA makes for it, with a value for each of its metrics."""
    names = ("s0-prometheus", "s1-prometheus")
    spec = {
        "minReplicas": 2,
        "maxReplicas": 6,
        "scaleTargetRef": {"kind": "Deployment", "name": "llama"},
        "metrics": [{"external": {"metric": {"name": name}, "target": {"averageValue": "5"}}} for name in names],
    }
    status = {
        "conditions": conditions(("AbleToScale", "True", "", ""), ("ScalingActive", "True", "ValidMetricFound", "")),
        "currentMetrics": [
            {"external": {"metric": {"name": name}, "current": {"averageValue": "0"}}} for name in names
        ],
    }
    own = {"spec": {**spec, **parts.pop("spec", {})}, "status": {**status, **parts.pop("status", {})}}
    return observed("autoscaling/v2", "HorizontalPodAutoscaler", "keda-hpa-llama", "inference", **own, **parts)


def node_pool(*entries: tuple[str, str, str, str], **parts: Any) -> Json:
    """A NodePool with these conditions."""
    spec = {"template": {"spec": {}}, **parts.pop("spec", {})}
    status = {"conditions": conditions(*entries)}
    return observed("karpenter.sh/v1", "NodePool", "h100", **{"spec": spec, "status": status, **parts})


def node_claim(*entries: tuple[str, str, str, str]) -> Json:
    """A NodeClaim with these conditions."""
    labels = {"gpufleet.io/pool": "h100"}
    status = {"conditions": conditions(*entries)}
    return observed("karpenter.sh/v1", "NodeClaim", "h100-x1", metadata={"labels": labels}, status=status)


def cluster_policy(state: str, reason: str, message: str = "", generation: int | None = None, **parts: Any) -> Json:
    """A ClusterPolicy as the GPU Operator v26.7 leaves it for a reason; ``generation`` is the one that it has seen."""
    ready = state == "ready"
    said, other = (reason, message), ("Ready" if ready else "Error", "")
    entries = conditions(
        ("Ready", str(ready), *(said if ready else other)), ("Error", str(not ready), *(other if ready else said))
    )
    seen = {} if generation is None else {"observedGeneration": generation}
    status = {"state": state, "conditions": [{**entry, **seen} for entry in entries] if reason else []}
    return observed("nvidia.com/v1", "ClusterPolicy", "cluster-policy", **{"status": status, **parts})
