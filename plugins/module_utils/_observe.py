# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an apply has to know of the cluster, in as few calls as possible: one LIST a kind, and a GET only for what the
lists do not hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ._cluster import Cluster
from .converge.plan import is_ours, selector_of_role
from .converge.refusal import refusal_finding
from .findings import Finding
from .fleet.types import GpuPool
from .mig.pods import is_gpu_resource
from .objects.build import Component
from .objects.meta import APP_LABEL, WARM_APP, Ref, label_of, ref_of, selector_text

#: Everything that decides replica counts.
_SCALERS = (("keda.sh/v1alpha1", "ScaledObject"), ("autoscaling/v2", "HorizontalPodAutoscaler"))
#: Phases of pods that hold no GPU any more.
_ENDED = ("Succeeded", "Failed")


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
    kinds_of_role = dict.fromkeys([*component.kinds, *map(_kind, refs)])
    listed = dict.fromkeys(kinds_of_role, selector_of_role(cluster_name, role))
    scales = any(ref.kind == "Deployment" for ref in refs)
    listed.update(dict.fromkeys(_SCALERS, "") if scales else {})
    kinds = [kind for kind in listed if cluster.serves(*kind)]
    answers = cluster.in_parallel(lambda kind: cluster.list_objects(*kind, labels=listed[kind]), kinds)
    found = {ref_of(obj): obj for objects in answers for obj in objects}
    live = {ref: obj for ref, obj in found.items() if _kind(ref) in kinds_of_role}
    scalers = [obj for ref, obj in found.items() if scales and _kind(ref) in _SCALERS]
    namespaces = _namespaces(cluster, refs, live)
    live.update({ref: obj for ref, obj in namespaces.items() if obj})
    missing = frozenset(ref.name for ref, obj in namespaces.items() if obj is None)
    unseen = [ref for ref in refs if ref not in live and ref not in namespaces and ref.namespace not in missing]
    unlisted = [ref for ref in absent if _kind(ref) not in listed]
    read = dict(zip([*unseen, *unlisted], cluster.in_parallel(cluster.get, [*unseen, *unlisted])))
    live.update({ref: obj for ref in unseen if (obj := read[ref])})
    retired = [obj for ref in absent if (obj := read.get(ref) or found.get(ref)) and is_ours(obj)]
    return Observed(live, scalers, retired, missing)


def _kind(ref: Ref) -> tuple[str, str]:
    return ref.api_version, ref.kind


def _namespaces(cluster: Cluster, refs: Sequence[Ref], live: Collection[Ref]) -> dict[Ref, Optional[dict[str, Any]]]:
    """The namespaces that are wanted or needed, of which no list says yet that they exist."""
    needed = {Ref("v1", "Namespace", "", ref.namespace) for ref in refs if ref.namespace}
    inhabited = {Ref("v1", "Namespace", "", ref.namespace) for ref in live}
    wanted = {ref for ref in refs if ref.kind == "Namespace"}
    asked = sorted((wanted | (needed - inhabited)) - set(live), key=str)
    return dict(zip(asked, cluster.in_parallel(cluster.get, asked)))


def nodes_of(cluster: Cluster, pool: GpuPool) -> list[dict[str, Any]]:
    """The nodes of a pool that exists."""
    return cluster.list_objects("v1", "Node", labels=selector_text(pool.node_selector))


def gpu_pods_on_pool(cluster: Cluster, node_pool: str) -> list[Mapping[str, Any]]:
    """The pods that use GPUs on the nodes of a NodePool, placeholders left out."""
    nodes = cluster.list_objects("v1", "Node", labels=f"karpenter.sh/nodepool={node_pool}")
    pods = cluster.in_parallel(
        lambda node: cluster.list_objects("v1", "Pod", fields=f"spec.nodeName={node['metadata']['name']}"), nodes
    )
    return [pod for found in pods for pod in found if _holds(pod)]


def refused_deletions(cluster: Cluster, refs: Sequence[Ref]) -> list[Finding]:
    """Why the server would not delete these, by a dry-run of each; what is gone already is no reason."""
    replies = cluster.in_parallel(lambda ref: cluster.delete(ref, dry_run=True), refs)
    return [
        refusal_finding(ref, reply.status, reply.body, reply.message)
        for ref, reply in zip(refs, replies)
        if not reply.ok and reply.status != 404
    ]


def names_of(pods: Sequence[Mapping[str, Any]]) -> str:
    """How many GPU pods there are, and which."""
    names = [f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods]
    return f"{len(names)} GPU pods run on it: {', '.join(names[:3])}" + (" ..." if len(names) > 3 else "")


def _holds(pod: Mapping[str, Any]) -> bool:
    """Whether a pod has GPUs that it would miss."""
    limits = (container.get("resources", {}).get("limits") or {} for container in pod["spec"]["containers"])
    gpus = any(is_gpu_resource(name) for limit in limits for name in limit)
    ended = pod.get("status", {}).get("phase") in _ENDED
    return gpus and not ended and label_of(pod, APP_LABEL) != WARM_APP
