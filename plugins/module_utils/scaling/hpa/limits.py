# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows, rates and bounds between what metrics ask for and what happens.

Kubernetes v1.33 to v1.37, pkg/controller/podautoscaler/horizontal.go, where the two paths, with and without a
behaviour, are the same in all five. int32 wraps where upstream's does.
"""

from __future__ import annotations

from math import ceil
from typing import Optional

from .proposals import MAX_INT32, MIN_INT32, int32
from .types import SECOND, Behavior, Controller, Hpa, Recommendation, Rules, ScaleEvent, SelectPolicy

#: Without a behaviour a count at most doubles, and may always reach four.
_FACTOR, _FLOOR = 2, 4
_WITHIN = "DesiredWithinRange"
_Known = tuple[Recommendation, ...]
_Events = tuple[ScaleEvent, ...]


def windows(behavior: Optional[Behavior], controller: Controller) -> tuple[int, int]:
    """For how long recommendations hold a count from rising, and from falling; in whole seconds."""
    flag = controller.downscale_window // SECOND
    if behavior is None:
        return 0, flag
    return behavior.up.window or 0, flag if behavior.down.window is None else behavior.down.window


def stabilize_plainly(known: _Known, proposed: int, now: int, window: int) -> tuple[int, _Known]:
    """The highest recommendation of the window, and those known with the newest (stabilizeRecommendation)."""
    cutoff = now - window
    highest, slot = proposed, -1
    for index, (replicas, at) in enumerate(known):
        if at < cutoff:
            slot = index
        elif replicas > highest:
            highest = replicas
    return highest, _remember(known, Recommendation(proposed, now), slot)


def stabilize(
    known: _Known, behavior: Behavior, current: int, proposed: int, now: int, window: int
) -> tuple[int, _Known]:
    """The count nearest to the current one that both windows allow (stabilizeRecommendationWithBehaviors).

    ``window`` stands in for a scale-down window that is not set, in whole seconds.
    """
    up_cutoff = now - SECOND * (behavior.up.window or 0)
    down_window = window // SECOND if behavior.down.window is None else behavior.down.window
    down_cutoff = now - SECOND * down_window
    older = min(up_cutoff, down_cutoff)
    lowest = highest = proposed
    slot = -1
    for index, (replicas, at) in enumerate(known):
        if at > up_cutoff and replicas < lowest:
            lowest = replicas
        if at > down_cutoff and replicas > highest:
            highest = replicas
        if at < older:
            slot = index
    return min(max(current, lowest), highest), _remember(known, Recommendation(proposed, now), slot)


def bound_plainly(hpa: Hpa, current: int, wanted: int) -> tuple[int, str]:
    """The count within its bounds, and upstream's reason (convertDesiredReplicasWithRules)."""
    most, reason = hpa.max_replicas, "TooManyReplicas"
    limit = int32(max(_FACTOR * current, _FLOOR))
    if limit < most:
        most, reason = limit, "ScaleUpLimit"
    if wanted < hpa.min_replicas:
        return hpa.min_replicas, "TooFewReplicas"
    return (most, reason) if wanted > most else (wanted, _WITHIN)


def bound(
    hpa: Hpa, behavior: Behavior, ups: _Events, downs: _Events, current: int, wanted: int, now: int
) -> tuple[int, str]:
    """The count within rates and bounds, and upstream's reason (convertDesiredReplicasWithBehaviorRate)."""
    if wanted > current:
        most, reason = hpa.max_replicas, "TooManyReplicas"
        limit = max(_fastest_up(behavior.up, ups, downs, current, now), current)
        if limit < most:
            most, reason = limit, "ScaleUpLimit"
        return (most, reason) if wanted > most else (wanted, _WITHIN)
    if wanted < current:
        least, reason = hpa.min_replicas, "TooFewReplicas"
        limit = min(_fastest_down(behavior.down, ups, downs, current, now), current)
        if limit > least:
            least, reason = limit, "ScaleDownLimit"
        return (least, reason) if wanted < least else (wanted, _WITHIN)
    return wanted, _WITHIN


def remember_event(events: _Events, rules: Rules, change: int, now: int) -> _Events:
    """The events of a direction, with a change of the count that was written (storeScaleEvent).

    An event older than every period of its direction is marked once and for all, and the last one marked gives its
    place to the new one: until then it still counts, should an edit make a period longer.
    """
    cutoff = now - SECOND * max(policy.period for policy in rules.policies)
    marked = [event._replace(outdated=True) if event.at < cutoff else event for event in events]
    slots = [index for index, event in enumerate(marked) if event.outdated]
    if slots:
        marked[slots[-1]] = ScaleEvent(change, now)
    else:
        marked.append(ScaleEvent(change, now))
    return tuple(marked)


def _remember(known: _Known, newest: Recommendation, slot: int) -> _Known:
    """The last outdated recommendation gives its place to the newest; the order stays."""
    return (*known, newest) if slot < 0 else (*known[:slot], newest, *known[slot + 1 :])


def _fastest_up(rules: Rules, ups: _Events, downs: _Events, current: int, now: int) -> int:
    if rules.select is SelectPolicy.DISABLED:
        return current
    limits = []
    for policy in rules.policies:
        start = _start(ups, downs, current, policy.period, now)
        if policy.percent:
            limits.append(int32(ceil(float(start) * (1 + float(policy.value) / 100))))
        else:
            limits.append(_wrapped(start + policy.value))
    return min(limits, default=MAX_INT32) if rules.select is SelectPolicy.MIN else max(limits, default=MIN_INT32)


def _fastest_down(rules: Rules, ups: _Events, downs: _Events, current: int, now: int) -> int:
    if rules.select is SelectPolicy.DISABLED:
        return current
    limits = []
    for policy in rules.policies:
        start = _start(ups, downs, current, policy.period, now)
        if policy.percent:
            limits.append(int32(int(float(start) * (1 - float(policy.value) / 100))))
        else:
            limits.append(_wrapped(start - policy.value))
    return max(limits, default=MIN_INT32) if rules.select is SelectPolicy.MIN else min(limits, default=MAX_INT32)


def _start(ups: _Events, downs: _Events, current: int, period: int, now: int) -> int:
    """The count at the start of a period, as the controller's own changes since then tell it."""
    cutoff = now - SECOND * period
    for change, at, _dummy in ups:
        if at > cutoff:
            current -= change
    for change, at, _dummy in downs:
        if at > cutoff:
            current += change
    return _wrapped(current)


def _wrapped(number: int) -> int:
    """Integer arithmetic of int32, which wraps around."""
    return (number - MIN_INT32) % 2**32 + MIN_INT32
