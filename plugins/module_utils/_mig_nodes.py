# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of a pool as a change of their MIG geometry has to see them, and the moves that it asks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ._cluster import Cluster, Reply
from ._prometheus import instant_query
from .converge.refusal import refusal_finding
from .errors import ApplyError, ClusterError
from .findings import Finding, Severity
from .fleet.types import Fleet, GpuPool, Prometheus
from .mig.budgets import evictable
from .mig.change import Decision, Json, Nudge, PatchNode, View
from .objects.meta import APP_LABEL, MANAGER, POOL_LABEL, Ref, label_of, ref_of, selector_text
from .objects.vllm import ROLE as VLLM
from .scaling.queries import requests_query

#: How often a node may have been written by others between reading and writing it.
_TRIES = 5
#: A refused eviction is not asked for again before; kubectl v1.35 waits as long.
_AGAIN_S = 5.0
#: Longer than any run, and a number in JSON.
_NEVER_S = 1e9
#: Prometheus has no newer values within a few seconds, and a step no time for one that is silent.
_METRICS_AGE_S = 2.0
_METRICS_TIMEOUT_S = 2.0
_BUDGET = ("policy/v1", "PodDisruptionBudget")

Decide = Callable[[View], Decision]


def name_of(node: Json) -> str:
    """The name of an object."""
    return str(node["metadata"]["name"])


@dataclass
class Nodes:
    """The nodes of one pool, and what runs on them. ``refused`` has, by pod uid, what became of evictions: the words in
    ``said``, and from when on (by ``clock``) one may be asked for again in ``again``."""

    cluster: Cluster
    fleet: Fleet
    pool: GpuPool
    refused: dict[str, dict[str, Any]]
    clock: Callable[[], float] = time.monotonic
    query: Callable[[Prometheus, str, float], list[tuple[Mapping[str, str], float]]] = instant_query
    _requests: dict[tuple[str, str], int] = field(default_factory=dict)
    _requests_at: float = float("-inf")

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that every node of the pool has."""
        return self.pool.node_selector or {POOL_LABEL: self.pool.name}

    def listed(self) -> dict[str, Json]:
        """The nodes of the pool by name."""
        found = self.cluster.list_objects("v1", "Node", labels=selector_text(self.labels))
        return {name_of(node): node for node in found}

    def views(self, nodes: Mapping[str, Optional[Json]]) -> dict[str, View]:
        """Each node with its pods; of one that is gone nothing is asked."""
        there = [name for name, node in nodes.items() if node is not None]
        pods = dict(zip(there, self.cluster.in_parallel(self._pods, there)))
        requests = self._requests_of([pod for name in there for pod in pods[name]])
        return {name: self._view(node, pods.get(name, []), requests) for name, node in nodes.items()}

    def again(self, view: View) -> View:
        """The same node, read anew: its pods first, so that a write is of the newest version of the node."""
        name = name_of(view.node or {})
        pods = self._pods(name)
        # A LIST, like all others of nodes: that is the right which every run has shown to have.
        found = self.cluster.list_objects("v1", "Node", fields=f"metadata.name={name}")
        return replace(view, node=next(iter(found), None), pods=tuple(pods))

    def _view(self, node: Optional[Json], pods: Sequence[Json], requests: Mapping[tuple[str, str], int]) -> View:
        uids = {pod["metadata"]["uid"]: _place(pod) for pod in pods}
        running = {uid: requests[place] for uid, place in uids.items() if place in requests}
        refused = {uid: str(self.refused[uid]["said"]) for uid in uids if uid in self.refused}
        return View(node, tuple(pods), running, refused)

    def _pods(self, node: str) -> list[dict[str, Any]]:
        return self.cluster.list_objects("v1", "Pod", fields=f"spec.nodeName={node}")

    def _requests_of(self, pods: Iterable[Json]) -> Mapping[tuple[str, str], int]:
        """How many requests vLLM pods run or queue, as far as Prometheus knows; it may be out of reach."""
        prometheus = self.fleet.cluster.prometheus
        serving = [_place(pod) for pod in pods if label_of(pod, APP_LABEL) == VLLM]
        if prometheus is None or not serving or self.clock() - self._requests_at < _METRICS_AGE_S:
            return self._requests
        labels = prometheus.labels
        try:
            found = self.query(prometheus, requests_query(serving, prometheus), _METRICS_TIMEOUT_S)
        except ClusterError:
            found = []
        self._requests = {(series[labels.namespace], series[labels.pod]): int(value) for series, value in found}
        self._requests_at = self.clock()
        return self._requests

    def patch(self, view: View, decision: Decision, decide: Decide) -> Optional[Decision]:
        """Write what was decided; where others wrote the node since, what is decided then. The decision that was
        written, if any. Raises ApplyError."""
        for _try in range(_TRIES):
            if view.node is None or not isinstance(decision.move, PatchNode):
                return None
            ref, patch = Ref("v1", "Node", "", name_of(view.node)), dict(decision.move.patch)
            version = view.node["metadata"]["resourceVersion"]
            patch["metadata"] = {**patch.get("metadata", {}), "resourceVersion": version}
            reply = self.cluster.patch(ref, patch, dry_run=False, manager=MANAGER)
            if reply.status != 409:
                return decision if _done(ref, reply) else None
            view = self.again(view)
            if view.node is not None and _has(view.node, decision.move.patch):
                # It was written, and the answer was lost: the version that was seen is that of before.
                return decision
            decision = decide(view)
        message = f"others wrote it each of {_TRIES} times between reading and writing it"
        fix = "See who writes it all the time (metadata.managedFields), then run again."
        raise ApplyError([Finding("conflict", Severity.ERROR, message, str(ref), fix=fix)])

    def nudge(self, move: Nudge) -> bool:
        """Delete a pod, so that its DaemonSet makes a new one. Raises ApplyError."""
        ref = ref_of({**move.pod, "apiVersion": "v1", "kind": "Pod"})
        return _done(ref, self.cluster.delete(ref, dry_run=False))

    def evict(self, pods: Sequence[Json]) -> set[str]:
        """Ask for as many evictions as budgets would grant. The uids of the pods that go because of it."""
        present = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        namespaces = sorted({pod["metadata"]["namespace"] for pod in present})
        lists = self.cluster.in_parallel(lambda place: self.cluster.list_objects(*_BUDGET, place), namespaces)
        rested = [pod for pod in present if self.clock() >= self._known(pod).get("again", 0.0)]
        now, refused = evictable(rested, [budget for found in lists for budget in found])
        self.refused.update({uid: {"said": said, "again": 0.0} for uid, said in refused.items()})
        granted = self.cluster.in_parallel(self._evict, now)
        return {pod["metadata"]["uid"] for pod, gone in zip(now, granted) if gone}

    def _known(self, pod: Json) -> Mapping[str, Any]:
        return self.refused.get(pod["metadata"]["uid"], {})

    def _evict(self, pod: Json) -> bool:
        """One eviction, asked for once: a refused one is a matter of the next round, and never a deletion."""
        metadata = pod["metadata"]
        name, namespace, uid = metadata["name"], metadata["namespace"], metadata["uid"]
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            # Not a pod of that name that a StatefulSet has made since.
            "deleteOptions": {"preconditions": {"uid": uid}},
        }
        impatient = replace(self.cluster, patience_s=0.0)
        try:
            reply = impatient.request("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body=body)
        except ClusterError as error:
            reply = Reply(503, {"message": error.findings[0].message})
        if reply.ok or reply.status == 404:
            self.refused.pop(uid, None)
            return reply.ok
        # More than one budget is a 500 whenever it is asked (pkg/registry/core/pod/storage/eviction.go of v1.35).
        rest = _NEVER_S if reply.status == 500 and "more than one" in reply.message else _AGAIN_S
        self.refused[uid] = {"said": reply.message, "again": self.clock() + rest}
        return False


def _place(pod: Json) -> tuple[str, str]:
    return str(pod["metadata"]["namespace"]), str(pod["metadata"]["name"])


def _has(live: Any, patch: Any) -> bool:
    """Whether an object is as a merge patch leaves it."""
    if not isinstance(patch, Mapping):
        return bool(live == patch)
    there = live if isinstance(live, Mapping) else {}
    return all(key not in there if value is None else _has(there.get(key), value) for key, value in patch.items())


def _done(ref: Ref, reply: Reply) -> bool:
    """Whether a write was done; False where its object is gone. Raises ApplyError where it was refused."""
    if not reply.ok and reply.status != 404:
        raise ApplyError([refusal_finding(ref, reply.status, reply.body, reply.message)])
    return reply.ok
