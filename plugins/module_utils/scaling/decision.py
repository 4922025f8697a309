# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A situation of an autoscaled workload, and what is decided in it, as values.

Points in time are integers in nanoseconds, periods whole seconds, values and thresholds of metrics plain numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Optional

from .hpa.types import Conditions, Controller, Memory
from .keda.types import KedaMemory, Reading, ScaledObject


@dataclass(frozen=True)
class Situation:
    """All that decides: the configuration, what exists, what the sources answer, and what both controllers remember.

    ``spec`` is the wanted and ``status`` the existing count of the scale target, ``pods`` match its selector and
    ``ready`` of them serve. ``readings`` has one entry a trigger. ``complete`` is whether ``memory`` is all that the
    HPA remembers; without it windows and rates may hold the count where the decision does not say so.
    """

    scaled: ScaledObject
    now: int
    spec: int
    status: int
    ready: int
    pods: int
    readings: tuple[Reading, ...]
    controller: Controller = Controller()
    memory: Memory = Memory()
    keda: KedaMemory = KedaMemory()
    complete: bool = True


class Limit(str, Enum):
    """What kept the count from what the metrics alone would make it."""

    TOLERANCE = "tolerance"
    WINDOW = "stabilization-window"
    POLICY = "policy"
    MIN = "min"
    MAX = "max"
    MISSING_METRIC = "missing-metric"
    FALLBACK = "fallback"
    PAUSED = "paused"
    COOLDOWN = "cooldown"
    IDLE = "idle"
    INACTIVE = "inactive"


@dataclass(frozen=True)
class Bound:
    """One limit at work: the count before and after it, and until when it holds (None where no clock ends it)."""

    limit: Limit
    before: int
    after: int
    until: Optional[int] = None


@dataclass(frozen=True)
class TriggerDecision:
    """What one metric of the HPA asks for.

    ``exact`` is the count without tolerance, ``proposal`` that with it; both None without a value. ``ratio`` is use
    over target, ``low`` and ``high`` the values between which the count stays. ``fallback``: KEDA made the value.
    """

    name: str
    metric: str
    metric_type: str
    threshold: float
    value: Optional[float]
    ratio: Optional[float]
    exact: Optional[int]
    proposal: Optional[int]
    within_tolerance: bool
    low: float
    high: float
    active: bool
    fallback: bool
    error: str


@dataclass(frozen=True)
class Decision:
    """What happens next to a count, and why.

    ``current`` is the wanted count before, ``desired`` after it. ``proposed`` is what the metrics ask for together,
    ``stabilized`` what the windows make of that; both None where metrics do not decide. ``bounds`` are in the order in
    which they acted. ``next_change`` is the earliest time at which the count can move if all metrics stay as they are,
    and ``next_count`` where it goes then; both None where nothing moves. ``by`` is who writes: ``hpa`` or ``keda``.
    """

    namespace: str
    name: str
    current: int
    desired: int
    by: str
    triggers: tuple[TriggerDecision, ...]
    bounds: tuple[Bound, ...]
    conditions: Conditions
    proposed: Optional[int] = None
    stabilized: Optional[int] = None
    next_change: Optional[int] = None
    next_count: Optional[int] = None
    complete: bool = True
