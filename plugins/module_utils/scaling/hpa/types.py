# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a HorizontalPodAutoscaler is told, remembers, sees and decides, as values.

Metric values and targets are integers in thousandths, times integers in nanoseconds, as the controller has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Optional, Union

SECOND = 1_000_000_000


class TargetType(str, Enum):
    """How a metric is compared (autoscaling/v2 MetricTarget.type)."""

    AVERAGE_VALUE = "AverageValue"
    VALUE = "Value"


class Source(str, Enum):
    """Where a metric is read (autoscaling/v2 MetricSpec.type).

    Of Pods and Resource metrics, AverageValue only: a Utilization also needs the requests of every pod.
    """

    EXTERNAL = "External"
    PODS = "Pods"
    RESOURCE = "Resource"


class SelectPolicy(str, Enum):
    """Which of several policies counts (autoscaling/v2 HPAScalingRules.selectPolicy)."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class Metric(NamedTuple):
    """A metric: what a replica is worth (AverageValue) or all together (Value). ``target`` is above 0."""

    name: str
    type: TargetType
    target: int
    source: Source = Source.EXTERNAL


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
    """Flags of kube-controller-manager, and its minor version (33 to 37): they decide what no HPA says.

    ``scale_to_zero`` is the feature gate HPAScaleToZero, None as the version has it: on since 1.37.
    """

    minor: int = 35
    tolerance: float = 0.1
    downscale_window: int = 300 * SECOND
    scale_to_zero: Optional[bool] = None

    def scales_to_zero(self) -> bool:
        """Whether it tells a zero that it made from one that somebody else made (since 1.36)."""
        return self.minor >= 36 and (self.minor >= 37 if self.scale_to_zero is None else self.scale_to_zero)


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
    """The conditions of an HPA's status. One that a step does not set keeps its value.

    ``scaled_to_zero`` is whether the condition ScaledToZero is True: the HPA itself made the zero.
    """

    able: Optional[Condition] = None
    active: Optional[Condition] = None
    limited: Optional[Condition] = None
    scaled_to_zero: bool = False


class Memory(NamedTuple):
    """What one sync leaves to the next: conditions in the status of the HPA, the rest in the controller alone.

    That rest is gone when the controller restarts; all is gone when it sees the HPA deleted.
    """

    recommendations: tuple[Recommendation, ...] = ()
    ups: tuple[ScaleEvent, ...] = ()
    downs: tuple[ScaleEvent, ...] = ()
    conditions: Conditions = Conditions()


class PodUsage(NamedTuple):
    """What a Pods or Resource metric reads: the sum over the pods that count, and how many do and do not.

    ``ready`` have a value and count. ``missing`` run without a value. ``unready`` are Pending or, for CPU alone, not
    Ready yet. Pods that are Failed or being deleted are in none of these, and their values are dropped.
    """

    total: int
    ready: int
    missing: int = 0
    unready: int = 0


#: What a metric says: a sum, or the use of pods. None where it cannot be read.
Usage = Union[int, PodUsage, None]


class Observation(NamedTuple):
    """What one sync sees. ``values`` has one entry a metric: a number for an external one, None for an error.

    ``spec`` is the wanted and ``status`` the existing count of the scale; ``pods`` match its selector, and ``ready`` of
    them are Running and Ready. ``writable`` is whether the API server takes the new scale.
    """

    now: int
    spec: int
    status: int
    values: tuple[Usage, ...]
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
