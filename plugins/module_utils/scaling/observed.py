# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What objects and events of a cluster tell of an autoscaler's situation, and of what both controllers remember."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, Optional

from .decision import Situation
from .hpa.limits import windows
from .hpa.sync import evaluate
from .hpa.types import SECOND, Controller, Memory, Observation, ScaleEvent, TargetType
from .keda.generated import to_hpa
from .keda.serve import serve
from .keda.types import KedaMemory, Reading, ScaledObject
from .step import PERIOD

#: kube-controller-manager v1.33 to v1.37: pkg/controller/podautoscaler/horizontal.go, and deployment/sync.go.
RESCALED = "SuccessfulRescale"
RESIZED = "ScalingReplicaSet"
_NEW_SIZE = re.compile(r"New size: (\d+);")
_FROM_TO = re.compile(r"Scaled (?:up|down) replica set \S+ from (\d+) to (\d+)")
#: For a window of five minutes one each 5 s.
_LOOKS = 60
#: A Deployment follows its count within this.
_FOLLOWS_WITHIN = 10 * SECOND


#: The series of one trigger, each the value by time in seconds; None where its source cannot be asked.
Series = Optional[Sequence[Mapping[int, float]]]


class Move(NamedTuple):
    """A change of the count by the HPA; ``before`` is None where nothing tells the count before it."""

    at: int
    before: Optional[int]
    after: int


class Moves(NamedTuple):
    """The HPA's changes of a count, the oldest first; ``whole`` is whether none among them is missing."""

    moves: tuple[Move, ...] = ()
    whole: bool = True

    def count_at(self, at: int, now: int) -> Optional[int]:
        """The wanted count at a time; ``now`` is the one of now. None where nothing tells it."""
        earlier = [move.after for move in self.moves if move.at <= at]
        if earlier:
            return earlier[-1]
        return self.moves[0].before if self.moves else now


def nanoseconds(text: str) -> int:
    """A time of the Kubernetes API. Raises ValueError."""
    whole, _dummy, fraction = text.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * SECOND + int(f"{fraction:0<9.9}" or 0)


def ready_pods(pods: Iterable[Mapping[str, Any]]) -> int:
    """Pods that the HPA takes for serving: Running and Ready, be they on their way out or not (getReadyPodsCount)."""
    return sum(
        pod["status"].get("phase") == "Running"
        and any((one["type"], one["status"]) == ("Ready", "True") for one in pod["status"].get("conditions") or ())
        for pod in pods
    )


def keda_memory(manifest: Mapping[str, Any]) -> KedaMemory:
    """What KEDA v2.20 keeps in the status of a ScaledObject."""
    status = manifest.get("status") or {}
    health = status.get("health") or {}
    failures = {metric: int(one.get("numberOfFailures") or 0) for metric, one in health.items()}
    active = status.get("lastActiveTime")
    return KedaMemory(failures, nanoseconds(active) if active else None)


def moves_of(events: Iterable[Mapping[str, Any]], deployment: Iterable[Mapping[str, Any]], current: int) -> Moves:
    """The changes that events of an HPA tell of; those of its Deployment tell the count before the first.

    Equal events are counted in one, which tells the times of the first and the last alone. One is missing also where
    the last count is not the current one.
    """
    sizes, whole = [], True
    for event in events:
        found = _NEW_SIZE.search(event.get("message") or "")
        if event.get("reason") == RESCALED and found:
            sizes += [(at, int(found.group(1))) for at in _times(event)]
            whole &= int(event.get("count") or 1) <= 2
    sizes.sort()
    if not sizes:
        return Moves()
    before = [_before(sizes[0], deployment), *(size for _dummy, size in sizes)]
    moves = tuple(Move(at, earlier, size) for (at, size), earlier in zip(sizes, before))
    # The HPA writes no count that is there already: somebody else changed it in between, or an event is lost.
    whole &= before[0] is not None and before[-1] == current and all(move.before != move.after for move in moves)
    return Moves(moves, whole)


def recall(situation: Situation, times: range, series: Sequence[Series], moves: Moves) -> Situation:
    """The situation with what its HPA remembers, if it synced at all of ``times``, in seconds.

    ``series`` are those of each trigger. It is complete if all that decides was seen; which pods
    were ready, by which a metric of type Value is multiplied, is only known while nothing moves.
    """
    scaled, hpa, memory, keda = situation.scaled, to_hpa(situation.scaled), Memory(), KedaMemory()
    still = situation.ready == situation.spec and all(move.at < times.start * SECOND for move in moves.moves)
    whole = moves.whole and (still or all(metric.type is TargetType.AVERAGE_VALUE for metric in hpa.metrics))
    for at in times:
        readings = tuple(reading_at(one, at) for one in series)
        count = moves.count_at(at * SECOND, situation.spec)
        whole = whole and count is not None and all(reading.values for reading in readings)
        if count is not None:
            served = serve(scaled, keda, readings, count, count)
            seen = Observation(at * SECOND, count, count, served.values, count, count)
            outcome = evaluate(hpa, situation.controller, memory, seen)
            keda, memory = served.memory if outcome.proposals else keda, outcome.memory
    known = [(move.after - move.before, move.at) for move in moves.moves if move.before is not None]
    memory = memory._replace(
        ups=tuple(ScaleEvent(change, at) for change, at in known if change > 0),
        downs=tuple(ScaleEvent(-change, at) for change, at in known if change < 0),
    )
    return replace(situation, memory=memory, complete=whole)


def reading_at(series: Series, at: int) -> Reading:
    """What the source of a trigger answered at a time, in seconds: the value of each series that had one.

    A source that cannot be asked is an error, not an empty answer, which KEDA may take for 0.
    """
    if series is None:
        return Reading(error="its source cannot be read here")
    return Reading(tuple(values[at] for values in series if at in values))


def syncs(scaled: ScaledObject, controller: Controller, now: int, made: int) -> range:
    """Times at which to look for what the HPA, which was ``made`` then, can still remember; all in seconds.

    Nothing tells when it really synced, so that what it remembers may end a sync earlier.
    """
    periods = [policy.period for rules in scaled.behavior or () for policy in rules.policies]
    longest = max(*windows(scaled.behavior, controller), *periods)
    step = min(max(longest // _LOOKS, 1), PERIOD)
    return range(max(now - longest - step, made), now, step)


def _times(event: Mapping[str, Any]) -> list[int]:
    """When an event happened, as far as it tells: the first and the last time."""
    first, last = event.get("firstTimestamp") or event.get("eventTime"), event.get("lastTimestamp")
    return sorted({nanoseconds(text) for text in (first, last) if text})


def _before(first: tuple[int, int], deployment: Iterable[Mapping[str, Any]]) -> Optional[int]:
    """The count before a change, which the Deployment tells when it follows."""
    at, size = first
    for event in deployment:
        found = _FROM_TO.search(event.get("message") or "")
        follows = any(0 <= time - at <= _FOLLOWS_WITHIN for time in _times(event))
        if event.get("reason") == RESIZED and found and int(found.group(2)) == size and follows:
            return int(found.group(1))
    return None
