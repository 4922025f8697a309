# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One poll of KEDA: whether a ScaledObject is active, and the count that KEDA then writes itself.

getScaledObjectState and RequestScale of KEDA v2.20.2 (pkg/scaling/scale_handler.go, executor/scale_scaledobjects.go).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Optional

from ..hpa.types import SECOND
from .sample import approximate
from .serve import Metric, composite, measure
from .types import KedaMemory, Polled, Reading, ScaledObject

ACTIVE, NOT_ACTIVE, COOLDOWN, PAUSED = "ScalerActive", "ScalerNotActive", "ScalerCooldown", "ScaledObjectPaused"


class _Step(NamedTuple):
    """The count to write, if any, the reason of the condition Active, and whether the time of activity is now."""

    replicas: Optional[int]
    reason: str
    seen_active: bool = False


def poll(
    scaled: ScaledObject, memory: KedaMemory, readings: Sequence[Reading], replicas: int, ready: int, now: int
) -> Polled:
    """One poll at ``now``, with ``replicas`` the wanted count of the target.

    While everything is paused nothing is polled: only a count that the annotation names is written.
    """
    if scaled.pauses.everything:
        wanted = scaled.pauses.replicas
        return Polled(None if wanted == replicas else wanted, False, PAUSED, memory)
    metrics, memory = measure(scaled, memory, readings, replicas, ready)
    failed = any(metric.failed for metric in metrics)
    active = _active(scaled, metrics, failed) or scaled.force_active
    step = _when_active(scaled, failed, replicas) if active else _when_not(scaled, memory, failed, replicas, now)
    if step.seen_active:
        # The status holds whole seconds.
        memory = replace(memory, last_active=now // SECOND * SECOND)
    fell_back = tuple(metric.trigger.metric for metric in metrics if metric.fell_back or metric.nil)
    return Polled(step.replicas, active, step.reason, memory, fell_back)


def _active(scaled: ScaledObject, metrics: Sequence[Metric], failed: bool) -> bool:
    """Fallback counts as activity. With a formula any error means none, and its own result decides."""
    if scaled.modifiers is None:
        return any(metric.fell_back or metric.sample.active for metric in metrics)
    value = None if failed else composite(scaled, metrics)
    return value is not None and approximate(value) > scaled.modifiers.activation


def _when_active(scaled: ScaledObject, failed: bool, replicas: int) -> _Step:
    if replicas == 0 or (scaled.idle is not None and replicas < scaled.min):
        if scaled.pauses.scale_out:
            return _Step(None, ACTIVE)
        return _Step(max(scaled.min, 1), ACTIVE, seen_active=True)
    return _Step(None, ACTIVE, seen_active=not failed)


def _when_not(scaled: ScaledObject, memory: KedaMemory, failed: bool, replicas: int, now: int) -> _Step:
    # A fallback to 0 replicas is none here, unlike where the value of a metric is made.
    if failed and (scaled.fallback is None or scaled.fallback.replicas):
        return _Step(None, NOT_ACTIVE)
    lowest = scaled.min if scaled.idle is None else scaled.idle
    if replicas > lowest and (scaled.idle is not None or scaled.min == 0):
        if scaled.pauses.scale_in:
            return _Step(None, NOT_ACTIVE)
        return _Step(lowest, NOT_ACTIVE) if _cooled_down(scaled, memory, now) else _Step(None, COOLDOWN)
    if scaled.idle is None and replicas < scaled.min:
        return _Step(scaled.min, NOT_ACTIVE)
    return _Step(None, NOT_ACTIVE)


def _cooled_down(scaled: ScaledObject, memory: KedaMemory, now: int) -> bool:
    """Whether the time is over in which a target that is not active stays; it starts with the last activity."""
    if memory.last_active is None:
        return scaled.created is None or scaled.created + scaled.initial_cooldown * SECOND < now
    return memory.last_active + scaled.cooldown * SECOND < now
