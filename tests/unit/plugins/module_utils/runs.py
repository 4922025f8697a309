# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of a component against the API server in memory, and the objects that others bring there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils._apply import Applier, Options
from ansible_collections.gpufleet.llm.plugins.module_utils.converge.plan import Change
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import NOW

LLAMA = Ref("apps/v1", "Deployment", "inference", "llama-70b")
QWEN = Ref("apps/v1", "Deployment", "inference", "qwen")
SCALER = Ref("keda.sh/v1alpha1", "ScaledObject", "inference", "llama-70b")
POOL = Ref("karpenter.sh/v1", "NodePool", "", "h100")
INFERENCE = Ref("v1", "Namespace", "", "inference")

Changes = tuple[tuple[str, Any], ...]
FIXED: Changes = (("models[0].replicas", {"count": 5}),)


@dataclass(frozen=True)
class Run:
    """What one run did."""

    changes: list[Change]
    findings: list[Finding]

    @property
    def actions(self) -> dict[str, str]:
        """What changed, by object."""
        return {str(change.ref): change.action.value for change in self.changes if change.action.value != "unchanged"}

    @property
    def fields(self) -> dict[str, list[str]]:
        """Fields that differ, by updated object."""
        return {
            str(change.ref): [entry.field for entry in change.fields]
            for change in self.changes
            if change.action.value == "update"
        }


def run(api: FakeApi, component: str = "vllm", *changes: tuple[str, Any], **options: bool) -> Run:
    """Run one component with a changed declaration."""
    applier = Applier(api.cluster(), fleet(*changes), component, Options(**options), clock=api.clock, now=lambda: NOW)
    return Run(applier.run(), applier.findings)


def converged(*changes: tuple[str, Any]) -> FakeApi:
    """A server on which every component was applied, with the HPA that KEDA makes of each ScaledObject."""
    api = FakeApi()
    for component in ("karpenter", "vllm", "keda"):
        run(api, component, *changes)
    for ref in [ref for ref in api.objects if ref.kind == "ScaledObject"]:
        add_hpa(api, ref)
    api.calls.clear()
    return api


def add_hpa(api: FakeApi, ref: Ref) -> Ref:
    """The HPA that KEDA makes: labels copied, owned by the ScaledObject, gone with it."""
    scaled = api.objects[ref].obj
    hpa = hpa_of(ref.name)
    owner = {"apiVersion": ref.api_version, "kind": ref.kind, "name": ref.name}
    own = {"scaledobject.keda.sh/name": ref.name}
    hpa["metadata"].update(labels={**scaled["metadata"]["labels"], **own}, ownerReferences=[owner])
    added = api.add(hpa, "keda-operator")

    def forget(deleted: Ref) -> None:
        if deleted == ref:
            api.objects.pop(added, None)

    api.on_delete = forget
    return added


def hpa_of(workload: str, name: str = "") -> dict[str, Any]:
    """An HPA on a Deployment of the namespace inference."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name or f"keda-hpa-{workload}", "namespace": "inference"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload}},
    }


def namespace(name: str = "inference") -> dict[str, Any]:
    """A namespace that somebody else made."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": "a"}}}


def gpu_pod(name: str, node: str, resource: str = "nvidia.com/gpu", **extra: Any) -> dict[str, Any]:
    """A pod that holds a GPU."""
    labels = extra.pop("labels", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "inference", "labels": labels},
        "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"limits": {resource: "1"}}}]},
        **extra,
    }


def node(name: str, pool: str) -> dict[str, Any]:
    """A node that Karpenter made."""
    labels = {"karpenter.sh/nodepool": pool}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {}}


def replicas(api: FakeApi, ref: Ref = LLAMA) -> int:
    """The live count of a workload."""
    return int(api.objects[ref].obj["spec"]["replicas"])
