# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node, its pods and its mig-manager in memory, with the traps of the real one, and a driver of decide()."""

from __future__ import annotations

import copy
import itertools
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils.mig.change import (
    CONFIG_LABEL,
    RECORD_ANNOTATION,
    STATE_LABEL,
    Decision,
    Evict,
    Finish,
    Nudge,
    Options,
    PatchNode,
    Pause,
    Target,
    View,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.machine import decide
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.pods import gpu_pods
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.record import instant_text

START = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
WHOLE = Target("all-disabled", {"nvidia.com/gpu": 8})
SEVEN = Target("seven", {"nvidia.com/mig-1g.10gb": 56})
HALVES = Target("halves", {"nvidia.com/mig-3g.40gb": 16})
GEOMETRIES: dict[str, Mapping[str, int]] = {target.config: target.resources for target in (WHOLE, SEVEN, HALVES)}
SERIAL = itertools.count(1)

Json = dict[str, Any]


def make_node(**labels: str | None) -> Json:
    """A node of eight whole H100 GPUs; a label None is left out."""
    found = {
        "nvidia.com/mig.capable": "true",
        "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
        "nvidia.com/gpu.deploy.device-plugin": "true",
        CONFIG_LABEL: "all-disabled",
        STATE_LABEL: "success",
        **labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": "gpu-0",
            "labels": {key: value for key, value in found.items() if value is not None},
            "annotations": {"example.com/owner": "someone"},
            "creationTimestamp": instant_text(START - timedelta(days=3)),
        },
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"osImage": "Ubuntu 24.04 LTS"},
            "allocatable": {"cpu": "64", "nvidia.com/gpu": "8"},
            "capacity": {"cpu": "64", "nvidia.com/gpu": "8"},
        },
    }


def make_pod(name: str, **spec: Any) -> Json:
    """A pod of a ReplicaSet that asks for one whole GPU."""
    limits = {"nvidia.com/gpu": "1", "cpu": "4"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "llm",
            "uid": f"uid-{name}",
            "labels": {},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "vllm", "controller": True}],
            "creationTimestamp": instant_text(START - timedelta(days=2)),
        },
        "spec": {"containers": [{"name": "vllm", "resources": {"limits": limits}}], **spec},
        "status": {"phase": "Running"},
    }


def make_operand(app: str, made: datetime = START - timedelta(days=1)) -> Json:
    """A pod of the GPU Operator; it uses the nvidia runtime, as the real ones do."""
    pod = make_pod(f"{app}-{next(SERIAL)}", runtimeClassName="nvidia", containers=[{"name": app}])
    uid = f"uid-{app}-{instant_text(made)}"
    pod["metadata"].update(namespace="gpu-operator", creationTimestamp=instant_text(made), uid=uid)
    pod["metadata"]["labels"]["app"] = app
    pod["metadata"]["ownerReferences"] = [{"kind": "DaemonSet", "name": app, "controller": True}]
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    return pod


def operands(made: datetime = START - timedelta(days=1)) -> list[Json]:
    """The operator's pods that a change looks at."""
    apps = ("nvidia-mig-manager", "nvidia-device-plugin-daemonset", "nvidia-operator-validator")
    return [make_operand(app, made) for app in apps]


def merge(into: Json, patch: Mapping[str, Any]) -> None:
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, Mapping):
            merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


@dataclass
class Traps:
    """What goes wrong. ``fails`` names configurations that end in failed, ``wedge`` how often pending has no end."""

    fails: frozenset[str] = frozenset()
    lagging: int = 0
    wedge: int = 0
    reboot: bool = False
    early_success: bool = True
    stale_zero: bool = True
    never_allocatable: bool = False
    blocked_pods: frozenset[str] = frozenset()
    slow_pods: frozenset[str] = frozenset()


@dataclass
class World:
    """Time passes in tick() only; everything else is a call of the client, whose clock the server's is ahead of."""

    traps: Traps = field(default_factory=Traps)
    ahead_s: int = 0
    node: Json | None = field(default_factory=make_node)
    pods: list[Json] = field(default_factory=operands)
    requests: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    now: datetime = START
    seen_label: str | None = "all-disabled"
    work: list[tuple[float, str]] = field(default_factory=list)
    dying: dict[str, datetime] = field(default_factory=dict)
    former: Json = field(default_factory=dict)
    label_writes: int = 0
    writes: int = 0

    def view(self) -> View:
        return View(copy.deepcopy(self.node), tuple(copy.deepcopy(self.pods)), dict(self.requests), dict(self.refused))

    # The client's calls.

    def patch(self, patch: Mapping[str, Any]) -> None:
        """I3 and the survival of the record are asserted here, at every write."""
        assert self.node is not None
        before = self.record()
        if CONFIG_LABEL in patch["metadata"].get("labels", {}):
            assert not gpu_pods(self.pods, Options()), "I3: a label write while a pod holds a GPU"
            assert patch["metadata"]["labels"][STATE_LABEL] is None
            self.label_writes += 1
        merge(self.node, json.loads(json.dumps(patch)))
        self.writes += 1
        after = self.record()
        if before and after:
            kept = {*before, *after} - {"phase", "phase_at", "target", "manager", "back", "reason"}
            assert [before[key] for key in kept] == [after[key] for key in kept]
        assert self.node["metadata"]["annotations"]["example.com/owner"] == "someone"
        self.assert_fenced_or_as_before()

    def evict(self, pod: Mapping[str, Any]) -> None:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        assert pod["metadata"]["namespace"] != "gpu-operator"
        if name in self.traps.blocked_pods:
            self.refused[uid] = "The disruption budget vllm needs 1 healthy pods and has 1 currently"
            return
        for mine in self.pods:
            if mine["metadata"]["uid"] == uid:
                mine["metadata"]["deletionTimestamp"] = instant_text(self.now)
                slow = timedelta(days=9) if name in self.traps.slow_pods else timedelta(seconds=7)
                self.dying[uid] = self.now + slow

    def nudge(self, pod: Mapping[str, Any]) -> None:
        assert pod["metadata"]["labels"]["app"] == "nvidia-mig-manager"
        self._replace("nvidia-mig-manager")
        self.seen_label, self.work = None, []
        self.traps.lagging = 0

    # What others do.

    def tick(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        gone = {uid for uid, end in self.dying.items() if end <= self.now}
        self.pods = [pod for pod in self.pods if pod["metadata"]["uid"] not in gone]
        if self.node is None:
            return
        self._manage()
        while self.work and self.work[0][0] <= self.now.timestamp():
            self._step(self.work.pop(0)[1])

    def _manage(self) -> None:
        """mig-manager: it looks at its work only when the label changes, and answers at most one change at a time."""
        label = self._labels.get(CONFIG_LABEL)
        if self.work or label is None or label == self.seen_label:
            return
        self.seen_label = label
        at = self.now.timestamp()
        if label in self.traps.fails or self.traps.lagging:
            self.work = [(at + 2, "failed")]
        elif self._resources() == GEOMETRIES[label] and not self._paused:
            self.work = [(at + 2, "success")]
        else:
            self.work = [(at + 1, "pending")]
            if self.traps.wedge:
                self.traps.wedge -= 1
                return
            if self.traps.reboot:
                self.work += [(at + 20, "rebooting"), (at + 90, "back")]
            self.work += [(at + 95, "cut"), (at + 100, "success"), (at + 130, "operands")]

    def _step(self, what: str) -> None:
        assert self.node is not None
        ready = self.node["status"]["conditions"][0]
        if what == "pending":
            self._labels["nvidia.com/gpu.deploy.device-plugin"] = "paused-for-mig-change"
            self._labels.pop("nvidia.com/gpu.product", None)
        elif what in ("rebooting", "back"):
            ready["status"] = "False" if what == "rebooting" else "True"
        elif what == "cut" and gpu_pods(self.pods, Options()):
            what, self.work = "failed", []
        elif what == "success":
            self._labels["nvidia.com/gpu.deploy.device-plugin"] = "true"
        elif what == "operands":
            self._offer()
        if what in ("pending", "rebooting", "success", "failed"):
            self._labels[STATE_LABEL] = what
        if what == "success" and not self.traps.early_success:
            self._offer()

    def _offer(self) -> None:
        assert self.node is not None
        for field_name in () if self.traps.never_allocatable else ("allocatable", "capacity"):
            amounts = self.node["status"][field_name]
            stale = [name for name in amounts if name.startswith("nvidia.com/")]
            for name in stale:
                amounts.pop(name)
            amounts.update({name: "0" for name in stale if self.traps.stale_zero})
            amounts.update({name: str(count) for name, count in GEOMETRIES[str(self.seen_label)].items()})
        self._labels["nvidia.com/gpu.product"] = "NVIDIA-H100-80GB-HBM3"
        self._replace("nvidia-device-plugin-daemonset")
        self._replace("nvidia-operator-validator")

    def _replace(self, app: str) -> None:
        self.pods = [pod for pod in self.pods if pod["metadata"]["labels"].get("app") != app]
        self.pods.append(make_operand(app, self.now + timedelta(seconds=1 + self.ahead_s)))

    # What is true now.

    @property
    def _labels(self) -> dict[str, str]:
        assert self.node is not None
        labels: dict[str, str] = self.node["metadata"]["labels"]
        return labels

    @property
    def _paused(self) -> bool:
        return "paused-for-mig-change" in self._labels.values()

    def _resources(self) -> dict[str, int]:
        assert self.node is not None
        amounts = self.node["status"]["allocatable"]
        return {name: int(count) for name, count in amounts.items() if "nvidia" in name and int(count)}

    def record(self) -> Json | None:
        """The record on the node."""
        assert self.node is not None
        text = self.node["metadata"]["annotations"].get(RECORD_ANNOTATION)
        return json.loads(text) if text else None

    def fence(self) -> tuple[bool, str | None]:
        """Whether the node is cordoned, and what it says to Karpenter."""
        assert self.node is not None
        value = self.node["metadata"]["annotations"].get("karpenter.sh/do-not-disrupt")
        return bool(self.node["spec"].get("unschedulable")), value

    def assert_fenced_or_as_before(self) -> None:
        """I2: without a record the node is as it was found."""
        if self.record() is None:
            assert self.fence() == (self.former.get("cordoned", False), self.former.get("do_not_disrupt"))


def run(
    world: World,
    target: Target,
    options: Options,
    die: random.Random | None = None,
    decisions: list[Decision] | None = None,
) -> Finish | None:
    """Drive a node to the end. With ``die`` the run is killed at random, before or after a call: then None."""
    options = replace(options, began=world.now)
    for _dummy in range(20_000):
        decision = decide(world.view(), target, options, world.now)
        if decisions is not None and (not decisions or decisions[-1] != decision):
            decisions.append(decision)
        if die and die.random() < 0.05:
            return None
        move = decision.move
        if isinstance(move, Finish):
            return move
        if isinstance(move, PatchNode):
            world.patch(move.patch)
        elif isinstance(move, Evict):
            for pod in move.pods:
                world.evict(pod)
        elif isinstance(move, Nudge):
            world.nudge(move.pod)
        if die and die.random() < 0.05:
            return None
        if isinstance(move, PatchNode) and move.finish:
            return move.finish
        world.tick(move.seconds if isinstance(move, Pause) else 0.2 if isinstance(move, PatchNode) else 5)
    raise AssertionError("the run does not end")
