# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of the past, played through both controllers: what would a configuration have made of them?

The metrics are taken as they were. A count other than the one that ran would have changed them: more replicas serve
what waits sooner.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Optional

from .decision import Situation
from .hpa.types import SECOND, Memory
from .keda.generated import to_hpa
from .keda.types import KedaMemory, Reading, ScaledObject
from .observed import Series, reading_at
from .step import PERIOD, step


class Look(NamedTuple):
    """A point of time, and what the source of each trigger answered then."""

    now: int
    readings: tuple[Reading, ...]


class Turn(NamedTuple):
    """A change of the count, and who made it: ``hpa`` or ``keda``."""

    at: int
    before: int
    after: int
    by: str


@dataclass
class Course:
    """What was decided, with times in seconds.

    ``below`` is how long fewer replicas were ready than the metrics asked for, and ``no_data`` how long a trigger had
    no value: what the course says of that time is what both controllers do without one.
    """

    replica_seconds: int = 0
    at_max: int = 0
    below: int = 0
    no_data: int = 0
    lowest: int = 0
    highest: int = 0
    turns: list[Turn] = field(default_factory=list)

    @property
    def flips(self) -> int:
        """How often a change went the other way than the one before it."""
        ways = [turn.after > turn.before for turn in self.turns]
        return sum(way is not next_way for way, next_way in zip(ways, ways[1:]))


@dataclass
class _Pods:
    """Pods of a count: each becomes ready ``start_up`` seconds after it was asked for, and the newest go first."""

    start_up: int
    batches: list[tuple[int, int]]

    def follow(self, count: int, now: int) -> None:
        """Become as many as are wanted."""
        have = sum(size for _dummy, size in self.batches)
        if count > have:
            self.batches.append((now + self.start_up * SECOND, count - have))
        while have > count:
            at, size = self.batches.pop()
            gone = min(size, have - count)
            have -= gone
            if size > gone:
                self.batches.append((at, size - gone))

    def ready(self, now: int) -> int:
        """How many serve."""
        return sum(size for at, size in self.batches if at <= now)


def replay(start: Situation, scaled: ScaledObject, looks: Sequence[Look], start_up: int = 0) -> Course:
    """Play ``looks``, of which there is one a sync of the HPA, from the count of ``start`` and without a memory.

    ``start_up`` is how long a new replica takes to be ready, in seconds.
    """
    hpa, first = to_hpa(scaled), looks[0].now
    count = min(max(start.spec, hpa.min_replicas), hpa.max_replicas)
    pods = _Pods(start_up, [(first, count)])
    state = replace(start, scaled=scaled, spec=count, memory=Memory(), keda=KedaMemory())
    course, polled = Course(lowest=count, highest=count), None
    for now, readings in looks:
        ready = pods.ready(now)
        state = replace(state, now=now, readings=readings, status=state.spec, ready=ready, pods=state.spec)
        polls = polled is None or now - polled >= scaled.polling * SECOND
        polled = now if polls else polled
        done = step(state, hpa, polls)
        asked = None if done.outcome is None else done.outcome.proposed
        _note(course, state, done.desired, "keda" if done.by_keda else "hpa", asked, hpa.max_replicas)
        pods.follow(done.desired, now)
        state = replace(state, spec=done.desired, memory=done.memory, keda=done.keda)
    return course


def _note(course: Course, state: Situation, desired: int, by: str, asked: Optional[int], most: int) -> None:
    """One sync: what ran until the next, and what changed."""
    course.replica_seconds += desired * PERIOD
    course.at_max += PERIOD if desired >= most else 0
    course.below += PERIOD if asked is not None and state.ready < asked else 0
    course.no_data += 0 if all(reading.values for reading in state.readings) else PERIOD
    course.lowest, course.highest = min(course.lowest, desired), max(course.highest, desired)
    if desired != state.spec:
        course.turns.append(Turn(state.now, state.spec, desired, by))


def looks_of(series: Sequence[Series], start: int, end: int, step_s: int) -> Iterable[Look]:
    """One look a sync of the HPA, from series by trigger; times are in seconds, and a value holds until the next.

    A trigger whose series have no value at a time has an empty reading then.
    """
    for now in range(start, end + 1, PERIOD):
        asked = start + (now - start) // step_s * step_s
        yield Look(now * SECOND, tuple(reading_at(one, asked) for one in series))
