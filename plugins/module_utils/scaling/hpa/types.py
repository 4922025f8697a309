# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a HorizontalPodAutoscaler is told, remembers, sees and decides, as values.

Metric values and targets are integers in thousandths, times integers in nanoseconds, as the controller has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Optional

SECOND = 1_000_000_000


class TargetType(str, Enum):
    """How a metric is compared (autoscaling/v2 MetricTarget.type)."""

    AVERAGE_VALUE = "AverageValue"
    VALUE = "Value"


class SelectPolicy(str, Enum):
    """Which of several policies counts (autoscaling/v2 HPAScalingRules.selectPolicy)."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class Metric(NamedTuple):
    """An external metric: what a replica is worth (AverageValue) or all together (Value). ``target`` is above 0."""

    name: str
    type: TargetType
    target: int


class Policy(NamedTuple):
    """At most ``value`` pods, or per cent of the count at its start, in ``period`` seconds."""

    percent: bool
    value: int
    period: int


class Rules(NamedTuple):
    """One direction of a behaviour, with defaults filled in. ``window`` is in seconds, None that of the controller.

    ``tolerance`` is a fraction, None that of the controller; 0 counts.
    """

    window: Optional[int]
    select: SelectPolicy
    policies: tuple[Policy, ...]
    tolerance: Optional[float] = None


class Behavior(NamedTuple):
    """How fast the count may move (autoscaling/v2 HorizontalPodAutoscalerBehavior)."""

    up: Rules
    down: Rules


@dataclass(frozen=True)
class Controller:
    """Flags of kube-controller-manager, and its minor version (33 to 37): they decide what no HPA says."""

    minor: int = 35
    tolerance: float = 0.1
    downscale_window: int = 300 * SECOND
    scale_to_zero: bool = False


@dataclass(frozen=True)
class Hpa:
    """The spec of an HPA. Without a behaviour the controller takes another path than with an empty one."""

    min_replicas: int
    max_replicas: int
    metrics: tuple[Metric, ...]
    behavior: Optional[Behavior] = None


class Recommendation(NamedTuple):
    """What the metrics asked for once, before windows and limits."""

    replicas: int
    at: int


class ScaleEvent(NamedTuple):
    """A change that the controller made itself; ``change`` is positive in both directions."""

    change: int
    at: int
    outdated: bool = False


class Condition(NamedTuple):
    """Status and reason of a condition, with upstream's reasons; None where the controller never set it."""

    status: bool
    reason: str


class Conditions(NamedTuple):
    """The conditions of an HPA's status. One that a step does not set keeps its value."""

    able: Optional[Condition] = None
    active: Optional[Condition] = None
    limited: Optional[Condition] = None
    scaled_to_zero: bool = False


class Memory(NamedTuple):
    """What the controller knows of an HPA beside its object: gone when it restarts, or sees the HPA deleted."""

    recommendations: tuple[Recommendation, ...] = ()
    ups: tuple[ScaleEvent, ...] = ()
    downs: tuple[ScaleEvent, ...] = ()
    conditions: Conditions = Conditions()


class Observation(NamedTuple):
    """What one sync sees. ``values`` has one entry a metric, None for an error.

    ``spec`` is the wanted and ``status`` the existing count of the scale; ``pods`` match its selector, and ``ready`` of
    them are Running and Ready. ``writable`` is whether the API server takes the new scale.
    """

    now: int
    spec: int
    status: int
    values: tuple[Optional[int], ...]
    ready: int = 0
    pods: int = 0
    writable: bool = True


class Outcome(NamedTuple):
    """What one sync decides, and each number on the way; the ways that skip a number leave it None.

    ``proposals`` has one entry a metric (None for an error), ``proposed`` is their maximum, ``stabilized`` what the
    windows make of it, and ``desired`` what is left after rates and bounds; it is ``spec`` when nothing is changed.
    """

    desired: int
    memory: Memory
    proposals: tuple[Optional[int], ...] = ()
    proposed: Optional[int] = None
    stabilized: Optional[int] = None
