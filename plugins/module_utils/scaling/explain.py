# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A decision in a few plain lines for people, numbers first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from .decision import Bound, Decision, Limit, Situation, TriggerDecision
from .hpa.limits import windows
from .hpa.types import SECOND
from .keda.generated import to_hpa
from .phrases import clock, joined, kept, need, number, rate, replicas, span, used

#: Limits that say by themselves what the metrics have to do with the count.
_TELLING = (Limit.TOLERANCE, Limit.MISSING_METRIC, Limit.PAUSED, Limit.IDLE, Limit.INACTIVE)


def explain(situation: Situation, decision: Decision) -> list[str]:
    """Why the count is what it is, and when it moves next; the first line begins with the count."""
    return [*_reasons(situation, decision), *_outlook(situation, decision)]


def _reasons(situation: Situation, decision: Decision) -> Iterator[str]:
    """The limit that acted last comes first, and what the metrics ask for last."""
    told = [bound for bound in decision.bounds if bound.limit is not Limit.FALLBACK]
    for index, bound in enumerate(reversed(told)):
        until = "" if bound.until is None else f", until {clock(bound.until, situation.now)}"
        before = "" if bound.before in (bound.after, decision.current) else f", not {bound.before}"
        count = _count(decision) if index == 0 else str(bound.after)
        yield f"{count}{before}{until}: {_WHY[bound.limit](situation, decision, bound)}."
    if not told:
        yield f"{_count(decision)}: {_cause(situation, decision)}."
    elif decision.proposed is not None and not any(bound.limit in _TELLING for bound in told):
        yield f"{told[0].before}: {_asked(situation, decision.triggers)}."


def _count(decision: Decision) -> str:
    """The count, and where it comes from."""
    if decision.desired == decision.current:
        return str(decision.desired)
    return f"{decision.desired} ({'up' if decision.desired > decision.current else 'down'} from {decision.current})"


def _cause(situation: Situation, decision: Decision) -> str:
    """Why the count is what it is where no limit acts."""
    if decision.by == "keda":
        return f"{_awake(situation, decision)}, so KEDA starts {replicas(decision.desired)}; the HPA goes on from there"
    return _asked(situation, decision.triggers)


def _asked(situation: Situation, triggers: Sequence[TriggerDecision]) -> str:
    """What each metric asks for, the one that decides first."""
    known = [trigger for trigger in triggers if trigger.proposal is not None]
    if not known:
        return _missing(triggers)
    first, *rest = sorted(known, key=lambda trigger: -(trigger.proposal or 0))
    others = [f"{other.name} {number(other.value or 0)} asks for {other.proposal}" for other in rest]
    text = "; ".join([_asks(situation, first), *([joined(others)] if others else [])])
    missing = [trigger for trigger in triggers if trigger.proposal is None]
    return text + (f"; {_missing(missing)}" if missing else "")


def _asks(situation: Situation, trigger: TriggerDecision) -> str:
    if trigger.fallback:
        asked = replicas(trigger.proposal or 0)
        return f"{trigger.name} has no value ({trigger.error}), and the fallback that stands in asks for {asked}"
    if trigger.within_tolerance:
        return kept(situation, trigger)
    return need(situation, trigger)


def _missing(triggers: Sequence[TriggerDecision]) -> str:
    return joined([_lacking(trigger) for trigger in triggers])


def _lacking(trigger: TriggerDecision) -> str:
    """Why a metric asks for nothing."""
    if trigger.value is not None:
        return f"{trigger.name} {number(trigger.value)} counts by pods that are ready, and no pod exists"
    return f"{trigger.name} has no value" + (f" ({trigger.error})" if trigger.error else "")


def _tolerance(situation: Situation, decision: Decision, bound: Bound) -> str:
    asked = _asked(situation, decision.triggers)
    there, wanted = situation.status, situation.spec
    return asked if there == wanted else f"{there} of {replicas(wanted)} {'exists' if there == 1 else 'exist'}; {asked}"


def _window(situation: Situation, decision: Decision, bound: Bound) -> str:
    down = bound.after > bound.before
    window = windows(to_hpa(situation.scaled).behavior, situation.controller)[down]
    rule = f"the count {'falls' if down else 'rises'} only to the {'most' if down else 'least'} that they asked"
    rule = f"{rule} for in the last {span(window)}"
    since = None if bound.until is None else bound.until - window * SECOND
    if since is None or since >= situation.now:
        return f"the metrics ask for {bound.before} only now, and {rule}"
    return f"{span((situation.now - since) // SECOND)} ago the metrics asked for {bound.after}, and {rule}"


def _policy(situation: Situation, decision: Decision, bound: Bound) -> str:
    up, behavior = bound.before > bound.after, to_hpa(situation.scaled).behavior
    if behavior is None:
        return "without scaling rules of its own a count at most doubles at once, or goes to 4 where that is more"
    rules = behavior.up if up else behavior.down
    return rate(rules, up) + used(rules, situation.memory, up, situation.now)


def _min(situation: Situation, decision: Decision, bound: Bound) -> str:
    low = situation.scaled.min
    if low == 0 and bound.after == 1:
        return "the HPA keeps at least 1, because only KEDA goes to 0"
    woken = decision.current == 0 and decision.by == "keda" and any(trigger.active for trigger in decision.triggers)
    return f"the minimum is {low}" + (f", and {_awake(situation, decision)}" if woken else "")


def _max(situation: Situation, decision: Decision, bound: Bound) -> str:
    return f"the maximum is {situation.scaled.max}"


def _missing_metric(situation: Situation, decision: Decision, bound: Bound) -> str:
    missing = [trigger for trigger in decision.triggers if trigger.proposal is None]
    rest = [trigger for trigger in decision.triggers if trigger.proposal is not None]
    if not rest:
        return f"{_missing(missing)}; meanwhile the count stays"
    return f"{_missing(missing)}; meanwhile nothing lowers the count; {_asked(situation, rest)}"


def _paused(situation: Situation, decision: Decision, bound: Bound) -> str:
    pauses = situation.scaled.pauses
    prefix = "autoscaling.keda.sh/paused"
    if not pauses.everything:
        way, verb = ("out", "rising") if bound.before > bound.after else ("in", "falling")
        cause = f"the annotation {prefix}-scale-{way} keeps it from {verb}"
    else:
        cause = f"paused by the annotation {f'{prefix}-replicas' if pauses.counted else prefix}"
    return f"{cause}, until somebody removes that; {_asked(situation, decision.triggers)}"


def _cooldown(situation: Situation, decision: Decision, bound: Bound) -> str:
    last, scaled = situation.keda.last_active, situation.scaled
    if last is None:
        return f"KEDA leaves a new workload alone for {span(scaled.initial_cooldown)} (initialCooldownPeriod)"
    ago = span((situation.now - last) // SECOND)
    return f"a trigger was active {ago} ago, and KEDA waits {span(scaled.cooldown)} (cooldownPeriod)"


def _resting(situation: Situation, decision: Decision, bound: Bound) -> str:
    idle = situation.scaled.idle
    word = "" if idle is None else f", and the idle count is {idle}"
    return f"{joined([_activation(situation, trigger) for trigger in decision.triggers])}{word}"


def _activation(situation: Situation, trigger: TriggerDecision) -> str:
    if trigger.value is None:
        return _missing([trigger])
    limit = f"above its activation threshold {number(_threshold(situation, trigger))}"
    return f"{trigger.name} {number(trigger.value)} is {'' if trigger.active else 'not '}{limit}"


def _threshold(situation: Situation, trigger: TriggerDecision) -> float:
    """Above which value a metric counts as active."""
    own = {one.metric: one.activation for one in situation.scaled.triggers}
    modifiers = situation.scaled.modifiers
    return own[trigger.metric] if trigger.metric in own or modifiers is None else modifiers.activation


def _awake(situation: Situation, decision: Decision) -> str:
    if situation.scaled.force_active:
        return "the annotation autoscaling.keda.sh/force-activation is set"
    active = [_activation(situation, trigger) for trigger in decision.triggers if trigger.active]
    return joined(active) if active else "the fallback counts as active"


_WHY: dict[Limit, Callable[[Situation, Decision, Bound], str]] = {
    Limit.TOLERANCE: _tolerance,
    Limit.WINDOW: _window,
    Limit.POLICY: _policy,
    Limit.MIN: _min,
    Limit.MAX: _max,
    Limit.MISSING_METRIC: _missing_metric,
    Limit.PAUSED: _paused,
    Limit.COOLDOWN: _cooldown,
    Limit.IDLE: _resting,
    Limit.INACTIVE: _resting,
}


def _outlook(situation: Situation, decision: Decision) -> Iterator[str]:
    """When the count moves next, and what is not known."""
    if decision.next_change is not None:
        at = clock(decision.next_change, situation.now)
        yield f"Next: {decision.next_count} at {at}, if all metrics stay as they are."
    elif not situation.scaled.pauses.everything:
        yield f"It stays {decision.desired} while all metrics stay as they are."
    window = max(windows(to_hpa(situation.scaled).behavior, situation.controller))
    if not decision.complete and decision.by == "hpa" and window:
        yield f"Not known here: what the metrics asked for in the last {span(window)}, which may still hold the count."
