# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kept a count from what the metrics alone would make it, in the order in which it acted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional

from .decision import Bound, Limit, Situation, TriggerDecision
from .hpa.limits import windows
from .hpa.types import SECOND, Hpa, Outcome
from .step import Step

#: When the count moves next, and where to.
Move = Optional[tuple[int, int]]
_LIMITED = {"TooFewReplicas": Limit.MIN, "TooManyReplicas": Limit.MAX}


def bounds_of(
    situation: Situation, hpa: Hpa, done: Step, triggers: Sequence[TriggerDecision], following: Move
) -> Iterator[Bound]:
    """Each limit at work in a step. ``following`` tells until when a rate holds."""
    pauses, wanted = situation.scaled.pauses, _wanted(triggers)
    if pauses.everything:
        yield Bound(Limit.PAUSED, situation.spec if wanted is None else wanted, done.desired)
        return
    if done.outcome is not None and situation.spec != 0:
        yield from _of_metrics(situation, hpa, done.outcome, triggers, following)
    yield from _of_keda(situation, done, wanted)


def _wanted(triggers: Sequence[TriggerDecision]) -> Optional[int]:
    """What the metrics ask for together, before any tolerance; None where all are missing."""
    return max((trigger.exact for trigger in triggers if trigger.exact is not None), default=None)


def _of_metrics(
    situation: Situation, hpa: Hpa, outcome: Outcome, triggers: Sequence[TriggerDecision], following: Move
) -> Iterator[Bound]:
    current = situation.spec
    if not outcome.proposals:
        limit = Limit.MAX if current > outcome.desired else Limit.MIN
        yield Bound(limit, current, outcome.desired)
        return
    filled = [trigger.proposal for trigger in triggers if trigger.fallback and trigger.proposal is not None]
    if filled:
        yield Bound(Limit.FALLBACK, current, max(filled))
    wanted, proposed = _wanted(triggers), outcome.proposed
    if proposed is None:
        yield Bound(Limit.MISSING_METRIC, current if wanted is None else wanted, current)
        return
    if wanted is not None and wanted != proposed and any(trigger.within_tolerance for trigger in triggers):
        yield Bound(Limit.TOLERANCE, wanted, proposed)
    stabilized = proposed if outcome.stabilized is None else outcome.stabilized
    if stabilized != proposed:
        yield Bound(Limit.WINDOW, proposed, stabilized, _window_end(situation, hpa, proposed, stabilized))
    if stabilized != outcome.desired:
        yield _of_rates(situation, hpa, outcome, stabilized, following)


def _of_rates(situation: Situation, hpa: Hpa, outcome: Outcome, stabilized: int, following: Move) -> Bound:
    """The rate or bound that is nearest; a pause of one direction is a rate of nothing."""
    desired, limited = outcome.desired, outcome.memory.conditions.limited
    limit = _LIMITED.get(limited.reason if limited else "", Limit.POLICY)
    pauses = situation.scaled.pauses
    if limit is Limit.POLICY and (pauses.scale_out if stabilized > situation.spec else pauses.scale_in):
        return Bound(Limit.PAUSED, stabilized, desired)
    onward = following is not None and (following[1] > desired) == (stabilized > desired)
    until = following[0] if limit is Limit.POLICY and following is not None and onward else None
    return Bound(limit, stabilized, desired, until)


def _window_end(situation: Situation, hpa: Hpa, proposed: int, stabilized: int) -> Optional[int]:
    """When the last recommendation that holds the count leaves its window."""
    down = stabilized > proposed
    if hpa.behavior is None:
        window = situation.controller.downscale_window
    else:
        window = windows(hpa.behavior, situation.controller)[down] * SECOND
    known = situation.memory.recommendations
    holding = [at for count, at in known if (count >= stabilized if down else count <= stabilized)]
    # A controller that knows nothing starts with the count that it finds (reconcileAutoscaler).
    return max(holding, default=situation.now) + window


def _of_keda(situation: Situation, done: Step, wanted: Optional[int]) -> Iterator[Bound]:
    """What KEDA makes of a workload that is not active, or should not be."""
    scaled, polled, current = situation.scaled, done.polled, situation.spec
    if polled is None:
        return
    rest = scaled.min if scaled.idle is None else scaled.idle
    limit = Limit.INACTIVE if scaled.idle is None else Limit.IDLE
    if polled.active:
        if current in (0, scaled.idle) and done.desired == current and scaled.pauses.scale_out:
            yield Bound(Limit.PAUSED, max(scaled.min, 1), current)
        elif done.by_keda and scaled.min > 1:
            yield Bound(Limit.MIN, 1, done.desired)
    elif done.by_keda:
        yield Bound(Limit.MIN if current < scaled.min <= done.desired else limit, current, done.desired)
    elif current > rest and polled.reason == "ScalerCooldown":
        yield Bound(Limit.COOLDOWN, rest, done.desired, _cooldown_end(situation))
    elif current > rest and (scaled.idle is not None or rest == 0) and scaled.pauses.scale_in:
        yield Bound(Limit.PAUSED, rest, done.desired)
    elif current == rest and (rest == 0 or scaled.idle is not None):
        yield Bound(limit, current if wanted is None else wanted, current)


def _cooldown_end(situation: Situation) -> Optional[int]:
    scaled, last = situation.scaled, situation.keda.last_active
    if last is not None:
        return last + scaled.cooldown * SECOND
    return None if scaled.created is None else scaled.created + scaled.initial_cooldown * SECOND
