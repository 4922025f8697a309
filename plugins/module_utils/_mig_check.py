# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the first node of a pool is cordoned: may the user of the run finish it, and would mig-manager do it?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ._access import refused_calls
from ._cluster import Cluster
from ._mig_config import load
from .checks.permissions import Access, Target
from .errors import PreflightError
from .findings import Finding, Severity
from .fleet.types import Fleet, GpuPool
from .mig.config import layout_in
from .mig.pools import config, is_cut, layout, strategy
from .mig.profiles import mig_gpu_of
from .objects.gpu_operator import CLUSTER_POLICY
from .objects.meta import Ref

_KEY = "config.yaml"


@dataclass(frozen=True)
class Check:
    """What has to hold for the nodes of a pool to be changed."""

    cluster: Cluster
    fleet: Fleet
    pool: GpuPool

    def __call__(self, nodes: Iterable[str]) -> None:
        """Raise PreflightError for the first kind of reason against the change of these nodes, and ClusterError."""
        for findings in (refused_calls(self.cluster, self._calls()), self._configured(nodes)):
            if findings:
                raise PreflightError(findings)

    def _calls(self) -> list[Access]:
        operator, own = self.fleet.cluster.gpu_operator_namespace, self.fleet.cluster.namespace
        calls = {
            Target("", "nodes", ""): ("get", "list", "patch"),
            Target("", "pods", ""): ("list",),
            Target("", "pods/eviction", ""): ("create",),
            Target("policy", "poddisruptionbudgets", ""): ("list",),
            Target("coordination.k8s.io", "leases", own): ("get", "create", "update"),
            Target("", "pods", operator): ("delete",),
            Target("", "configmaps", operator): ("get",),
            Target("nvidia.com", "clusterpolicies", ""): ("get",),
        }
        return [Access(verb, target) for target, verbs in calls.items() for verb in verbs]

    def _configured(self, nodes: Iterable[str]) -> list[Finding]:
        """Whether mig-manager knows the layout by its name, and the device plugin names slices as it shall."""
        policy = self.cluster.get(CLUSTER_POLICY)
        if policy is None:
            fix = "Install the GPU Operator, as gpufleet_gpu_operator_install does."
            return [_wrong(str(CLUSTER_POLICY), "does not exist: without the GPU Operator nobody cuts GPUs", fix)]
        spec = policy.get("spec") or {}
        return [*self._strategy(spec), *self._layouts(spec, nodes)]

    def _strategy(self, spec: Mapping[str, Any]) -> list[Finding]:
        declared, live = strategy(self.pool), (spec.get("mig") or {}).get("strategy")
        if declared is None or not is_cut(self.pool) or live == declared.value:
            return []
        message = f"names slices by strategy {live}, and pool {self.pool.name!r} needs {declared.value}"
        return [_wrong(str(CLUSTER_POLICY), message, "Run the role gpu_operator, or set mig.strategy of its chart.")]

    def _layouts(self, spec: Mapping[str, Any], nodes: Iterable[str]) -> list[Finding]:
        """mig-manager v0.15 reads the ConfigMap that the ClusterPolicy names, else one that it makes for each node."""
        named = ((spec.get("migManager") or {}).get("config") or {}).get("name")
        names = [named] if named else [f"{node}-mig-config" for node in nodes]
        place = self.fleet.cluster.gpu_operator_namespace
        found = self.cluster.in_parallel(self.cluster.get, [Ref("v1", "ConfigMap", place, name) for name in names])
        return [finding for name, obj in zip(names, found) for finding in self._layout(f"{place}/{name}", obj)]

    def _layout(self, name: str, obj: Optional[Mapping[str, Any]]) -> list[Finding]:
        where, label, gpu = f"ConfigMap {name}", str(config(self.pool)), mig_gpu_of(self.pool.gpu)
        text = ((obj or {}).get("data") or {}).get(_KEY)
        fix = "Apply the component mig, and have the chart's migManager.config.name name its ConfigMap."
        if gpu is None or not text:
            return [_wrong(where, "does not exist" if obj is None else f"has no {_KEY}", fix)]
        if layout_in(load(text, where), label, gpu, self.pool.gpus_per_node) != layout(self.pool):
            return [_wrong(where, f"has no entry {label} that makes of a node what pool {self.pool.name!r} declares", fix)]
        return []


def _wrong(where: str, message: str, fix: str) -> Finding:
    return Finding("mig-config", Severity.ERROR, message, where, fix=fix)
