# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the GPU Operator (v26.7.0, assets/state-*) makes of a ClusterPolicy: its operands as real DaemonSets.

The controller manager of the bed makes their pods, KWOK runs them. Names, app labels, runtime class and node selectors
are the vendor's. None of them requests a GPU; all of them use the runtime class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from testbed.api import Json, resource_path

NAMESPACE = "gpu-operator"
MIG_MANAGER = "nvidia-mig-manager"
VALIDATOR = "nvidia-operator-validator"
#: App label, which is the name too, by the last word of the label that deploys it.
OPERANDS = {
    "mig-manager": MIG_MANAGER,
    "device-plugin": "nvidia-device-plugin-daemonset",
    "gpu-feature-discovery": "gpu-feature-discovery",
    "dcgm-exporter": "nvidia-dcgm-exporter",
    "operator-validator": VALIDATOR,
}


@dataclass
class Policy:
    """The ClusterPolicy that counts, as all parts see it; without one there are no operands, and nobody cuts GPUs."""

    item: Json | None = None
    watchers: list[Callable[[], None]] = field(default_factory=list)

    def put(self, item: Json | None) -> None:
        self.item = item
        for watcher in self.watchers:
            watcher()

    @property
    def strategy(self) -> str:
        return str(self._spec("mig").get("strategy") or "single")

    @property
    def mig_config(self) -> Json:
        """Its `name` is that of a ConfigMap, empty for the generated one; `default` is for nodes without a label."""
        return dict(self._spec("migManager").get("config") or {})

    def _spec(self, part: str) -> Json:
        return dict((self.item or {}).get("spec", {}).get(part) or {})


def objects(policy: Json) -> Iterator[tuple[str, Json]]:
    """(path, object) of everything, to be applied."""
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"}}
    yield resource_path("node.k8s.io/v1", "runtimeclasses", name="nvidia"), {**runtime, "handler": "nvidia"}
    for deploy, name in OPERANDS.items():
        yield resource_path("apps/v1", "daemonsets", NAMESPACE, name), _daemon_set(policy, deploy, name)


def _daemon_set(policy: Json, deploy: str, name: str) -> Json:
    owner = {key: policy["metadata"][key] for key in ("name", "uid")}
    settings = policy.get("spec", {}).get("daemonsets") or {}
    pod = {
        "nodeSelector": {f"nvidia.com/gpu.deploy.{deploy}": "true"},
        "tolerations": settings.get("tolerations") or [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "priorityClassName": "system-node-critical",
        "runtimeClassName": "nvidia",
        "containers": [{"name": name, "image": f"{name}:v26.7.0", "env": [_told(Policy(policy), name)]}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app": name, "app.kubernetes.io/part-of": "gpu-operator"},
            "ownerReferences": [{"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", "controller": True, **owner}],
        },
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


def _told(policy: Policy, name: str) -> Json:
    """By what an operand gets its setting of MIG: pods are made anew when that changes, as the vendor's are."""
    if name == MIG_MANAGER:
        return {"name": "CONFIG_MAP", "value": str(policy.mig_config.get("name") or "")}
    return {"name": "MIG_STRATEGY", "value": policy.strategy}
