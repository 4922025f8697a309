# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One sync of the HorizontalPodAutoscaler controller, as a function of what it sees and remembers.

reconcileAutoscaler of Kubernetes v1.33 to v1.37 (pkg/controller/podautoscaler/horizontal.go). A scale that cannot be
read ends a sync before anything is decided or remembered, so there is nothing to compute then.
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
    sync = _Sync(hpa, controller, memory, seen)
    sync.decide()
    if sync.desired != seen.spec:
        sync.write()
    return sync.outcome()


class _Sync:
    """A sync under way: what it has come to, as the controller keeps it in its copy of the object."""

    def __init__(self, hpa: Hpa, controller: Controller, memory: Memory, seen: Observation) -> None:
        self.hpa, self.controller, self.seen = hpa, controller, seen
        self.recommendations, self.ups, self.downs, conditions = memory
        if not self.recommendations:
            self.recommendations = (Recommendation(seen.spec, seen.now),)
        self.active, self.limited, self.scaled_to_zero = conditions[1:]
        self.able = _READ
        self.desired = seen.spec
        self.proposals: tuple[Optional[int], ...] = ()
        self.proposed: Optional[int] = None
        self.stabilized: Optional[int] = None

    def outcome(self) -> Outcome:
        conditions = Conditions(self.able, self.active, self.limited, self.scaled_to_zero)
        memory = Memory(self.recommendations, self.ups, self.downs, conditions)
        return Outcome(self.desired, memory, self.proposals, self.proposed, self.stabilized)

    def decide(self) -> None:
        """The count to write. A count outside the bounds is moved to them without a look at any metric."""
        hpa, current = self.hpa, self.seen.spec
        if current == 0 and self._is_off():
            self.active = _DISABLED
        elif current > hpa.max_replicas:
            self.desired = hpa.max_replicas
        # From a zero that the HPA made itself, the metrics decide, although it is below the minimum.
        elif 0 < current < hpa.min_replicas:
            self.desired = hpa.min_replicas
        else:
            self._ask_metrics()

    def write(self) -> None:
        """Write the count. One that is refused leaves the recommendation, and is no event.

        The API server takes no negative one, which twice 2**30 overflows to.
        """
        before, after = self.seen.spec, self.desired
        if after < 0 or not self.seen.writable:
            self.able, self.desired = _REFUSED, before
            return
        self.able = _WRITTEN
        if self.controller.minor >= 36:
            self.scaled_to_zero = self.controller.scales_to_zero() and after == 0 and _wakes(self.hpa)
        behavior, now = self.hpa.behavior, self.seen.now
        if behavior is not None:
            if after > before:
                self.ups = remember_event(self.ups, behavior.up, after - before, now)
            else:
                self.downs = remember_event(self.downs, behavior.down, before - after, now)

    def _is_off(self) -> bool:
        """Whether a count of zero is somebody else's, which the controller leaves alone."""
        low = self.hpa.min_replicas
        if self.controller.minor <= 35:
            return low != 0
        ours = self.controller.scales_to_zero() and self.scaled_to_zero
        return not (ours and (low != 0 or _wakes(self.hpa)))

    def _ask_metrics(self) -> None:
        hpa, seen, minor = self.hpa, self.seen, self.controller.minor
        within = band(hpa, self.controller)
        self.proposals = tuple(
            [propose(metric, usage, seen, within, minor) for metric, usage in zip(hpa.metrics, seen.values)]
        )
        highest = _highest(self.proposals, seen.spec)
        if highest is None:
            self.active = _FAILED[hpa.metrics[self.proposals.index(None)].source]
            return
        self.active = _VALID
        self.proposed = max(highest, 0)
        self._limit(self.proposed)
        if seen.spec == 0:
            # A minimum that was raised while the count was zero.
            self.desired = max(self.desired, hpa.min_replicas)

    def _limit(self, proposed: int) -> None:
        """Windows first, then rates and bounds."""
        hpa, seen, window = self.hpa, self.seen, self.controller.downscale_window
        behavior, current = hpa.behavior, seen.spec
        if behavior is None:
            held = _DOWN_STABILIZED
            count, self.recommendations = stabilize_plainly(self.recommendations, proposed, seen.now, window)
            self.desired, reason = bound_plainly(hpa, current, count)
        else:
            held = _UP_STABILIZED if proposed >= current else _DOWN_STABILIZED
            count, self.recommendations = stabilize(self.recommendations, behavior, current, proposed, seen.now, window)
            self.desired, reason = bound(hpa, behavior, self.ups, self.downs, current, count, seen.now)
        self.stabilized = count
        self.able = _READY if count == proposed else held
        self.limited = Condition(self.desired != count, reason)


def _wakes(hpa: Hpa) -> bool:
    """Whether a metric exists without pods."""
    return any(metric.source is Source.EXTERNAL for metric in hpa.metrics)


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
