# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the kind of an object to its predicate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

from . import gpu_operator, nodes, scalers, workloads
from .finalizers import remover
from .state import State, condition, unready


def _definition(obj: Mapping[str, Any]) -> State:
    """Ready when the API server serves its kind (k8s.io/apiextensions-apiserver v0.35)."""
    refused = condition(obj, "NamesAccepted")
    if condition(obj, "Established").true:
        return State(True, "Established")
    message = refused.why if refused.false else "its kind is not served yet"
    return unready(obj, "not Established", "not-ready", message, "See its conditions.")


#: By API group and kind; those whose answer needs other objects, or the time, are asked for by name.
_PREDICATES: dict[tuple[str, str], Callable[[Mapping[str, Any]], State]] = {
    ("apps", "Deployment"): workloads.deployment,
    ("autoscaling", "HorizontalPodAutoscaler"): scalers.horizontal_pod_autoscaler,
    ("karpenter.sh", "NodePool"): nodes.node_pool,
    ("nvidia.com", "ClusterPolicy"): gpu_operator.cluster_policy,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("karpenter.k8s.aws", "EC2NodeClass"): nodes.node_class,
    ("karpenter.azure.com", "AKSNodeClass"): nodes.node_class,
    ("", "Node"): nodes.node,
}


def ready(obj: Mapping[str, Any]) -> State:
    """The state of an object by its own fields. A kind without a predicate is ready when it exists."""
    group = str(obj["apiVersion"]).rpartition("/")[0]
    predicate = _PREDICATES.get((group, obj["kind"]))
    return predicate(obj) if predicate else State(True, "exists")


def gone(obj: Optional[Mapping[str, Any]]) -> State:
    """Ready when there is no object; else what holds it: finalizers, or what is left of a namespace."""
    if obj is None:
        return State(True, "gone")
    if not obj["metadata"].get("deletionTimestamp"):
        return unready(obj, "still there", "not-ready", "is there, and nobody has deleted it", "Delete it.")
    # k8s.io/api v0.35 core/v1: conditions of a Namespace that is being deleted are problems.
    entries = obj.get("status", {}).get("conditions") or [] if obj["kind"] == "Namespace" else []
    problems = [condition(obj, entry["type"]).why for entry in entries if entry["status"] == "True"]
    if not problems and (finalizers := obj["metadata"].get("finalizers")):
        return _held(obj, finalizers)
    if obj["kind"] == "Pod":
        problems = [f"has until {obj['metadata']['deletionTimestamp']} to end"]
    message, fix = "; ".join(["is being deleted", *problems]), "See what is left of it."
    return unready(obj, "being deleted", "not-ready", message, fix)


def _held(obj: Mapping[str, Any], finalizers: Sequence[str]) -> State:
    removers = [remover(name) for name in finalizers]
    waits = [f"{name}, which is removed by {entry.who}" for name, entry in zip(finalizers, removers)]
    message = f"is being deleted, and waits for finalizer {'; and for '.join(waits)}"
    return unready(obj, f"waits for {', '.join(finalizers)}", "finalizer", message, removers[0].fix)
