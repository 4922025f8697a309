# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One sync of the HorizontalPodAutoscaler controller, as a function of what it sees and remembers.

reconcileAutoscaler of Kubernetes v1.33 to v1.37 (pkg/controller/podautoscaler/horizontal.go).
"""

from __future__ import annotations

from typing import Optional

from .limits import bound, bound_plainly, remember_event, stabilize, stabilize_plainly
from .proposals import band, propose
from .types import Condition, Conditions, Controller, Hpa, Memory, Observation, Outcome, Recommendation, Source

_READ = Condition(True, "SucceededGetScale")
_WRITTEN = Condition(True, "SucceededRescale")
_REFUSED = Condition(False, "FailedUpdateScale")
_VALID = Condition(True, "ValidMetricFound")
_FAILED = {source: Condition(False, f"FailedGet{source.value}Metric") for source in Source}
_DISABLED = Condition(False, "ScalingDisabled")
_READY = Condition(True, "ReadyForNewScale")
_UP_STABILIZED = Condition(True, "ScaleUpStabilized")
_DOWN_STABILIZED = Condition(True, "ScaleDownStabilized")


def evaluate(hpa: Hpa, controller: Controller, memory: Memory, seen: Observation) -> Outcome:
    """The decision, and the memory for the next sync. Raises nothing: what upstream calls an error is a condition."""
    conditions = memory.conditions._replace(able=_READ)
    if not memory.recommendations:
        memory = memory._replace(recommendations=(Recommendation(seen.spec, seen.now),))
    current = seen.spec
    if _is_off(hpa, controller, conditions, current):
        return Outcome(current, memory._replace(conditions=conditions._replace(active=_DISABLED)))
    if current > hpa.max_replicas:
        return _rescale(hpa, controller, conditions, seen, Outcome(hpa.max_replicas, memory))
    # From zero that the HPA made itself, the metrics decide, although it is below the minimum.
    if current < hpa.min_replicas and current != 0:
        return _rescale(hpa, controller, conditions, seen, Outcome(hpa.min_replicas, memory))
    outcome, conditions = _by_metrics(hpa, controller, memory, conditions, seen)
    if outcome.desired == current:
        return outcome._replace(memory=outcome.memory._replace(conditions=conditions))
    return _rescale(hpa, controller, conditions, seen, outcome)


def _is_off(hpa: Hpa, controller: Controller, conditions: Conditions, current: int) -> bool:
    """Whether a count of zero is somebody else's, which the controller leaves alone."""
    if current != 0:
        return False
    if controller.minor <= 35:
        return hpa.min_replicas != 0
    ours = controller.scales_to_zero() and conditions.scaled_to_zero
    return not (ours and (hpa.min_replicas != 0 or _wakes(hpa)))


def _wakes(hpa: Hpa) -> bool:
    """Whether a metric exists without pods."""
    return any(metric.source is Source.EXTERNAL for metric in hpa.metrics)


def _by_metrics(
    hpa: Hpa, controller: Controller, memory: Memory, conditions: Conditions, seen: Observation
) -> tuple[Outcome, Conditions]:
    within = band(hpa, controller)
    proposals = tuple(
        propose(metric, value, seen, within, controller.minor) for metric, value in zip(hpa.metrics, seen.values)
    )
    proposed = _highest(proposals, seen.spec)
    if proposed is None:
        failed = hpa.metrics[proposals.index(None)].source
        return Outcome(seen.spec, memory, proposals), conditions._replace(active=_FAILED[failed])
    proposed = max(proposed, 0)
    if hpa.behavior is None:
        window = controller.downscale_window
        stabilized, memory = stabilize_plainly(memory, proposed, seen.now, window)
        held = _DOWN_STABILIZED
        desired, reason = bound_plainly(seen.spec, stabilized, hpa.min_replicas, hpa.max_replicas)
    else:
        stabilized, memory = stabilize(memory, hpa.behavior, seen.spec, proposed, seen.now, controller.downscale_window)
        held = _UP_STABILIZED if proposed >= seen.spec else _DOWN_STABILIZED
        desired, reason = bound(
            memory, hpa.behavior, seen.spec, stabilized, hpa.min_replicas, hpa.max_replicas, seen.now
        )
    conditions = conditions._replace(
        active=_VALID,
        able=_READY if stabilized == proposed else held,
        limited=Condition(desired != stabilized, reason),
    )
    if seen.spec == 0:
        # A minimum that was raised while the count was zero.
        desired = max(desired, hpa.min_replicas)
    return Outcome(desired, memory, proposals, proposed, stabilized), conditions


def _highest(proposals: tuple[Optional[int], ...], current: int) -> Optional[int]:
    """The count that metrics ask for together; None where a missing one might have asked for more.

    The first of the proposals counts even when it is negative, and a proposal of zero gives way to any later one, as
    upstream takes zero for "none yet" (computeReplicasForMetrics).
    """
    highest, missing = 0, 0
    for proposal in proposals:
        if proposal is None:
            missing += 1
        elif highest == 0 or proposal > highest:
            highest = proposal
    return None if missing >= len(proposals) or (missing and highest < current) else highest


def _rescale(
    hpa: Hpa, controller: Controller, conditions: Conditions, seen: Observation, outcome: Outcome
) -> Outcome:
    """Write the count. One that is refused leaves the recommendation, and is no event."""
    memory = outcome.memory
    if not seen.writable:
        refused = memory._replace(conditions=conditions._replace(able=_REFUSED))
        return outcome._replace(desired=seen.spec, memory=refused)
    conditions = conditions._replace(able=_WRITTEN)
    if controller.minor >= 36:
        zero = controller.scales_to_zero() and seen.spec > 0 and outcome.desired == 0 and _wakes(hpa)
        conditions = conditions._replace(scaled_to_zero=zero)
    if hpa.behavior is not None:
        memory = remember_event(memory, hpa.behavior, seen.spec, outcome.desired, seen.now)
    return outcome._replace(memory=memory._replace(conditions=conditions))
