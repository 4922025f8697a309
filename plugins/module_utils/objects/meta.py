# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, labels and references that every object of ours shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..fleet.types import Fleet
from ..mig.layout import GPU_RESOURCE

MANAGED_BY = "app.kubernetes.io/managed-by"
CLUSTER_LABEL = "gpufleet.io/cluster"
ROLE_LABEL = "gpufleet.io/role"
POOL_LABEL = "gpufleet.io/pool"
MODEL_LABEL = "gpufleet.io/model"
#: What a pod is: ``vllm``, or the placeholder of a warm node.
APP_LABEL = "app.kubernetes.io/name"
WARM_APP = "warm"
#: Value of MANAGED_BY, and the field manager of every apply.
MANAGER = "gpufleet"

#: Keeps other pods off GPU nodes; the key that the GPU Operator v26.7 tolerates by default.
GPU_TAINT = {"key": GPU_RESOURCE, "value": "present", "effect": "NoSchedule"}
GPU_TOLERATION = {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}
#: Holds pods back until the GPUs of a new node are usable. Taints of the node readiness controller v0.5 must start with
#: readiness.k8s.io/.
READY_TAINT = {"key": "readiness.k8s.io/nvidia-gpu-not-ready", "value": "pending", "effect": "NoSchedule"}


@dataclass(frozen=True)
class Ref:
    """Identity of an object; ``namespace`` is empty for cluster-scoped kinds."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def ref_of(obj: Mapping[str, Any]) -> Ref:
    """The identity of an object."""
    metadata = obj["metadata"]
    return Ref(obj["apiVersion"], obj["kind"], metadata.get("namespace", ""), metadata["name"])


def owners_of(obj: Mapping[str, Any]) -> list[Ref]:
    """The objects that own one; what has a namespace is taken to be owned within it."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace", "")
    return [
        Ref(owner["apiVersion"], owner["kind"], namespace, owner["name"])
        for owner in metadata.get("ownerReferences") or []
    ]


def selector_text(labels: Mapping[str, str]) -> str:
    """Labels as a label selector of a LIST asks for them."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


def ownership(fleet: Fleet, role: str, pool: str = "", model: str = "") -> dict[str, str]:
    """The labels that say whose an object is."""
    labels = {MANAGED_BY: MANAGER, CLUSTER_LABEL: fleet.cluster.name, ROLE_LABEL: role}
    labels.update({key: value for key, value in ((POOL_LABEL, pool), (MODEL_LABEL, model)) if value})
    return labels


def make(api_version: str, kind: str, name: str, labels: Mapping[str, str], namespace: str = "") -> dict[str, Any]:
    """An object with nothing but its metadata."""
    metadata: dict[str, Any] = {"name": name, "labels": dict(labels)}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def namespace_object(fleet: Fleet, role: str, name: str) -> dict[str, Any]:
    """A namespace; one that exists stays as it is, because roles may share it."""
    return make("v1", "Namespace", name, ownership(fleet, role))


def label_of(obj: Mapping[str, Any], key: str) -> Optional[str]:
    """The value of a label, or None."""
    value = (obj.get("metadata", {}).get("labels") or {}).get(key)
    return None if value is None else str(value)
