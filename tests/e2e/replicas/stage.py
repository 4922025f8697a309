# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play all scripts at once on one bed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from e2e.observed import path, until
from e2e.replicas.script import Script, Step, node
from testbed import lifecycle, process
from testbed.api import Json, resource_path
from testbed.audit import Call
from testbed.bed import Bed
from testbed.settings import Settings
from testbed.standins.prometheus_script import Asked, ScriptedPrometheus

_CONTROLLER = "kube-controller-manager"
_READY_S = 120.0


@dataclass(frozen=True)
class Written:
    """A ScaledObject as it is from ``time`` on, in seconds since the epoch."""

    time: float
    object: Json


@dataclass(frozen=True)
class Played:
    """All that happened. Prometheus was down for some scripts during ``outage``; the controller died at ``restart``."""

    calls: Sequence[Call]
    asked: Sequence[Asked]
    objects: Mapping[str, Sequence[Written]]
    start: float
    outage: tuple[float, float]
    restart: float


@dataclass(frozen=True)
class Times:
    """Of what happens to all scripts at once, in seconds after the start."""

    down: float
    up: float
    restart: float
    end: float


def play(bed: Bed, scripts: Sequence[Script], times: Times) -> Played:
    """Create all workloads, play the steps of all scripts by one clock, and return what happened."""
    with ExitStack() as stack:
        servers = {flaky: stack.enter_context(ScriptedPrometheus()) for flaky in (False, True)}
        stage = _Stage(bed, scripts, servers)
        since = bed.audit().mark()
        stage.build()
        stage.perform(times)
        calls = bed.audit().calls(since)
        asked = [each for server in servers.values() for each in server.journal]
        return Played(
            calls,
            sorted(asked, key=lambda each: each.time),
            stage.objects,
            stage.start,
            stage.outage,
            stage.restart,
        )


class _Stage:
    def __init__(self, bed: Bed, scripts: Sequence[Script], servers: Mapping[bool, ScriptedPrometheus]) -> None:
        self._bed = bed
        self._api = bed.api()
        self._scripts = scripts
        self._servers = servers
        self.objects: dict[str, list[Written]] = {}
        self.start = self.restart = 0.0
        self.outage = (0.0, 0.0)

    def build(self) -> None:
        """Workloads first: the HPA of one without pods would start with errors."""
        api = self._api
        api.create(resource_path("v1", "nodes"), node("any"))
        for script in self._scripts:
            if script.room is not None:
                api.create(resource_path("v1", "nodes"), script.node())
        for namespace in sorted({script.namespace for script in self._scripts}):
            api.create(path("Namespace"), {"metadata": {"name": namespace}})
        for script in self._scripts:
            if script.quota is not None:
                quota = {"metadata": {"name": "pods"}, "spec": {"hard": {"pods": str(script.quota)}}}
                api.create(resource_path("v1", "resourcequotas", script.namespace), quota)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._deploy, self._scripts))
            for script in self._scripts:
                until(partial(self._stands, script), _READY_S, f"the pods of {script.name} stand")
            list(pool.map(self._autoscale, self._scripts))
        for namespace in sorted({script.namespace for script in self._scripts}):
            until(partial(self._decides, namespace), _READY_S, f"every HPA of {namespace} decides")

    def _deploy(self, script: Script) -> None:
        self._api.create(path("Deployment", script.namespace), script.deployment())

    def _stands(self, script: Script) -> bool:
        found = self._api.get(path("Deployment", script.namespace, script.name)).get("status", {})
        return bool(found.get("readyReplicas", 0) == script.replicas)

    def _autoscale(self, script: Script) -> None:
        for step in script.steps:
            if step.at == 0:
                self._answer(script, step)
        wanted = script.scaled_object(self._servers[script.unreliable].url)
        now = time.time()
        self._written(script, now, self._api.create(path("ScaledObject", script.namespace), wanted))

    def _decides(self, namespace: str) -> bool:
        """Whether each has gone through a sync."""
        hpas = self._api.list(resource_path("autoscaling/v2", "horizontalpodautoscalers", namespace))
        synced = [hpa for hpa in hpas if hpa["status"].get("conditions")]
        return len(synced) == sum(script.namespace == namespace for script in self._scripts)

    def perform(self, times: Times) -> None:
        """Every step at its time; a late one does not delay those after it."""
        steps = [(step.at, script, step) for script in self._scripts for step in script.steps if step.at > 0]
        actions: list[tuple[float, Callable[[], None]]] = [
            (at, partial(self._step, script, step)) for at, script, step in steps
        ]
        actions += [(times.down, self._down), (times.up, self._up), (times.restart, self._restart)]
        self.start = time.time()
        for at, action in sorted(actions, key=lambda each: each[0]):
            time.sleep(max(0.0, self.start + at - time.time()))
            action()
        time.sleep(max(0.0, self.start + times.end - time.time()))

    def _step(self, script: Script, step: Step) -> None:
        self._answer(script, step)
        changes = {
            **({"metadata": {"annotations": dict(step.annotations)}} if step.annotations else {}),
            **({"spec": step.spec} if step.spec else {}),
        }
        if changes:
            where = path("ScaledObject", script.namespace, script.name)
            # KEDA may be faster than the answer.
            now = time.time()
            self._written(script, now, self._api.patch(where, changes))

    def _answer(self, script: Script, step: Step) -> None:
        for trigger, answer in step.answers.items():
            self._servers[script.unreliable].set(script.query(trigger), answer)

    def _written(self, script: Script, now: float, item: Json) -> None:
        self.objects.setdefault(script.name, []).append(Written(now, item))

    def _down(self) -> None:
        down = time.time()
        self._servers[True].down()
        self.outage = (down, 0.0)

    def _up(self) -> None:
        self._servers[True].up()
        self.outage = (self.outage[0], time.time())

    def _restart(self) -> None:
        process.kill([process.running(self._bed.directory)[_CONTROLLER]])
        self.restart = time.time()
        lifecycle.up(self._bed.name, Settings(**self._bed.settings))
