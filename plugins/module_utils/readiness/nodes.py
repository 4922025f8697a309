# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does Karpenter deliver nodes, and are they usable?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Optional

from ..findings import Finding
from ..quantity import parse_quantity
from .state import State, condition, for_long, unready, waiting

#: Conditions that make up Ready, in the order in which they are met: Karpenter v1.14 pkg/apis/v1/nodepool_status.go and
#: nodeclaim_status.go.
_NODE_POOL = ("ValidationSucceeded", "NodeClassReady")
_NODE_CLAIM = ("Launched", "Registered", "Initialized")
#: What a reason of ``Initialized`` asks for: pkg/controllers/nodeclaim/lifecycle/initialization.go.
_INITIALIZED_FIXES = {
    "ResourceNotRegistered": "See whether the device plugin runs on the node, and that its GPUs are healthy.",
    "StartupTaintsExist": "See whether the controller that removes the taint runs, and what it waits for.",
    "NodeNotReady": "See the conditions of the node.",
}


def node_pool(obj: Mapping[str, Any]) -> State:
    """Ready when Karpenter says so of the newest generation."""
    ready = condition(obj, "Ready")
    if ready.true and (ready.generation is None or ready.generation >= obj["metadata"].get("generation", 0)):
        return State(True, "Ready")
    for kind in _NODE_POOL:
        entry = condition(obj, kind)
        if entry.false:
            fix = "Correct the pool, or the node class that it names."
            return unready(obj, f"{kind} is False", "no-capacity", f"{kind} is False: {entry.why}", fix)
    message = "Karpenter has not looked at it yet"
    return unready(obj, message, "no-capacity", message, "See whether Karpenter runs.")


def node_class(obj: Mapping[str, Any]) -> State:
    """Ready when its provider says so: EC2NodeClass and AKSNodeClass."""
    ready = condition(obj, "Ready")
    if ready.true:
        return State(True, "Ready")
    message = ready.why or "its controller has not looked at it yet"
    return unready(obj, "not Ready", "no-capacity", message, "Correct the node class.")


def node_claim(obj: Mapping[str, Any], now: datetime) -> State:
    """Ready when its node is launched, registered and initialized, its GPUs among the allocatable."""
    for kind in _NODE_CLAIM:
        entry = condition(obj, kind)
        if not entry.true:
            since = entry.since or obj["metadata"].get("creationTimestamp", "")
            said = f": {entry.why}" if entry.why else ""
            fix = _INITIALIZED_FIXES.get(entry.reason, "See the events of the NodeClaim.")
            message = f"is not {kind}{for_long(since, now)}{said}"
            return unready(obj, f"not {kind}", "no-capacity", message, fix)
    return State(True, "Initialized")


def node(obj: Mapping[str, Any]) -> State:
    """Ready when its kubelet says so."""
    ready = condition(obj, "Ready")
    if ready.true:
        return State(True, "Ready")
    message = f"is not Ready{': ' + ready.why if ready.why else ''}"
    return unready(obj, "not Ready", "not-ready", message, "See the kubelet on the node.")


def capacity_reasons(
    pool: Optional[Mapping[str, Any]], claims: Iterable[Mapping[str, Any]], now: datetime
) -> list[Finding]:
    """Why pods of a NodePool get no node: the pool itself, nodes that do not come up, or its limit.

    Nodes that are on their way are reasons too, until they are initialized.
    """
    coming = [reason for claim in claims for reason in node_claim(claim, now).reasons]
    if pool is None:
        return coming
    health = condition(pool, "NodeRegistrationHealthy")
    unhealthy = [waiting(pool, "no-capacity", f"its nodes do not come up: {health.why}", "See the NodeClaims.")]
    filled = [] if coming else full(pool)
    return [*node_pool(pool).reasons, *(unhealthy if health.false else []), *coming, *filled]


def unbought(pod: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Why Karpenter buys no node for a pod, from its events for it (v1.14 pkg/controllers/provisioning/scheduling)."""
    messages = [str(event.get("message", "")) for event in events]
    if not messages:
        return []
    # What follows repeats the whole requirements of the pod.
    said = messages[-1].split(", requirements=")[0].split("Failed to schedule pod, ")[-1]
    fix = "Give its pool instance types that fit, or ask for less."
    return [waiting(pod, "no-capacity", f"Karpenter buys no node for it: {said}", fix)]


def full(pool: Mapping[str, Any]) -> list[Finding]:
    """That a pool has reached its limit, if so.

    Limits and status.resources count alike (Karpenter v1.14 pkg/apis/v1/nodepool.go, Limits.ExceededBy).
    """
    limits, used = pool["spec"].get("limits") or {}, pool.get("status", {}).get("resources") or {}
    reached = [
        waiting(
            pool,
            "no-capacity",
            f"has reached its limit of {limit} {resource}",
            "Raise nodes.max of the pool, or lower the replicas.",
        )
        for resource, limit in limits.items()
        if parse_quantity(str(used.get(resource, "0"))) >= parse_quantity(str(limit))
    ]
    return reached[:1]
