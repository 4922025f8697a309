# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What KEDA and the HPA saw and did for one script, from the audit log and the journal of Prometheus.

The controller reads the scale, asks for each metric, writes the scale where it changes, and then its status: one sync
is what it does from one such reading to the next. What Prometheus was asked beside the syncs are polls of KEDA's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite

from e2e.replicas.script import TIMEOUT_S, Script
from e2e.replicas.stage import Played
from testbed.api import Json
from testbed.audit import Call
from testbed.standins.prometheus_script import Answer, Asked

_CONTROLLER, _KEDA, _KWOK = "kube-controller-manager", "keda", "kwok"
_SCALE = "apps/deployments/scale"
_HPA = "autoscaling/horizontalpodautoscalers"
_SCALED_OBJECT = "keda.sh/scaledobjects"
_METRIC = "external.metrics.k8s.io/"
#: Asked once more after a failure (GetMetricsAndActivityForScaler of KEDA 2.20, pkg/scaling/cache/scalers_cache.go).
_TRIES = 2
#: Triggers of one poll are asked together, and polls are a second apart.
_TOGETHER_S = 0.3
_CONFLICT = 409
#: No sync takes longer.
_LONGEST_S = 1.5


@dataclass(frozen=True)
class Sync:
    """One sync of the HPA: the counts it read, per metric whether it was served, and what it wrote, if anything.

    ``time`` is when it began. It decided after it had all metrics at ``earliest``, and before ``latest``, when the next
    call came; ``written_at`` is when a new count was there. ``answers`` are by query; one that did not reach Prometheus
    has none. ``hpa`` is the status written, if any.
    """

    time: float
    earliest: float
    latest: float
    spec: int
    status: int
    served: dict[str, bool]
    answers: dict[str, Answer]
    written: int | None
    written_at: float
    hpa: Json | None


@dataclass(frozen=True)
class Poll:
    """One look of KEDA's own. It decided at ``time`` or later: before it wrote at ``latest``, where it did."""

    time: float
    latest: float
    answers: dict[str, Answer]


@dataclass(frozen=True)
class Scaled:
    """KEDA wrote the count itself."""

    time: float
    count: int


@dataclass(frozen=True)
class HpaWritten:
    """The HPA is another one from now on; None where KEDA deleted it."""

    time: float
    object: Json | None


@dataclass(frozen=True)
class StatusWritten:
    """The status of the ScaledObject is another one from now on."""

    time: float
    status: Json


@dataclass(frozen=True)
class Edited:
    """The test wrote the ScaledObject."""

    time: float
    object: Json


@dataclass(frozen=True)
class Restarted:
    """The controller-manager was killed."""

    time: float


Happening = Sync | Poll | Scaled | HpaWritten | StatusWritten | Edited | Restarted


class Record:
    """All that concerns one script, in order of time."""

    def __init__(self, script: Script, played: Played) -> None:
        self._script = script
        self._played = played
        self._journal = _Journal(script, played)
        self._ready = _ready(script, played.calls)
        calls = sorted((call for call in played.calls if self._concerns(call)), key=lambda call: call.received)
        syncs = list(self._syncs([call for call in calls if call.user == _CONTROLLER]))
        # One without an end may have been cut short by the kill.
        whole = [each for each in syncs if each.hpa or not 0 < played.restart - each.time < _LONGEST_S]
        by_keda = list(self._by_keda(calls))
        polls = self._journal.polls([each.time for each in by_keda if isinstance(each, Scaled)])
        found: list[Happening] = [*whole, *polls, *by_keda, Restarted(played.restart)]
        found += [Edited(each.time, each.object) for each in played.objects[script.name]]
        self.happenings = sorted(found, key=lambda each: each.time)

    @property
    def start(self) -> float:
        return self._played.start

    def is_down_at(self, time: float) -> bool:
        """Whether its Prometheus may refuse connections to who begins now."""
        down, up = self._played.outage
        return self._script.unreliable and down - _LONGEST_S < time < up

    def ready_at(self, time: float) -> int:
        """How many of its pods were Running and Ready."""
        return sum(since <= time < until for since, until in self._ready)

    def _concerns(self, call: Call) -> bool:
        if call.namespace != self._script.namespace:
            return False
        if not call.resource.startswith((_SCALE, _HPA, _SCALED_OBJECT, _METRIC)):
            return False
        selector = f"scaledobject.keda.sh%2Fname%3D{self._script.name}"
        of_metric = call.resource.startswith(_METRIC) and call.uri.endswith(selector)
        return of_metric or call.name in (self._script.name, f"keda-hpa-{self._script.name}")

    def _syncs(self, calls: Sequence[Call]) -> Iterator[Sync]:
        """The last one may have been cut short by the end."""
        current: list[Call] = []
        for call in calls:
            begins = call.resource == _SCALE and call.verb == "get" and not _retries(current)
            if begins and current:
                yield self._sync(current)
            current = [call] if begins else [*current, call] if current else []

    def _sync(self, calls: Sequence[Call]) -> Sync:
        scale = calls[0].answer
        assert scale, calls[0]
        metrics = [call for call in calls if call.resource.startswith(_METRIC)]
        asked = (metrics or calls)[-1 if metrics else 0]
        after = next((call for call in calls if call.received >= asked.ended), None)
        writes = [call for call in calls if call.resource == _SCALE and call.is_write]
        # Also one that met a newer object: it says what was decided.
        statuses = [call.body for call in calls if call.resource == f"{_HPA}/status"]
        return Sync(
            time=calls[0].received,
            earliest=asked.ended,
            latest=after.received if after else asked.ended,
            spec=scale["spec"].get("replicas", 0),
            status=scale["status"].get("replicas", 0),
            served={call.resource.removeprefix(_METRIC): call.status == 200 for call in metrics},
            answers={query: answer for call in metrics for query, answer in self._journal.within(call).items()},
            written=_count(writes[-1]) if writes else None,
            written_at=writes[-1].ended if writes else 0.0,
            hpa=statuses[-1]["status"] if statuses and statuses[-1] else None,
        )

    def _by_keda(self, calls: Iterable[Call]) -> Iterator[Happening]:
        for call in calls:
            if call.user != _KEDA or not call.is_write:
                continue
            if call.resource == _SCALE:
                yield Scaled(call.received, _count(call))
            elif call.resource == _HPA:
                deleted = call.verb == "delete"
                # The controller may see a new one before KEDA has its answer.
                yield HpaWritten(call.ended if deleted else call.received, None if deleted else call.answer)
            elif call.resource == f"{_SCALED_OBJECT}/status" and call.answer:
                yield StatusWritten(call.ended, call.answer["status"])


class _Journal:
    """What Prometheus was asked for a script, each question to be claimed once."""

    def __init__(self, script: Script, played: Played) -> None:
        queries = {script.query(trigger) for trigger in script.triggers}
        self._open: list[Asked] = [each for each in played.asked if each.query in queries]

    def within(self, call: Call) -> dict[str, Answer]:
        """The answers on which that of a metric rests."""
        found: dict[str, Answer] = {}
        for query in {each.query for each in self._open}:
            tries = [each for each in self._open if each.query == query and call.received <= each.time <= call.ended]
            counted = tries[: _TRIES if tries and lost(tries[0].answer) else 1]
            if counted:
                found[query] = counted[-1].answer
                self._open = [each for each in self._open if each not in counted]
        return found

    def polls(self, writes: Sequence[float]) -> Iterator[Poll]:
        """What no sync has claimed; ``writes`` are the times at which KEDA wrote the count."""
        groups: list[list[Asked]] = []
        for each in self._open:
            if groups and each.time - groups[-1][-1].time < _TOGETHER_S:
                groups[-1].append(each)
            else:
                groups.append([each])
        ends = [*(group[0].time for group in groups[1:]), inf]
        for group, end in zip(groups, ends, strict=True):
            time = group[-1].time
            latest = next((write for write in writes if time <= write < end), time)
            yield Poll(time, latest, {each.query: each.answer for each in group})


def lost(answer: Answer | None) -> bool:
    """Whether it is no single number in time; KEDA then asks once more."""
    if answer is None or answer.error is not None or len(answer.series) != 1:
        return True
    return answer.delay_s > TIMEOUT_S or not isfinite(answer.series[0])


def _count(call: Call) -> int:
    """What a scale was set to; JSON leaves a zero out."""
    assert call.body, call
    return int(call.body["spec"].get("replicas", 0))


def _retries(calls: Sequence[Call]) -> bool:
    """Whether the last write met a newer object, which is then read again in the same sync."""
    return bool(calls) and calls[-1].resource == _SCALE and calls[-1].status == _CONFLICT


def _ready(script: Script, calls: Iterable[Call]) -> list[tuple[float, float]]:
    """From when until when each pod was Running and Ready, which KWOK says in one call; another one removes it."""
    since: dict[str, float] = {}
    until: dict[str, float] = {}
    for call in calls:
        name, _, _ = call.name.rpartition("-")
        ours = call.user == _KWOK and call.is_write and call.namespace == script.namespace
        if ours and name.rpartition("-")[0] == script.name:
            times = since if call.resource == "pods/status" else until
            times.setdefault(call.name, call.ended)
    return [(start, until.get(name, inf)) for name, start in since.items()]
