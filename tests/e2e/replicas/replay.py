# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same inputs through the engine, and each of its decisions against the real one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.fields import Problems
from ansible_collections.gpufleet.llm.plugins.module_utils.quantity import parse_quantity
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.defaults import behavior_of
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.sync import evaluate
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    SECOND,
    Condition,
    Conditions,
    Controller,
    Hpa,
    Memory,
    Metric,
    Observation,
    Outcome,
    TargetType,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.generated import to_hpa
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.parse import parse_scaled_object
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.poll import poll
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.serve import serve
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.types import KedaMemory, Reading, ScaledObject

from e2e.replicas.record import (
    Edited,
    Happening,
    HpaWritten,
    Poll,
    Record,
    Restarted,
    Scaled,
    StatusWritten,
    Sync,
    lost,
)
from e2e.replicas.script import RARELY_S, TIMEOUT_S, Script
from testbed.api import Json
from testbed.standins.prometheus_script import Answer

#: How long what is written may take to reach the caches of controllers.
_CACHE_S = 1.0
#: How far the time of a decision is from that of the calls around it, seen from the API server.
_CLOCK_S = 0.1


@dataclass(frozen=True)
class Move:
    """Who made the count what, and when, in seconds after the start."""

    at: float
    who: str
    count: int


class Replay:
    """One script. ``differences`` says where the engine is wrong, ``moves`` the changes of the real count."""

    def __init__(self, script: Script, record: Record, controller: Controller) -> None:
        self._script = script
        self._record = record
        self._controller = controller
        self._scaled: ScaledObject | None = None
        #: The last one that KEDA made, after that before it.
        self._hpas: list[Hpa] = []
        self._hpa_since = 0.0
        self._memory = Memory()
        self._keda = KedaMemory()
        self.count = script.replicas
        #: Syncs compared, and those of them that lacked a metric.
        self.compared = self.lost = 0
        #: What KEDA is to write next.
        self._due: int | None = None
        self._active = ""
        self._conditions = Conditions()
        self._status: Json = {}
        self.differences: list[str] = []
        self.moves: list[Move] = []
        #: Moves downwards while a metric was lost.
        self.lowered: list[str] = []
        for happening in record.happenings:
            self._take(happening)
        self._end()

    def _take(self, happening: Happening) -> None:
        if isinstance(happening, Sync):
            self._sync(happening)
        elif isinstance(happening, Poll):
            self._poll(happening)
        elif isinstance(happening, Scaled):
            self._scaled_by_keda(happening)
        elif isinstance(happening, HpaWritten):
            self._hpa_written(happening)
        elif isinstance(happening, StatusWritten):
            self._status_written(happening)
        elif isinstance(happening, Edited):
            self._scaled = parse_scaled_object(happening.object)
            self._due = self._scaled.pauses.replicas
        elif isinstance(happening, Restarted):
            self._memory = Memory(conditions=self._memory.conditions)

    def _sync(self, sync: Sync) -> None:
        assert self._scaled
        if not self._hpas:
            # The controller may not have heard yet that it is gone.
            self._compare(sync, "without an HPA the controller writes", sync.written, None)
            return
        values: tuple[int | None, ...] = (None,) * len(self._hpas[-1].metrics)
        if sync.served:
            readings = self._readings(sync)
            ready = self._record.ready_at(sync.earliest)
            served = serve(self._scaled, self._keda, readings, sync.spec, ready)
            self._keda, values = served.memory, served.values
        outcome = self._decide(sync, values)
        self._memory = outcome.memory
        self.compared += 1
        self._compare(sync, "the HPA writes", sync.written, _change(sync, outcome))
        for metric, number in zip(self._hpas[-1].metrics, values, strict=True):
            if metric.name in sync.served:
                self._compare(sync, f"{metric.name} is served", sync.served[metric.name], number is not None)
        self._compare_status(sync, values)
        if sync.served and self._loses(sync.answers):
            self.lost += 1
            if sync.written is not None and sync.written < sync.spec:
                self.lowered.append(f"{self._at(sync)}: from {sync.spec} to {sync.written}")
        if sync.written is not None:
            self._moved(sync.written_at, "hpa", sync.written)

    def _decide(self, sync: Sync, values: tuple[int | None, ...]) -> Outcome:
        """The prediction. Where what was seen is not known for certain, the one that came true, if any did.

        That is the time within _CLOCK_S, and whether a new HPA had reached the controller yet.
        """
        ready = self._record.ready_at(sync.earliest)
        certain = sync.time - self._hpa_since > _CACHE_S
        outcomes = []
        for hpa in self._hpas[-1:] if certain else self._hpas[::-1]:
            for now in (sync.earliest, sync.latest, sync.earliest - _CLOCK_S, sync.latest + _CLOCK_S):
                seen = Observation(_ns(now), sync.spec, sync.status, values, ready, sync.status)
                outcome = evaluate(hpa, self._controller, self._memory, seen)
                if _change(sync, outcome) is not None:
                    outcome = outcome._replace(memory=_since(outcome.memory, seen.now, _ns(sync.written_at)))
                outcomes.append(outcome)
        return next((outcome for outcome in outcomes if _change(sync, outcome) == sync.written), outcomes[0])

    def _compare_status(self, sync: Sync, values: tuple[int | None, ...]) -> None:
        """Conditions, and metric values as the HPA read them. The status is written where it changes."""
        if sync.hpa:
            self._conditions = _conditions(sync.hpa)
            expected = {
                metric.name: _shown(metric, number, sync.status)
                for metric, number in zip(self._hpas[-1].metrics, values, strict=True)
                if number is not None and sync.served
            }
            self._compare(sync, "the HPA reads", _current(sync.hpa), expected)
        predicted = self._memory.conditions._replace(scaled_to_zero=False)
        self._compare(sync, "conditions of the HPA", self._conditions, predicted)

    def _poll(self, happening: Poll) -> None:
        assert self._scaled
        self._settle(happening)
        ready = self._record.ready_at(happening.time)
        readings = self._readings(happening)
        polled = poll(self._scaled, self._keda, readings, self.count, ready, _ns(happening.latest))
        self._keda, self._due, self._active = polled.memory, polled.replicas, polled.reason
        if polled.replicas is not None and polled.replicas < self.count and self._loses(happening.answers):
            self.lowered.append(f"{self._at(happening)}: from {self.count} to {polled.replicas}")

    def _scaled_by_keda(self, happening: Scaled) -> None:
        if self._due is None and happening.count == self.count:
            return  # again, as its cache had not seen it yet
        self._compare(happening, "KEDA writes", happening.count, self._due)
        self._due = None
        self._moved(happening.time, "keda", happening.count)

    def _settle(self, happening: Happening) -> None:
        """Nothing is left that KEDA was to write."""
        if self._due is not None:
            self._compare(happening, "before this KEDA writes", None, self._due)

    def _hpa_written(self, happening: HpaWritten) -> None:
        assert self._scaled
        if happening.object is None:
            self._hpas, self._memory = [], Memory()
            return
        hpa = to_hpa(self._scaled)
        self._compare(happening, "KEDA makes the HPA", _hpa(happening.object), hpa)
        if hpa not in self._hpas[-1:]:
            self._hpas = [*self._hpas[-1:], hpa]
            self._hpa_since = happening.time

    def _status_written(self, happening: StatusWritten) -> None:
        """KEDA keeps whole seconds of when a poll ended, which may be the next one after it was seen to begin."""
        self._status = happening.status
        mine, written = self._keda.last_active, happening.status.get("lastActiveTime")
        if mine is not None and written:
            real = _ns(datetime.fromisoformat(written).timestamp())
            if abs(mine - real) <= SECOND:
                self._keda = replace(self._keda, last_active=real)

    def _end(self) -> None:
        last = self._record.happenings[-1]
        self._settle(last)
        conditions = {each["type"]: each for each in self._status.get("conditions", [])}
        # Where it polls rarely, the reconciler of KEDA may have the last word, with what it read before the first poll.
        if self._scaled and self._scaled.polling < RARELY_S:
            self._compare(last, "ScaledObject is active", conditions["Active"]["reason"], self._active)
        failures = {name: each["numberOfFailures"] for name, each in self._status.get("health", {}).items()}
        expected = {name: self._keda.failures.get(name, 0) for name in failures}
        self._compare(last, "failures in a row", failures, expected)

    def _readings(self, happening: Sync | Poll) -> tuple[Reading, ...]:
        answers = [happening.answers.get(self._script.query(trigger)) for trigger in self._script.triggers]
        # After an error KEDA throws its scalers away, and while it makes new ones it serves an error and asks nobody
        # (ClearScalersCache in pkg/scaling/scale_handler.go, v2.20.2).
        refused = isinstance(happening, Sync) and not all(happening.served.values())
        if None in answers and not refused and not self._record.is_down_at(happening.time):
            self.differences.append(f"{self._at(happening)}: not all of Prometheus was asked: {happening.answers}")
        return tuple(_reading(answer) for answer in answers)

    def _loses(self, answers: Mapping[str, Answer]) -> bool:
        return any(lost(answers.get(self._script.query(trigger))) for trigger in self._script.triggers)

    def _moved(self, time: float, who: str, count: int) -> None:
        self.count = count
        self.moves.append(Move(time - self._record.start, who, count))

    def _compare(self, happening: Happening, what: str, real: Any, predicted: Any) -> None:
        if real != predicted:
            self.differences.append(f"{self._at(happening)}: {what} {real}, not {predicted}")

    def _at(self, happening: Happening) -> str:
        return f"{self._script.name} at {happening.time - self._record.start:.3f} s"


def _change(sync: Sync, outcome: Outcome) -> int | None:
    return None if outcome.desired == sync.spec else outcome.desired


def _since(memory: Memory, decided: int, written: int) -> Memory:
    """The controller dates a change of its own when it has been written, which took a while after the decision."""
    ups, downs = (
        tuple(event._replace(at=written) if event.at == decided else event for event in events)
        for events in (memory.ups, memory.downs)
    )
    return memory._replace(ups=ups, downs=downs)


def _reading(answer: Answer | None) -> Reading:
    if answer is None:
        return Reading(error="connection refused")
    if answer.delay_s > TIMEOUT_S:
        return Reading(error="timeout")
    if answer.error is not None:
        return Reading(error=answer.name)
    return Reading(answer.series)


def _ns(time: float) -> int:
    return int(time * 1e9)


def _milli(quantity: str) -> int:
    return int(parse_quantity(quantity) * 1000)


def _hpa(item: Json) -> Hpa:
    """The spec of a real HPA."""
    spec = item["spec"]
    metrics = tuple(_metric(each["external"]) for each in spec["metrics"])
    problems = Problems()
    behavior = behavior_of(spec.get("behavior"), problems, "spec.behavior")
    assert not problems.findings, problems.findings
    return Hpa(spec["minReplicas"], spec["maxReplicas"], metrics, behavior)


def _metric(external: Json) -> Metric:
    target = external["target"]
    kind = TargetType(target["type"])
    written = target["averageValue" if kind is TargetType.AVERAGE_VALUE else "value"]
    return Metric(external["metric"]["name"], kind, _milli(written))


def _conditions(status: Json) -> Conditions:
    found = {each["type"]: Condition(each["status"] == "True", each["reason"]) for each in status["conditions"]}
    return Conditions(found.get("AbleToScale"), found.get("ScalingActive"), found.get("ScalingLimited"))


def _current(status: Json) -> dict[str, int]:
    return dict(_currents(status))


def _currents(status: Json) -> Iterator[tuple[str, int]]:
    for each in status.get("currentMetrics") or []:
        external = each.get("external")
        # Of a metric without a value there is an empty entry.
        if external and external["metric"]["name"]:
            current = external["current"]
            yield external["metric"]["name"], _milli(current.get("averageValue") or current["value"])


def _shown(metric: Metric, number: int, status: int) -> int:
    """As the status of an HPA has it (replica_calculator.go of Kubernetes 1.35): per existing pod, rounded up.

    A negative one counts as an overflow, and what is divided by no pods becomes the lowest number.
    """
    if metric.type is TargetType.VALUE:
        return number
    if number < 0:
        return 2**63 - 1
    return -(-number // status) if status else -(2**63)
