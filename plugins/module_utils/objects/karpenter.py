# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NodePools of Karpenter v1.14, and the placeholders that keep their nodes warm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..fleet.types import Budget, Fleet, GpuPool
from ..mig.pools import offered
from ..mig.sharing import node_labels
from ..quantity import format_duration
from . import node_class
from .meta import (
    APP_LABEL,
    GPU_TAINT,
    GPU_TOLERATION,
    MANAGED_BY,
    MANAGER,
    POOL_LABEL,
    READY_TAINT,
    WARM_APP,
    Ref,
    make,
    namespace_object,
    ownership,
)
from .overrides import apply_overrides
from .vllm import vllm_image

ROLE = "karpenter"
#: Below every pod that names no class (0), so that any model pod preempts a placeholder.
_WARM_PRIORITY = -1000
WARM_CLASS = "gpufleet-warm"


def build(fleet: Fleet) -> list[dict[str, Any]]:
    """Every object of the role karpenter; pools with a node selector are not ours to make."""
    provisioned = [pool for pool in fleet.pools if pool.provisioned]
    warm = [pool for pool in provisioned if warm_count(pool)]
    shared = [namespace_object(fleet, ROLE, fleet.cluster.namespace), _priority_class(fleet)] if warm else []
    classes = [node_class.build(fleet, pool, ROLE) for pool in provisioned if node_class.is_made(pool)]
    pools = [_node_pool(fleet, pool) for pool in provisioned]
    overlays = [_overlay(fleet, pool) for pool in fleet.pools if is_overlaid(pool)]
    return shared + classes + overlays + pools + [_placeholders(fleet, pool) for pool in warm]


def absent(fleet: Fleet) -> list[Ref]:
    """Placeholders of pools that keep no node warm any more: left alone they would hold their GPUs."""
    pools = [pool for pool in fleet.pools if pool.provisioned and not warm_count(pool)]
    return [Ref("apps/v1", "Deployment", fleet.cluster.namespace, _placeholder_name(pool)) for pool in pools]


def _placeholder_name(pool: GpuPool) -> str:
    return f"warm-{pool.name}"


def warm_count(pool: GpuPool) -> int:
    """How many nodes of a pool are kept ready beside those in use."""
    return pool.nodes.warm.count if pool.nodes and pool.nodes.warm else 0


def _node_pool(fleet: Fleet, pool: GpuPool) -> dict[str, Any]:
    node_pool = make("karpenter.sh/v1", "NodePool", pool.name, ownership(fleet, ROLE, pool=pool.name))
    labels = {POOL_LABEL: pool.name, **node_labels(pool)}
    node_pool["spec"] = {
        "template": {"metadata": {"labels": labels}, "spec": _node_spec(fleet, pool)},
        "disruption": {
            # Only empty nodes: moving a replica costs a cold start and its streams.
            "consolidationPolicy": "WhenEmpty",
            "consolidateAfter": format_duration(pool.disruption.consolidate_after),
            "budgets": [_budget(budget) for budget in pool.disruption.budgets],
        },
        "limits": _limits(pool),
    }
    if pool.weight is not None:
        node_pool["spec"]["weight"] = pool.weight
    return apply_overrides(node_pool, pool.overrides)


def _limits(pool: GpuPool) -> dict[str, str]:
    """The most nodes, said twice: within one round Karpenter v1.15 counts what it is about to buy in every resource but
    nodes (subtractMax in pkg/controllers/provisioning/scheduling/scheduler.go), and would buy more than that limit.

    Of nvidia.com/gpu a node counts for as many as it offers in the end, cut and shared.
    """
    most = pool.nodes.max if pool.nodes else 0
    return {"nodes": str(most), **_amounts(pool, most)}


def _amounts(pool: GpuPool, nodes: int = 1) -> dict[str, str]:
    """What so many nodes of a pool offer."""
    return {name: str(count * nodes) for name, count in offered(pool).items()}


def is_overlaid(pool: GpuPool) -> bool:
    """Whether Karpenter has to be told what its nodes offer: slices, or GPUs that pods share."""
    return pool.provisioned and bool(pool.mig or pool.sharing)


def _overlay(fleet: Fleet, pool: GpuPool) -> dict[str, Any]:
    """Tells Karpenter what a node of the pool will offer: of slices it knows nothing, and of shared GPUs it would count
    the whole ones, and buy too many. Karpenter v1.14.3 and v1.15.0 let it replace nvidia.com/gpu (ApplyCapacityOverlay
    in pkg/cloudprovider/types.go), and need the feature gate NodeOverlay for it."""
    overlay = make("karpenter.sh/v1alpha1", "NodeOverlay", pool.name, ownership(fleet, ROLE, pool=pool.name))
    requirement = {"key": "karpenter.sh/nodepool", "operator": "In", "values": [pool.name]}
    overlay["spec"] = {"requirements": [requirement], "capacity": _amounts(pool)}
    return apply_overrides(overlay, pool.overrides)


def _node_spec(fleet: Fleet, pool: GpuPool) -> dict[str, Any]:
    ref, expire = node_class.reference(fleet, pool), pool.disruption.expire_after
    spec: dict[str, Any] = {
        "nodeClassRef": {"group": ref.api_version.partition("/")[0], "kind": ref.kind, "name": ref.name},
        "requirements": [
            {"key": key, "operator": "In", "values": values}
            for key, values in (
                ("node.kubernetes.io/instance-type", list(pool.instance_types)),
                ("karpenter.sh/capacity-type", [entry.value for entry in pool.capacity_types]),
                ("topology.kubernetes.io/zone", list(pool.zones)),
            )
            if values
        ],
        "taints": [GPU_TAINT],
        "expireAfter": "Never" if expire is None else format_duration(expire),
    }
    if pool.ready_gate:
        spec["startupTaints"] = [READY_TAINT]
    return spec


def _budget(budget: Budget) -> dict[str, Any]:
    result: dict[str, Any] = {"nodes": budget.nodes}
    if budget.reasons:
        result["reasons"] = [reason.value for reason in budget.reasons]
    if budget.schedule:
        result["schedule"] = budget.schedule
    if budget.duration is not None:
        result["duration"] = format_duration(budget.duration)
    return result


def _priority_class(fleet: Fleet) -> dict[str, Any]:
    priority = make("scheduling.k8s.io/v1", "PriorityClass", WARM_CLASS, ownership(fleet, ROLE))
    priority.update(
        value=_WARM_PRIORITY,
        globalDefault=False,
        preemptionPolicy="Never",
        description="Placeholders that keep GPU nodes warm; any pod of a model preempts them.",
    )
    return priority


def _placeholders(fleet: Fleet, pool: GpuPool) -> dict[str, Any]:
    """One pod a warm node: it takes all that the node offers, and has the image that the next replica needs there."""
    labels = ownership(fleet, ROLE, pool=pool.name)
    selector: Mapping[str, str] = {APP_LABEL: WARM_APP, POOL_LABEL: pool.name}
    gpus = _amounts(pool)
    deployment = make("apps/v1", "Deployment", _placeholder_name(pool), labels, fleet.cluster.namespace)
    deployment["spec"] = {
        "replicas": warm_count(pool),
        "selector": {"matchLabels": dict(selector)},
        "template": {
            "metadata": {"labels": {**selector, MANAGED_BY: MANAGER}},
            "spec": {
                "priorityClassName": WARM_CLASS,
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": False,
                "nodeSelector": {POOL_LABEL: pool.name},
                "tolerations": [GPU_TOLERATION],
                "containers": [
                    {
                        "name": "placeholder",
                        "image": vllm_image(fleet),
                        "command": ["sleep", "infinity"],
                        "resources": {"requests": {**gpus, "cpu": "10m", "memory": "16Mi"}, "limits": gpus},
                    }
                ],
            },
        },
    }
    return apply_overrides(deployment, pool.overrides)
