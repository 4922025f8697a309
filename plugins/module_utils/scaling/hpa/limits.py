# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows, rates and bounds between what metrics ask for and what happens.

Kubernetes v1.33 to v1.37, pkg/controller/podautoscaler/horizontal.go, where the two paths, with and without a
behaviour, are the same in all five. int32 wraps where upstream's does.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from .proposals import MAX_INT32, MIN_INT32, int32
from .types import SECOND, Behavior, Memory, Recommendation, Rules, ScaleEvent, SelectPolicy

#: Without a behaviour a count at most doubles, and may always reach four.
_FACTOR, _FLOOR = 2, 4
WITHIN = "DesiredWithinRange"


def stabilize_plainly(memory: Memory, proposed: int, now: int, window: int) -> tuple[int, Memory]:
    """The highest recommendation of the window, and the memory with the newest (stabilizeRecommendation)."""
    cutoff = now - window
    highest, slot = proposed, -1
    for index, (replicas, at) in enumerate(memory.recommendations):
        if at < cutoff:
            slot = index
        elif replicas > highest:
            highest = replicas
    return highest, _remember(memory, Recommendation(proposed, now), slot)


def stabilize(
    memory: Memory, behavior: Behavior, current: int, proposed: int, now: int, window: int
) -> tuple[int, Memory]:
    """The count nearest to the current one that both windows allow (stabilizeRecommendationWithBehaviors).

    ``window`` stands in for a scale-down window that is not set, in whole seconds.
    """
    up_cutoff = now - SECOND * (behavior.up.window or 0)
    down_window = window // SECOND if behavior.down.window is None else behavior.down.window
    down_cutoff = now - SECOND * down_window
    older = min(up_cutoff, down_cutoff)
    lowest = highest = proposed
    slot = -1
    for index, (replicas, at) in enumerate(memory.recommendations):
        if at > up_cutoff and replicas < lowest:
            lowest = replicas
        if at > down_cutoff and replicas > highest:
            highest = replicas
        if at < older:
            slot = index
    return min(max(current, lowest), highest), _remember(memory, Recommendation(proposed, now), slot)


def bound_plainly(current: int, wanted: int, low: int, high: int) -> tuple[int, str]:
    """The count within its bounds, and upstream's reason (convertDesiredReplicasWithRules)."""
    limit = int32(max(_FACTOR * current, _FLOOR))
    most, reason = (limit, "ScaleUpLimit") if high > limit else (high, "TooManyReplicas")
    if wanted < low:
        return low, "TooFewReplicas"
    if wanted > most:
        return most, reason
    return wanted, WITHIN


def bound(
    memory: Memory, behavior: Behavior, current: int, wanted: int, low: int, high: int, now: int
) -> tuple[int, str]:
    """The count within rates and bounds, and upstream's reason (convertDesiredReplicasWithBehaviorRate)."""
    if wanted > current:
        limit = max(_fastest_up(memory, behavior.up, current, now), current)
        most, reason = (limit, "ScaleUpLimit") if high > limit else (high, "TooManyReplicas")
        return (most, reason) if wanted > most else (wanted, WITHIN)
    if wanted < current:
        limit = min(_fastest_down(memory, behavior.down, current, now), current)
        least, reason = (limit, "ScaleDownLimit") if low < limit else (low, "TooFewReplicas")
        return (least, reason) if wanted < least else (wanted, WITHIN)
    return wanted, WITHIN


def remember_event(memory: Memory, behavior: Behavior, before: int, after: int, now: int) -> Memory:
    """The memory with a change of the count that was written (storeScaleEvent).

    An event older than every period of its direction is marked once and for all, and the last one marked gives its
    place to the new one: until then it still counts, should an edit make a period longer.
    """
    up = after > before
    events = memory.ups if up else memory.downs
    rules = behavior.up if up else behavior.down
    cutoff = now - SECOND * max((policy.period for policy in rules.policies), default=0)
    marked = [event._replace(outdated=True) if event.at < cutoff else event for event in events]
    new = ScaleEvent(abs(after - before), now)
    slots = [index for index, event in enumerate(marked) if event.outdated]
    if slots:
        marked[slots[-1]] = new
    else:
        marked.append(new)
    return memory._replace(ups=tuple(marked)) if up else memory._replace(downs=tuple(marked))


def _remember(memory: Memory, newest: Recommendation, slot: int) -> Memory:
    """The last outdated recommendation gives its place to the newest; the order stays."""
    known = memory.recommendations
    kept = (*known, newest) if slot < 0 else (*known[:slot], newest, *known[slot + 1 :])
    return memory._replace(recommendations=kept)


def _fastest_up(memory: Memory, rules: Rules, current: int, now: int) -> int:
    if rules.select is SelectPolicy.DISABLED:
        return current
    limits = []
    for policy in rules.policies:
        start = _start(memory, current, policy.period, now)
        if policy.percent:
            limits.append(int32(ceil(float(start) * (1 + float(policy.value) / 100))))
        else:
            limits.append(_wrapped(start + policy.value))
    return min(limits, default=MAX_INT32) if rules.select is SelectPolicy.MIN else max(limits, default=MIN_INT32)


def _fastest_down(memory: Memory, rules: Rules, current: int, now: int) -> int:
    if rules.select is SelectPolicy.DISABLED:
        return current
    limits = []
    for policy in rules.policies:
        start = _start(memory, current, policy.period, now)
        if policy.percent:
            limits.append(int32(int(float(start) * (1 - float(policy.value) / 100))))
        else:
            limits.append(_wrapped(start - policy.value))
    return max(limits, default=MIN_INT32) if rules.select is SelectPolicy.MIN else min(limits, default=MAX_INT32)


def _start(memory: Memory, current: int, period: int, now: int) -> int:
    """The count at the start of a period, as the controller's own changes since then tell it."""
    cutoff = now - SECOND * period
    return _wrapped(current - _changed(memory.ups, cutoff) + _changed(memory.downs, cutoff))


def _changed(events: Sequence[ScaleEvent], cutoff: int) -> int:
    return sum(event.change for event in events if event.at > cutoff)


def _wrapped(number: int) -> int:
    """Integer arithmetic of int32, which wraps around."""
    return (number - MIN_INT32) % 2**32 + MIN_INT32
