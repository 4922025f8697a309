# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The count that one metric asks for (Kubernetes v1.33 to v1.37, pkg/controller/podautoscaler/replica_calculator.go).

Floats stand exactly where upstream has them: each operand is rounded before the division.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple, Optional

from .types import Controller, Hpa, Metric, Observation, PodUsage, TargetType, Usage

MAX_INT32 = 2**31 - 1
MIN_INT32 = -(2**31)
_MAX_INT64 = 2**63 - 1


class Band(NamedTuple):
    """Ratios of use to target that change nothing, bounds included."""

    low: float
    high: float


def band(hpa: Hpa, controller: Controller) -> Band:
    """The tolerances of an HPA: its own where it has some (beta since 1.35), else the controller's."""
    up = down = controller.tolerance
    if hpa.behavior is not None and controller.minor >= 35:
        own_up, own_down = hpa.behavior.up.tolerance, hpa.behavior.down.tolerance
        up = up if own_up is None else own_up
        down = down if own_down is None else own_down
    return Band(1.0 - down, 1.0 + up)


def int32(number: int) -> int:
    """A float's whole number as Go converts it to int32 on amd64: out of range is the lowest."""
    return number if MIN_INT32 <= number <= MAX_INT32 else MIN_INT32


def propose(metric: Metric, usage: Usage, seen: Observation, within: Band, minor: int) -> Optional[int]:
    """Replicas that a metric asks for; None when it cannot be computed."""
    if usage is None:
        return None
    if isinstance(usage, PodUsage):
        return _of_pods(usage, metric.target, seen.spec, within)
    if metric.type is TargetType.AVERAGE_VALUE:
        return _average_value(usage, float(metric.target), seen.status, within, minor)
    return _value(float(usage) / float(metric.target), seen, within, minor)


def _average_value(usage: int, target: float, status: int, within: Band, minor: int) -> int:
    """GetExternalPerPodMetricReplicas: compares with the pods that exist, not with those that are wanted.

    A negative value counts as an overflow, and asks for the maximum (since 1.34).
    """
    if usage < 0 and minor >= 34:
        usage = _MAX_INT64
    # No pods: upstream divides by zero, and neither NaN nor Inf is within the tolerance.
    if status and within.low <= float(usage) / (target * status) <= within.high:
        return status
    count = ceil(float(usage) / target)
    return int32(min(count, MAX_INT32) if minor >= 34 else count)


def _value(ratio: float, seen: Observation, within: Band, minor: int) -> Optional[int]:
    """GetExternalMetricReplicas: multiplies by the pods that are ready, so pods that still load lower the count."""
    if seen.spec == 0:
        return int32(ceil(ratio))
    if within.low <= ratio <= within.high:
        return seen.spec
    if seen.pods == 0:
        return None
    count = ceil(ratio * seen.ready)
    return int32(min(count, MAX_INT32) if minor >= 35 else count)


def _of_pods(usage: PodUsage, target: int, spec: int, within: Band) -> Optional[int]:
    """calcPlainMetricReplicas: pods without a value count as what would move the count least."""
    if usage.ready == 0:
        return None
    total, counted = usage.total, usage.ready
    ratio = _mean(total, counted) / float(target)
    idle = usage.unready if ratio > 1.0 else 0
    if not idle and not usage.missing:
        return spec if within.low <= ratio <= within.high else int32(ceil(ratio * counted))
    if ratio != 1.0:
        counted += usage.missing
        total += usage.missing * target if ratio < 1.0 else 0
    counted += idle
    again = _mean(total, counted) / float(target)
    if within.low <= again <= within.high or again < 1.0 < ratio:
        return spec
    count = int32(ceil(again * counted))
    turned = (again < 1.0 and count > spec) or (again > 1.0 and count < spec)
    return spec if turned else count


def _mean(total: int, count: int) -> float:
    """Integer division as Go has it, towards zero."""
    return float(total // count if total >= 0 else -(-total // count))
