# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look behind an object that is not ready: at its pods, their nodes, and what Karpenter says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Optional, TypeVar

from ._cluster import Cluster
from .errors import ClusterError
from .findings import Finding, Severity
from .objects.meta import POOL_LABEL, Ref, selector_text
from .objects.placement import pools_of
from .readiness.capacity import SHORTAGES, fallback_reasons, has_choice, placed, shortage_reasons
from .readiness.nodes import capacity_reasons, unbought
from .readiness.pods import newest, pod_reasons, summary
from .readiness.predicates import ready

_T = TypeVar("_T")


@dataclass
class Explainer:
    """Reasons as of ``now``. What the user may not read is told in ``unseen``, and is no reason to stop waiting."""

    cluster: Cluster
    now: datetime
    patience_s: int
    unseen: list[Finding] = field(default_factory=list)
    _pools: dict[str, Any] = field(default_factory=dict)

    def scaled_object(self, ref: Ref) -> list[Finding]:
        """Without a replica there is no metric: then the reasons of the workload are the ones that count."""
        scaled = self._get(ref)
        target = (scaled or {}).get("spec", {}).get("scaleTargetRef", {})
        workload = Ref("apps/v1", target.get("kind", "Deployment"), ref.namespace, target.get("name", ""))
        if scaled is None or workload.kind != "Deployment":
            return []
        found = self._get(workload)
        if found is None or found.get("status", {}).get("availableReplicas"):
            return []
        return [*ready(found).reasons, *self.deployment(workload)]

    def deployment(self, ref: Ref) -> list[Finding]:
        """Reasons of its pods, and of the nodes that they wait for."""
        found = self._get(ref)
        if found is None:
            return []
        pods = newest(self._pods(found))
        reasons = [reason for pod in pods for reason in pod_reasons(pod, self.now, self.patience_s)]
        pools = pools_of(found["spec"]["template"]["spec"])
        homeless = [reason.object for reason in reasons if reason.id == "unschedulable"]
        nodes = self._nodes(pools, homeless[0], pods) if pools and homeless else []
        return [*nodes, *summary(reasons)]

    def fallbacks(self, deployments: Iterable[Mapping[str, Any]]) -> list[Finding]:
        """Which replicas of Deployments that are there do not run where they should, and why."""
        return [reason for workload in deployments for reason in self._fallbacks(workload)]

    def _fallbacks(self, workload: Mapping[str, Any]) -> list[Finding]:
        names = pools_of(workload["spec"]["template"]["spec"])
        pools = [pool for pool in map(self._pool, names) if pool]
        if len(pools) < len(names) or not has_choice(pools):
            return []
        nodes = [node for name in names for node in self._list("v1", "Node", labels=f"karpenter.sh/nodepool={name}")]
        where = placed(self._pods(workload), nodes)
        # What nobody has to explain needs no events.
        found = fallback_reasons(workload, where, pools, [], self.now)
        return fallback_reasons(workload, where, pools, self._shortages(), self.now) if found else []

    def _pods(self, workload: Mapping[str, Any]) -> list[dict[str, Any]]:
        labels = selector_text(workload["spec"]["selector"].get("matchLabels", {}))
        return self._list("v1", "Pod", workload["metadata"]["namespace"], labels=labels)

    def _shortages(self) -> list[dict[str, Any]]:
        """What Karpenter said of instances that it could not have."""
        return [
            event for reason in SHORTAGES for event in self._list("v1", "Event", "default", fields=f"reason={reason}")
        ]

    def _pool(self, name: str) -> Any:
        if name not in self._pools:
            self._pools[name] = self._get(Ref("karpenter.sh/v1", "NodePool", "", name))
        return self._pools[name]

    def _nodes(self, pools: Sequence[str], homeless: str, pods: Sequence[Mapping[str, Any]]) -> list[Finding]:
        """Why Karpenter has no node for pods that any of some pools may take."""
        by_pool = [self._pool_reasons(name) for name in pools]
        said = [reason for reasons in by_pool for reason in reasons or ()]
        if all(reasons is None or reasons for reasons in by_pool):
            return said
        pod = next(pod for pod in pods if homeless.endswith(f"/{pod['metadata']['name']}"))
        metadata = pod["metadata"]
        fields = f"involvedObject.name={metadata['name']},reason=FailedScheduling,source=karpenter"
        return unbought(pod, self._list("v1", "Event", metadata["namespace"], fields=fields)) or said

    def _pool_reasons(self, name: str) -> Optional[list[Finding]]:
        """Why a pool gives no node, or None where it cannot be read and shows no node on its way either."""
        claims = self._list("karpenter.sh/v1", "NodeClaim", labels=f"{POOL_LABEL}={name}")
        pool = self._pool(name)
        short = shortage_reasons(pool, self._shortages(), self.now) if pool else []
        return [*short, *capacity_reasons(pool, claims, self.now)] or (None if pool is None else [])

    def _get(self, ref: Ref) -> Any:
        return self._look(lambda: self.cluster.get(ref), None)

    def _list(
        self, api_version: str, kind: str, namespace: str = "", labels: str = "", fields: str = ""
    ) -> list[dict[str, Any]]:
        return self._look(lambda: self.cluster.list_objects(api_version, kind, namespace, labels, fields), [])

    def _look(self, read: Callable[[], _T], unknown: _T) -> _T:
        try:
            return read()
        except ClusterError as error:
            self.unseen += error.when_denied(Severity.WARNING)
            return unknown
