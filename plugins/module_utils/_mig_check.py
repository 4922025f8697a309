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
from .mig.config import ALL_DISABLED, Configs, layout_in
from .mig.layout import NodeLayout
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
        """Raise PreflightError for what speaks against the change of these nodes, and ClusterError."""
        findings = refused_calls(self.cluster, self._calls()) or self.configured(nodes)
        if findings:
            raise PreflightError(findings)

    def _calls(self) -> list[Access]:
        operator, own = self.fleet.cluster.gpu_operator_namespace, self.fleet.cluster.namespace
        calls = {
            Target("", "nodes", ""): ("list", "patch"),
            Target("", "pods", ""): ("list",),
            Target("", "pods/eviction", ""): ("create",),
            Target("policy", "poddisruptionbudgets", ""): ("list",),
            Target("coordination.k8s.io", "leases", own): ("get", "create", "update"),
            Target("", "pods", operator): ("delete",),
            Target("", "configmaps", operator): ("get",),
            Target("nvidia.com", "clusterpolicies", ""): ("get",),
        }
        return [Access(verb, target) for target, verbs in calls.items() for verb in verbs]

    def configured(self, nodes: Iterable[str]) -> list[Finding]:
        """What keeps mig-manager from knowing the layout by its name, or slices from being named as they shall. Raises
        PreflightError where its configuration cannot be read."""
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
        refs = list(dict.fromkeys(self._ref(spec, node) for node in nodes))
        found = self.cluster.in_parallel(self.cluster.get, refs)
        return [finding for ref, obj in zip(refs, found) for finding in self._layout(ref, obj)]

    def _ref(self, spec: Mapping[str, Any], node: str) -> Ref:
        """mig-manager v0.15 reads the ConfigMap that the ClusterPolicy names, else one that it makes for each node."""
        named = ((spec.get("migManager") or {}).get("config") or {}).get("name")
        return Ref("v1", "ConfigMap", self.fleet.cluster.gpu_operator_namespace, named or f"{node}-mig-config")

    def _layout(self, ref: Ref, obj: Optional[Mapping[str, Any]]) -> list[Finding]:
        label, configs = str(config(self.pool)), _configs(ref, obj)
        fix = "Apply the component mig, and have the chart's migManager.config.name name its ConfigMap."
        if configs is None:
            return [_wrong(str(ref), "does not exist" if obj is None else f"has no {_KEY}", fix)]
        if self._made_by(configs, label) != layout(self.pool):
            message = f"has no entry {label} that makes of a node what pool {self.pool.name!r} declares"
            return [_wrong(str(ref), message, fix)]
        return []

    def _made_by(self, configs: Configs, label: str) -> Optional[NodeLayout]:
        gpu = mig_gpu_of(self.pool.gpu)
        return layout_in(configs, label, gpu, self.pool.gpus_per_node) if gpu else None

    def present(self, labels: Mapping[str, Optional[str]]) -> dict[str, Optional[NodeLayout]]:
        """What nodes are cut into now, by their names and labels; None where that is not known."""
        policy = self.cluster.get(CLUSTER_POLICY) or {}
        refs = {node: self._ref(policy.get("spec") or {}, node) for node in labels}
        distinct = list(dict.fromkeys(refs.values()))
        configs = {
            ref: _configs(ref, obj) for ref, obj in zip(distinct, self.cluster.in_parallel(self.cluster.get, distinct))
        }
        return {node: self._made_by(configs[refs[node]] or {}, label or ALL_DISABLED) for node, label in labels.items()}


def _configs(ref: Ref, obj: Optional[Mapping[str, Any]]) -> Optional[Configs]:
    """What a ConfigMap makes known to mig-manager; None where it holds nothing for it. Raises PreflightError."""
    text = ((obj or {}).get("data") or {}).get(_KEY)
    return load(text, str(ref)) if text else None


def _wrong(where: str, message: str, fix: str) -> Finding:
    return Finding("mig-config", Severity.ERROR, message, where, fix=fix)
