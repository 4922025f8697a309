# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One moment of both controllers: KEDA's poll, and where that leaves the count alone, a sync of the HPA."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Optional

from .decision import Situation
from .hpa.sync import evaluate
from .hpa.types import SECOND, Hpa, Memory, Observation, Outcome
from .keda.poll import poll
from .keda.serve import serve
from .keda.types import KedaMemory, Polled, ScaledObject, Served

#: Seconds between two syncs of the HPA (kube-controller-manager, --horizontal-pod-autoscaler-sync-period).
PERIOD = 15
_FAR = 24 * 3600


@dataclass(frozen=True)
class Step:
    """What happened: ``desired`` is the wanted count after it, and both memories are those after it.

    ``polled`` is None between two polls, ``outcome`` where the HPA did not get to decide, and ``served`` also where it
    decided without a metric.
    """

    desired: int
    memory: Memory
    keda: KedaMemory
    polled: Optional[Polled] = None
    served: Optional[Served] = None
    outcome: Optional[Outcome] = None

    @property
    def by_keda(self) -> bool:
        """Whether KEDA wrote the count, or no HPA is there."""
        return self.outcome is None


def step(situation: Situation, hpa: Hpa, polls: bool = True, syncs: bool = True) -> Step:
    """What the moment ``situation.now`` brings. ``hpa`` is to_hpa(situation.scaled). Raises nothing."""
    scaled, pauses = situation.scaled, situation.scaled.pauses
    if pauses.everything:
        # KEDA deletes the HPA, and with it what that remembers (handlePause, scaledobject_controller.go, v2.20.2).
        wanted = situation.spec if pauses.replicas is None else pauses.replicas
        return Step(wanted, Memory(), situation.keda)
    keda, polled = situation.keda, None
    if polls:
        polled = poll(scaled, keda, situation.readings, situation.spec, situation.ready, situation.now)
        keda = polled.memory
        if polled.replicas is not None and polled.replicas != situation.spec:
            return Step(polled.replicas, situation.memory, keda, polled)
    if not syncs:
        return Step(situation.spec, situation.memory, keda, polled)
    served = serve(scaled, keda, situation.readings, situation.spec, situation.ready)
    outcome = evaluate(hpa, situation.controller, situation.memory, observation(situation, served))
    if not outcome.proposals:
        # It is off, as at 0 replicas, or beyond its bounds: it asks for no metric, so that KEDA counts no failure.
        return Step(outcome.desired, outcome.memory, keda, polled, outcome=outcome)
    return Step(outcome.desired, outcome.memory, served.memory, polled, served, outcome)


def observation(situation: Situation, served: Served) -> Observation:
    """What the HPA sees of a situation."""
    return Observation(situation.now, situation.spec, situation.status, served.values, situation.ready, situation.pods)


def after(situation: Situation, done: Step, now: int) -> Situation:
    """The situation at a later time, in which a change of the count has become pods that are ready."""
    later = replace(situation, now=now, memory=done.memory, keda=done.keda)
    if done.desired == situation.spec:
        return later
    count = done.desired
    return replace(later, spec=count, status=count, ready=count, pods=count)


def next_move(situation: Situation, hpa: Hpa, done: Step, period: int = PERIOD) -> Optional[tuple[int, int]]:
    """When the count moves again after a step, and where to, if all readings stay as they are; None where it does not.

    Both controllers are played forward, until nothing that they remember can still change their minds.
    """
    start, state = situation.now, after(situation, done, situation.now)
    for second in _moments(situation.scaled, hpa, situation.controller.downscale_window, period):
        state = replace(state, now=start + second * SECOND)
        done = step(state, hpa, second % situation.scaled.polling == 0, second % period == 0)
        if done.desired != state.spec:
            return state.now, done.desired
        state = after(state, done, state.now)
    return None


def _moments(scaled: ScaledObject, hpa: Hpa, window: int, period: int) -> Iterator[int]:
    """Seconds from now at which either controller looks, up to the longest time for which one can hold the count, or
    a day."""
    spans = [window // SECOND, scaled.cooldown, scaled.initial_cooldown]
    if hpa.behavior is not None:
        for rules in (hpa.behavior.up, hpa.behavior.down):
            spans += [rules.window or 0, *(policy.period for policy in rules.policies)]
    if scaled.fallback is not None:
        # At 0 replicas only polls count failures.
        spans.append(scaled.fallback.failures * max(period, scaled.polling))
    last = min(max(spans) + period + scaled.polling, _FAR)
    return iter(sorted({*range(period, last + 1, period), *range(scaled.polling, last + 1, scaled.polling)}))
