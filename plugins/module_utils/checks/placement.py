# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can the nodes of a pool take the pods of a model? Asked of nodes that exist; Karpenter chooses those that it buys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ..findings import Finding, Severity
from ..fleet.types import GpuPool
from ..mig.layout import GPU_RESOURCE
from ..mig.pods import is_gpu_resource
from ..mig.pools import offered
from ..quantity import parse_quantity

#: Taints with these prefixes come and go with the state of a node; they say nothing about what it is meant for.
_PASSING_TAINTS = ("node.kubernetes.io/", "readiness.k8s.io/", "node.cloudprovider.kubernetes.io/")


def pool_findings(path: str, pool: GpuPool, nodes: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Whether an existing pool has nodes, each with the declared GPUs; some that are to be divided may not be yet."""
    if not nodes:
        labels = ",".join(f"{key}={value}" for key, value in pool.node_selector.items())
        message, fix = f"no node has the labels {labels}", "Label the nodes, or correct node_selector."
        return [Finding("pool-unschedulable", Severity.ERROR, message, field=f"{path}.node_selector", fix=fix)]
    if pool.mig or pool.sharing:
        return []
    counts = {node["metadata"]["name"]: int(_allocatable(node, GPU_RESOURCE)) for node in nodes}
    odd = [f"{name} ({count})" for name, count in sorted(counts.items()) if count != pool.gpus_per_node]
    if not odd:
        return []
    message = f"is {pool.gpus_per_node}, but nodes offer another count: {', '.join(odd)}"
    fix = "Correct it, or see the device plugin on these nodes."
    return [Finding("pool-unschedulable", Severity.WARNING, message, field=f"{path}.gpus_per_node", fix=fix)]


def as_divided(pool: GpuPool, node: Mapping[str, Any]) -> dict[str, Any]:
    """A node as it is once its GPUs are cut and shared as its pool declares."""
    status = node.get("status", {})
    others = {name: amount for name, amount in (status.get("allocatable") or {}).items() if not is_gpu_resource(name)}
    gpus = {name: str(count) for name, count in offered(pool).items()}
    return {**node, "status": {**status, "allocatable": {**others, **gpus}}}


def model_findings(
    path: str, pool: GpuPool, nodes: Sequence[Mapping[str, Any]], pod: Mapping[str, Any]
) -> list[Finding]:
    """Whether any node could take a pod (its spec) if it were empty: by requests and by taints."""
    if not nodes or any(_fits(node, pod) for node in nodes):
        return []
    if not any(_tolerated(node, pod) for node in nodes):
        message = f"its pods do not tolerate the taints of any node of pool {pool.name!r}"
        fix = "Add a toleration in overrides, or remove the taint."
    else:
        requests = (container.get("resources", {}).get("requests") or {} for container in pod["containers"])
        wanted = ", ".join(f"{name} {amount}" for part in requests for name, amount in sorted(part.items()))
        message = f"no node of pool {pool.name!r} has room for {wanted}"
        fix = "Lower engine.cpu, engine.memory or gpus, or use larger nodes."
    return [Finding("pool-unschedulable", Severity.ERROR, message, field=path, fix=fix)]


def _fits(node: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    room = all(amount <= _allocatable(node, name) for name, amount in _requests(pod).items())
    return room and _tolerated(node, pod)


def _requests(pod: Mapping[str, Any]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for container in pod["containers"]:
        resources = container.get("resources") or {}
        for name, amount in {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.items():
            total[name] = total.get(name, Decimal(0)) + parse_quantity(str(amount))
    return total


def _allocatable(node: Mapping[str, Any], resource: str) -> Decimal:
    return parse_quantity(str((node.get("status", {}).get("allocatable") or {}).get(resource, "0")))


def _tolerated(node: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    lasting = (
        taint
        for taint in node["spec"].get("taints") or []
        if taint["effect"] != "PreferNoSchedule" and not taint["key"].startswith(_PASSING_TAINTS)
    )
    return all(_tolerates(pod.get("tolerations") or [], taint) for taint in lasting)


def _tolerates(tolerations: Iterable[Mapping[str, Any]], taint: Mapping[str, Any]) -> bool:
    """Matching rules of k8s.io/api v0.35 core/v1 (Toleration.ToleratesTaint)."""
    return any(
        entry.get("effect") in (None, "", taint["effect"])
        and entry.get("key") in (None, "", taint["key"])
        and (entry.get("operator") == "Exists" or entry.get("value", "") == taint.get("value", ""))
        for entry in tolerations
    )
