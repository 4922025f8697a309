# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a ScaledObject says, what its triggers' sources answer, and what KEDA remembers, as values.

Fields and defaults of KEDA v2.20.2 (apis/keda/v1alpha1/scaledobject_types.go). Targets and served values are integers
in thousandths, points in time integers in nanoseconds, periods whole seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Optional

from ..hpa.types import Behavior, TargetType
from .formula import Formula


class FallbackBehavior(str, Enum):
    """Which count a fallback asks for (scaledobject_types.go, Fallback.behavior)."""

    STATIC = "static"
    CURRENT = "currentReplicas"
    IF_HIGHER = "currentReplicasIfHigher"
    IF_LOWER = "currentReplicasIfLower"
    MODIFIERS = "scalingModifiers"


@dataclass(frozen=True)
class Fallback:
    """What stands in for a metric that failed more than ``failures`` times in a row."""

    failures: int
    replicas: int
    behavior: FallbackBehavior = FallbackBehavior.STATIC


@dataclass(frozen=True)
class Modifiers:
    """One formula over the values of the named triggers, in place of all external metrics of the HPA.

    ``target`` is in thousandths. ``whole`` is whether it was written as a whole number: KEDA has no fallback otherwise.
    """

    formula: Formula
    target: int
    whole: bool = True
    activation: float = 0.0
    metric_type: TargetType = TargetType.AVERAGE_VALUE

    @property
    def number(self) -> float:
        """``target`` as it was written."""
        return self.target / 1000


@dataclass(frozen=True)
class Trigger:
    """One trigger. ``metric`` is the name of its external metric in the HPA; ``name`` is empty where it has none.

    ``query`` is that of a prometheus trigger, which asks the Prometheus at ``server``; both are None for any other
    type, whose value somebody must give. ``target`` is 0 where a formula makes it irrelevant and nobody said it.
    """

    index: int
    type: str
    metric: str
    target: int
    metric_type: TargetType = TargetType.AVERAGE_VALUE
    name: str = ""
    activation: float = 0.0
    query: Optional[str] = None
    ignore_null: bool = True
    cached: bool = False
    server: Optional[str] = None

    @property
    def label(self) -> str:
        """How people call it."""
        return self.name or self.metric


@dataclass(frozen=True)
class Pauses:
    """What annotations of a ScaledObject stop. ``everything`` also deletes the HPA, and with it what it remembers.

    ``counted`` is whether the annotation of a count is what stops everything, be its value a count or not.
    """

    everything: bool = False
    replicas: Optional[int] = None
    scale_in: bool = False
    scale_out: bool = False
    counted: bool = False


@dataclass(frozen=True)
class ScaledObject:
    """A valid ScaledObject with defaults filled in; ``created`` is None where it is not in a cluster."""

    namespace: str
    name: str
    target_kind: str
    target_name: str
    hpa_name: str
    min: int
    max: int
    triggers: tuple[Trigger, ...]
    idle: Optional[int] = None
    polling: int = 30
    cooldown: int = 300
    initial_cooldown: int = 0
    fallback: Optional[Fallback] = None
    modifiers: Optional[Modifiers] = None
    behavior: Optional[Behavior] = None
    pauses: Pauses = Pauses()
    force_active: bool = False
    created: Optional[int] = None

    @property
    def title(self) -> str:
        """How findings call it."""
        return f"ScaledObject {self.namespace}/{self.name}"


class Reading(NamedTuple):
    """What the source of one trigger answered: the value of each series, or an error."""

    values: tuple[float, ...] = ()
    error: str = ""


class Sample(NamedTuple):
    """What KEDA makes of a reading: a value in thousandths, or why there is none; and whether the trigger is active."""

    value: Optional[int]
    active: bool = False
    error: str = ""


@dataclass(frozen=True)
class KedaMemory:
    """What KEDA keeps in the status of a ScaledObject: failures in a row by metric, and the last time of activity."""

    failures: Mapping[str, int] = field(default_factory=dict)
    last_active: Optional[int] = None


class Served(NamedTuple):
    """What the HPA gets when it asks: one value a metric of the HPA, None for an error; and who fell back."""

    values: tuple[Optional[int], ...]
    memory: KedaMemory
    fell_back: tuple[str, ...] = ()


class Polled(NamedTuple):
    """What one poll does. ``replicas`` is the count that KEDA writes itself, None where it leaves that to the HPA.

    ``reason`` is that of the condition Active (ScalerActive, ScalerNotActive or ScalerCooldown), or ScaledObjectPaused.
    """

    replicas: Optional[int]
    active: bool
    reason: str
    memory: KedaMemory
    fell_back: tuple[str, ...] = ()
