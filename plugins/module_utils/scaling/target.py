# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a situation to a decision: what KEDA and the HPA do next, and each thing that made the count what it is."""

from __future__ import annotations

from collections.abc import Iterator

from .bounds import bounds_of
from .decision import Decision, Situation, TriggerDecision
from .hpa.proposals import Band, band, propose
from .hpa.types import Hpa, Metric, TargetType
from .keda.generated import to_hpa
from .keda.sample import sample
from .keda.serve import COMPOSITE, serve
from .keda.types import Served
from .step import PERIOD, Step, next_move, observation, step

#: No ratio is within it: what a metric asks for without tolerance.
_NO_BAND = Band(1.0, 0.0)
#: How metrics of a HPA count in thousandths.
_MILLI = 1000


def decide(situation: Situation, period: int = PERIOD) -> Decision:
    """What the next poll and sync do in a situation, and when the count moves again after that. Raises nothing.

    ``period`` is that of the HPA's syncs, in seconds.
    """
    scaled, hpa = situation.scaled, to_hpa(situation.scaled)
    done = step(situation, hpa)
    served = done.served or serve(scaled, situation.keda, situation.readings, situation.spec, situation.ready)
    triggers = tuple(_triggers(situation, hpa, served, done))
    following = None if scaled.pauses.everything else next_move(situation, hpa, done, period)
    outcome = done.outcome
    return Decision(
        namespace=scaled.namespace,
        name=scaled.name,
        current=situation.spec,
        desired=done.desired,
        by="keda" if done.by_keda else "hpa",
        triggers=triggers,
        bounds=tuple(bounds_of(situation, hpa, done, triggers, following)),
        conditions=done.memory.conditions,
        proposed=outcome.proposed if outcome else None,
        stabilized=outcome.stabilized if outcome else None,
        next_change=following[0] if following else None,
        next_count=following[1] if following else None,
        complete=situation.complete,
    )


def _triggers(situation: Situation, hpa: Hpa, served: Served, done: Step) -> Iterator[TriggerDecision]:
    """What each metric of the HPA asks for, also where the HPA does not get to decide."""
    seen, within = observation(situation, served), band(hpa, situation.controller)
    minor = situation.controller.minor
    for metric, value in zip(hpa.metrics, served.values):
        # A formula stands for all triggers, and falls back with any of them.
        fell_back = bool(served.fell_back) if metric.name == COMPOSITE else metric.name in served.fell_back
        base = metric.target * (seen.status if metric.type is TargetType.AVERAGE_VALUE else 1)
        ratio = None if value is None or not base else value / base
        name, active, error = _source(situation, metric, done)
        low, high = _stays(metric, situation, within, base)
        yield TriggerDecision(
            name=name,
            metric=metric.name,
            metric_type=metric.type.value,
            threshold=metric.target / _MILLI,
            value=None if value is None else value / _MILLI,
            ratio=ratio,
            exact=propose(metric, value, seen, _NO_BAND, minor),
            proposal=propose(metric, value, seen, within, minor),
            within_tolerance=ratio is not None and within.low <= ratio <= within.high,
            low=low / _MILLI,
            high=high / _MILLI,
            active=active,
            fallback=fell_back,
            error=error if value is None or fell_back else "",
        )


def _stays(metric: Metric, situation: Situation, within: Band, base: int) -> tuple[float, float]:
    """The values between which a metric asks for what is there: the tolerance, and what rounding up adds to it."""
    count, share = situation.status, float(metric.target)
    if metric.type is TargetType.VALUE:
        # Without a replica that is ready any value outside the tolerance asks for none.
        if situation.ready == 0:
            return within.low * base, within.high * base
        count, share = situation.spec, metric.target / situation.ready
    return max(min(within.low * base, (count - 1) * share), 0.0), max(within.high * base, count * share)


def _source(situation: Situation, metric: Metric, done: Step) -> tuple[str, bool, str]:
    """How people call the source of a metric, whether it is active, and why it has no value."""
    samples = {
        trigger.metric: (trigger.label, sample(trigger, reading))
        for trigger, reading in zip(situation.scaled.triggers, situation.readings)
    }
    if metric.name in samples:
        label, own = samples[metric.name]
        return label, own.active, own.error
    errors = [f"{label}: {one.error}" for label, one in samples.values() if one.error]
    return "formula", bool(done.polled and done.polled.active), "; ".join(errors)
