# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers, times, metrics and rates of autoscaling in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from .decision import Situation, TriggerDecision
from .hpa.proposals import band
from .hpa.types import SECOND, Memory, Policy, Rules, SelectPolicy, TargetType
from .keda.generated import to_hpa


def number(value: float) -> str:
    """A value in thousandths at most, without the zeros at its end."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def replicas(count: int) -> str:
    """A count with its noun."""
    return f"{count} replica" if count == 1 else f"{count} replicas"


def clock(moment: int, now: int) -> str:
    """A point in time in UTC, with its date where that is not today's."""
    at, today = (datetime.fromtimestamp(time // SECOND, timezone.utc) for time in (moment, now))
    return f"{at:%H:%M:%S} UTC" if at.date() == today.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: int) -> str:
    """A length of time: seconds up to two minutes, else hours, minutes and seconds."""
    if seconds < 120:
        return f"{seconds} s"
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "min"), (left, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def joined(parts: Sequence[str]) -> str:
    """Things in a row: "a", "a and b", "a, b and c"."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)


def percent(share: float) -> str:
    """A share as a percentage, without the noise of floats."""
    return f"{share * 100:.6f}".rstrip("0").rstrip(".") + " %"


def need(situation: Situation, trigger: TriggerDecision) -> str:
    """Why a metric asks for its count, without tolerance."""
    value, target = number(trigger.value or 0), number(trigger.threshold)
    exact = trigger.exact or 0
    if trigger.metric_type == TargetType.AVERAGE_VALUE.value:
        if trigger.value is not None and trigger.value < 0:
            # Since 1.34 (replica_calculator.go, GetExternalPerPodMetricReplicas).
            demand = "endless" if exact > 0 else "no"
            return f"{trigger.name} {value} is below 0, which the HPA takes for {demand} demand"
        return f"{trigger.name} {value} needs {replicas(exact)} at {target} each"
    ratio = number((trigger.value or 0) / trigger.threshold)
    text = f"{trigger.name} {value} is {ratio} x its target {target}"
    ready = f"{situation.ready} ready replica" + ("" if situation.ready == 1 else "s")
    return text if situation.spec == 0 else f"{text}, and {ratio} x {ready} makes {exact}"


def kept(situation: Situation, trigger: TriggerDecision) -> str:
    """Why a metric within its tolerance keeps what is there, and what would change that."""
    value, middle = trigger.value or 0.0, trigger.threshold
    target = number(middle)
    if trigger.metric_type == TargetType.AVERAGE_VALUE.value:
        middle, target = middle * situation.status, f"{situation.status} x {target}"
    within = band(to_hpa(situation.scaled), situation.controller)
    share = within.high - 1 if value > middle else 1 - within.low
    around = f"is within {percent(share)} of" if value != middle else "is exactly"
    # The count changes at a lower edge that comes from rounding up, but not yet at one of the tolerance.
    edge = "at most" if trigger.low < within.low * middle else "less than"
    less = f" or {edge} {number(trigger.low)}" if trigger.low > 0 else ""
    return f"{trigger.name} {number(value)} {around} {target} (more than {number(trigger.high)}{less} changes that)"


def rate(rules: Rules, up: bool) -> str:
    """What the rates of one direction allow."""
    if rules.select is SelectPolicy.DISABLED:
        return f"scaling {'up' if up else 'down'} is switched off (selectPolicy: Disabled)"
    steps = [_step(policy) for policy in rules.policies]
    which = "smaller" if rules.select is SelectPolicy.MIN else "larger"
    which = which if len(steps) == 2 else {"smaller": "smallest", "larger": "largest"}[which]
    most = steps[0] if len(steps) == 1 else f"the {which} of {joined(steps)}"
    return f"the count {'rises' if up else 'falls'} by at most {most}"


def _step(policy: Policy) -> str:
    amount = f"{policy.value} %" if policy.percent else replicas(policy.value)
    return f"{amount} in {span(policy.period)}"


def used(rules: Rules, memory: Memory, up: bool, now: int) -> str:
    """What the controller has done already in the longest of the periods; empty where it did nothing."""
    period = max((policy.period for policy in rules.policies), default=0)
    done = [event for event in (memory.ups if up else memory.downs) if event.at > now - period * SECOND]
    if not done or rules.select is SelectPolicy.DISABLED:
        return ""
    count, newest = sum(event.change for event in done), max(event.at for event in done)
    ago = span((now - newest) // SECOND)
    when = f"{ago} ago" if len(done) == 1 else f"within that time, the last {ago} ago"
    return f"; {count} {'was' if count == 1 else 'were'} {'added' if up else 'removed'} {when}"
