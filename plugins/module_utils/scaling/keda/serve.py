# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the HPA gets when it asks KEDA for its metrics.

GetScaledObjectMetrics of KEDA v2.20.2 (pkg/scaling/scale_handler.go), with pkg/fallback and pkg/scaling/modifiers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Optional

from ..hpa.types import TargetType
from .formula_nodes import FormulaError
from .go_math import to_int64
from .sample import approximate, sample
from .types import Fallback, FallbackBehavior, KedaMemory, Modifiers, Reading, Sample, ScaledObject, Served, Trigger

COMPOSITE = "composite-metric"


class Metric(NamedTuple):
    """The value of one trigger after fallback. ``nil``: the formula sees nil; ``failed``: an error is left."""

    trigger: Trigger
    sample: Sample
    value: Optional[int]
    fell_back: bool = False
    nil: bool = False

    @property
    def failed(self) -> bool:
        return self.value is None and not self.nil


def serve(scaled: ScaledObject, memory: KedaMemory, readings: Sequence[Reading], replicas: int, ready: int) -> Served:
    """One query of each metric of the HPA.

    ``readings`` has one entry a trigger; that of a cached trigger is what the last poll read. ``replicas`` is the
    wanted count of the target, and ``ready`` of its pods are Running and Ready. ``fell_back`` names the metrics of
    triggers.
    """
    metrics, memory = measure(scaled, memory, readings, replicas, ready)
    fell_back = tuple(metric.trigger.metric for metric in metrics if metric.fell_back or metric.nil)
    if scaled.modifiers is None:
        return Served(tuple(metric.value for metric in metrics), memory, fell_back)
    # A trigger that fails does not matter once another one has fallen back: its value stands for all.
    broken = any(metric.failed for metric in metrics) and not any(metric.fell_back for metric in metrics)
    return Served((None if broken else composite(scaled, metrics),), memory, fell_back)


def measure(
    scaled: ScaledObject, memory: KedaMemory, readings: Sequence[Reading], replicas: int, ready: int
) -> tuple[list[Metric], KedaMemory]:
    """Each trigger read once, its failures counted, and its fallback where it has failed too often in a row."""
    samples = [sample(trigger, reading) for trigger, reading in zip(scaled.triggers, readings)]
    fallback = _valid_fallback(scaled)
    if fallback is None:
        return [Metric(trigger, each, each.value) for trigger, each in zip(scaled.triggers, samples)], memory
    failures = dict(memory.failures)
    metrics = []
    for trigger, each in zip(scaled.triggers, samples):
        failures[trigger.metric] = failures.get(trigger.metric, 0) + 1 if each.value is None else 0
        if failures[trigger.metric] <= fallback.failures:
            metrics.append(Metric(trigger, each, each.value))
        elif fallback.behavior is FallbackBehavior.MODIFIERS:
            metrics.append(Metric(trigger, each, None, nil=True))
        else:
            value = _fallback_value(scaled, trigger, _fallback_replicas(fallback, replicas), ready)
            metrics.append(Metric(trigger, each, value, fell_back=value is not None))
    return metrics, replace(memory, failures=failures)


def composite(scaled: ScaledObject, metrics: Sequence[Metric]) -> Optional[int]:
    """The one value that stands for all triggers; None where the formula fails."""
    fallen = [metric.value for metric in metrics if metric.fell_back]
    if fallen:
        return fallen[0]
    modifiers: Modifiers = scaled.modifiers  # type: ignore[assignment]
    values = {metric.trigger.name: None if metric.value is None else approximate(metric.value) for metric in metrics}
    try:
        result = modifiers.formula.evaluate(values)
    except FormulaError:
        return None
    if result is None:
        if scaled.fallback is None:
            return None
        result = scaled.fallback.replicas * modifiers.number
    return to_int64(result * 1000)


def _valid_fallback(scaled: ScaledObject) -> Optional[Fallback]:
    """The fallback, unless it is silently off: a formula needs a target that is a whole number."""
    off = scaled.modifiers is not None and not scaled.modifiers.whole
    return None if off else scaled.fallback


def _fallback_replicas(fallback: Fallback, replicas: int) -> int:
    if fallback.behavior is FallbackBehavior.CURRENT:
        return replicas
    if fallback.behavior is FallbackBehavior.IF_HIGHER:
        return max(replicas, fallback.replicas)
    if fallback.behavior is FallbackBehavior.IF_LOWER:
        return min(replicas, fallback.replicas)
    return fallback.replicas


def _fallback_value(scaled: ScaledObject, trigger: Trigger, replicas: int, ready: int) -> Optional[int]:
    """The value at which the HPA arrives at a count; None where it would multiply by no ready pod."""
    modifiers, count = scaled.modifiers, float(replicas)
    if (modifiers or trigger).metric_type is TargetType.VALUE:
        if not ready:
            return None
        count /= ready
    target = modifiers.number if modifiers else approximate(trigger.target)
    return to_int64(target * 1000 * count)
