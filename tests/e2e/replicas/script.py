# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A script: a workload, how it is autoscaled, and what happens to it when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from testbed.api import Json
from testbed.standins.prometheus_script import Answer

NAMESPACE = "scripts"
#: The label by which pods find their node, and tests the pods of a script.
LABEL = "example.com/script"
#: So rare that KEDA only serves the HPA, whose every sync asks.
RARELY_S = 3600
_MANY = "1000"
#: How long KEDA waits for Prometheus.
TIMEOUT_S = 0.5


@dataclass(frozen=True)
class Step:
    """What changes ``at`` seconds after the start: answers by trigger, annotations, or parts of the spec."""

    at: float
    answers: Mapping[str, Answer] = field(default_factory=dict)
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    spec: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Script:
    """``spec`` is that of the ScaledObject beyond what all have; triggers carry what theirs say beside the query.

    ``replicas`` is the first count, ``ends`` the last one. At most ``room`` pods find a place, and at most ``quota``
    may exist. ``lowers``: it is told to take lost metrics for no demand, or for a lower count. ``unreliable``: its
    Prometheus goes down for a while.
    """

    name: str
    ends: int
    steps: tuple[Step, ...]
    replicas: int = 2
    spec: Json = field(default_factory=dict)
    triggers: Mapping[str, Json] = field(default_factory=lambda: {"a": {}})
    room: int | None = None
    quota: int | None = None
    lowers: bool = False
    unreliable: bool = False

    @property
    def namespace(self) -> str:
        """That of all, unless a quota would count the pods of the others too."""
        return NAMESPACE if self.quota is None else f"{NAMESPACE}-{self.name}"

    def query(self, trigger: str) -> str:
        return f"script_{self.name}_{trigger}"

    def deployment(self) -> Json:
        labels = {LABEL: self.name}
        node = {LABEL: "any" if self.room is None else self.name}
        pod = {"nodeSelector": node, "containers": [{"name": "server", "image": "example.com/server"}]}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }

    def scaled_object(self, address: str) -> Json:
        """``address`` is that of Prometheus."""
        return {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "scaleTargetRef": {"name": self.name},
                "minReplicaCount": 1,
                "maxReplicaCount": 10,
                "pollingInterval": RARELY_S,
                "triggers": [self._trigger(name, address) for name in self.triggers],
                **self.spec,
            },
        }

    def _trigger(self, name: str, address: str) -> Json:
        own = dict(self.triggers[name])
        metadata = {"serverAddress": address, "query": self.query(name), "threshold": "5", "ignoreNullValues": "false"}
        metadata["timeout"] = f"{TIMEOUT_S * 1000:.0f}"
        return {"type": "prometheus", "name": name, **own, "metadata": {**metadata, **own.get("metadata", {})}}

    def node(self) -> Json:
        """Where its pods run."""
        return node(self.name, str(self.room))


def node(name: str, pods: str = _MANY) -> Json:
    """A node of KWOK's for that many pods."""
    capacity = {"cpu": "1000", "memory": "10Ti", "pods": pods}
    labels = {"kubernetes.io/hostname": f"{NAMESPACE}-{name}", LABEL: name}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"{NAMESPACE}-{name}", "labels": labels},
        "status": {"capacity": capacity, "allocatable": capacity},
    }
