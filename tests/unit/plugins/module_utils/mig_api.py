# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server in memory with what changes of MIG geometries ask of it: Leases, evictions, and nodes in versions."""

from __future__ import annotations

from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import Answer, Call, FakeApi, status

READY = [{"type": "Ready", "status": "True"}]


class MigApi(FakeApi):
    """``evictions`` has the name of each pod that an eviction was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds["v1"] = {**self.kinds["v1"], "ConfigMap": ("configmaps", True)}
        self.kinds["coordination.k8s.io/v1"] = {"Lease": ("leases", True)}
        self.kinds["nvidia.com/v1"] = {"ClusterPolicy": ("clusterpolicies", False)}
        self.evictions: list[str] = []

    def add(self, obj: dict[str, Any], manager: str = "kubectl") -> Ref:
        """As the base, in a version."""
        ref = super().add(obj, manager)
        self.objects[ref].obj["metadata"].setdefault("resourceVersion", str(next(self._versions)))
        return ref

    def _answer(self, call: Call) -> Answer:
        if call.path.endswith("/eviction"):
            return self._evict(call)
        if call.method == "PUT":
            return self._replace(call)
        return super()._answer(call)

    def _evict(self, call: Call) -> Answer:
        namespace, name = call.body["metadata"]["namespace"], call.body["metadata"]["name"]
        self.evictions.append(name)
        ref = Ref("v1", "Pod", namespace, name)
        if ref not in self.objects:
            return status(404, f'pods "{name}" not found')
        if self.objects[ref].obj["metadata"]["uid"] != call.body["deleteOptions"]["preconditions"]["uid"]:
            return status(409, "the UID in the precondition does not match")
        del self.objects[ref]
        return Answer(201, {"kind": "Status", "status": "Success"})

    def _replace(self, call: Call) -> Answer:
        ref = self._ref(call.path)
        if ref is None or ref not in self.objects:
            return status(404, "not found")
        if call.body["metadata"]["resourceVersion"] != self.objects[ref].obj["metadata"]["resourceVersion"]:
            return status(409, "the object has been modified; please apply your changes to the latest version")
        del self.objects[ref]
        body = {**call.body, "metadata": {**call.body["metadata"], "resourceVersion": str(next(self._versions))}}
        self.add({**body, "apiVersion": ref.api_version, "kind": ref.kind}, "gpufleet")
        return Answer(200, self.objects[ref].shown())


def gpu_node(name: str, cordoned: bool = False, **labels: str) -> dict[str, Any]:
    """A node of the pool h100, ready."""
    metadata = {"name": name, "labels": {"gpufleet.io/pool": "h100", **labels}}
    spec = {"unschedulable": True} if cordoned else {}
    status_of = {"conditions": READY, "allocatable": {"nvidia.com/gpu": "8"}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": status_of}


def gpu_pod(name: str, node: str, **labels: str) -> dict[str, Any]:
    """A pod with a GPU on a node."""
    metadata = {"name": name, "namespace": "inference", "uid": f"uid-{name}", "labels": labels}
    container = {"name": "vllm", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    spec = {"nodeName": node, "containers": [container]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": "Running", "conditions": READY},
    }


def budget(allowed: int) -> dict[str, Any]:
    """The budget of all pods of the namespace inference."""
    metadata = {"name": "all", "namespace": "inference", "generation": 1}
    status_of = {"observedGeneration": 1, "disruptionsAllowed": allowed}
    spec: dict[str, Any] = {"selector": {}}
    kind = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
    return {**kind, "metadata": metadata, "spec": spec, "status": status_of}
