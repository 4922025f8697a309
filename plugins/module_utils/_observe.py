# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an apply has to know of the cluster, in as few calls as possible: one LIST a kind, and a GET only for what the
lists do not hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._cluster import Cluster
from .converge.plan import is_ours, selector_of_role
from .objects.build import Component
from .objects.meta import GPU_RESOURCE, Ref, ref_of

#: Everything that decides replica counts.
_SCALERS = (("keda.sh/v1alpha1", "ScaledObject"), ("autoscaling/v2", "HorizontalPodAutoscaler"))


@dataclass(frozen=True)
class Observed:
    """Live state around a set of wanted objects.

    ``live`` holds the wanted ones that exist and all others of the role, ``scalers`` every ScaledObject and HPA,
    ``retired`` what the fleet wants absent and we own, ``missing_namespaces`` those that a wanted object needs.
    """

    live: Mapping[Ref, Mapping[str, Any]]
    scalers: Sequence[Mapping[str, Any]]
    retired: Sequence[Mapping[str, Any]]
    missing_namespaces: frozenset[str]


def observe(
    cluster: Cluster, component: Component, role: str, cluster_name: str, wanted: Iterable[Ref], absent: Sequence[Ref]
) -> Observed:
    """Read everything. Raises ClusterError."""
    refs = list(wanted)
    kinds = [(version, kind) for version, kind in component.kinds if cluster.serves(version, kind)]
    scales = any(ref.kind == "Deployment" for ref in refs)
    scaler_kinds = [kind for kind in _SCALERS if scales]
    selector = selector_of_role(cluster_name, role)
    queries = [(*kind, selector) for kind in kinds] + [(*kind, "") for kind in scaler_kinds]
    answers = cluster.in_parallel(lambda query: cluster.list_objects(query[0], query[1], labels=query[2]), queries)
    live = {ref_of(obj): obj for found in answers[: len(kinds)] for obj in found}
    scalers = [obj for found in answers[len(kinds) :] for obj in found]
    missing = _missing_namespaces(cluster, refs, live)
    unseen = [ref for ref in refs if ref not in live and ref.namespace not in missing]
    found = cluster.in_parallel(cluster.get, [*unseen, *absent])
    live.update({ref: obj for ref, obj in zip(unseen, found) if obj})
    retired = [obj for obj in found[len(unseen) :] if obj and is_ours(obj)]
    return Observed(live, scalers, retired, missing)


def _missing_namespaces(cluster: Cluster, refs: Sequence[Ref], live: Mapping[Ref, Any]) -> frozenset[str]:
    used = {ref.namespace for ref in refs if ref.namespace}
    known = {ref.namespace or ref.name for ref in live if ref.namespace or ref.kind == "Namespace"}
    asked = sorted(used - known)
    found = cluster.in_parallel(lambda name: cluster.get(Ref("v1", "Namespace", "", name)), asked)
    return frozenset(name for name, obj in zip(asked, found) if obj is None)


def gpu_pods_on_pool(cluster: Cluster, node_pool: str) -> list[str]:
    """``namespace/name`` of the pods that use GPUs on the nodes of a NodePool, placeholders left out."""
    nodes = cluster.list_objects("v1", "Node", labels=f"karpenter.sh/nodepool={node_pool}")
    pods = cluster.in_parallel(
        lambda node: cluster.list_objects("v1", "Pod", fields=f"spec.nodeName={node['metadata']['name']}"), nodes
    )
    return [
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for found in pods
        for pod in found
        if _uses_gpus(pod) and (pod["metadata"].get("labels") or {}).get("app.kubernetes.io/name") != "warm"
    ]


def _uses_gpus(pod: Mapping[str, Any]) -> bool:
    limits = (container.get("resources", {}).get("limits") or {} for container in pod["spec"]["containers"])
    return any(name == GPU_RESOURCE or name.startswith("nvidia.com/mig-") for limit in limits for name in limit)
