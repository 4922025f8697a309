# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a HorizontalPodAutoscaler did, held against what it was asked and allowed to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from testbed.audit import Call

#: ``--horizontal-pod-autoscaler-tolerance``: a smaller excess of the demand asks for nothing.
_TOLERANCE = 0.1


@dataclass(frozen=True)
class Policy:
    """Most ``pods`` added, or removed, in any ``period_s``."""

    pods: int
    period_s: float


class Counts:
    """The replica count of one workload over time: seconds since the epoch and the count from then on."""

    def __init__(self, steps: Sequence[tuple[float, int]]) -> None:
        """The first step is the count that the workload was created with."""
        self.steps = list(steps)

    @classmethod
    def of(cls, calls: Sequence[Call], name: str, first: int) -> Counts:
        """From the scalings in the audit log, by whomever; ``first`` is the count before them."""
        scalings = [call for call in calls if call.resource == "apps/deployments/scale" and call.name == name]
        written = [(call.received, call.body["spec"]["replicas"]) for call in scalings if call.is_write and call.body]
        return cls([(0.0, first), *sorted(written)])

    def at(self, time: float) -> int:
        return [count for since, count in self.steps if since <= time][-1]

    def added(self, start: float, end: float) -> int:
        """Pods added after ``start``, until ``end``; those removed meanwhile do not count."""
        return sum(max(0, by) for time, by in self._moves() if start < time <= end)

    def removed(self, start: float, end: float) -> int:
        return sum(max(0, -by) for time, by in self._moves() if start < time <= end)

    def violations(self, up: Policy, down: Policy) -> list[str]:
        """The periods in which more was added or removed than the policies allow, by the step that ends each."""
        found = []
        for time, _ in self.steps[1:]:
            added, removed = self.added(time - up.period_s, time), self.removed(time - down.period_s, time)
            if added > up.pods or removed > down.pods:
                found.append(f"at {time:.3f}: +{added} in {up.period_s:g} s, -{removed} in {down.period_s:g} s")
        return found

    def unanswered(
        self, demand: Sequence[tuple[float, float]], target: int, maximum: int, up: Policy, within_s: float
    ) -> list[str]:
        """The samples at which the count is lower than all samples of the last ``within_s`` seconds asked for.

        ``demand`` has one sample a second, ``target`` of which one replica takes. What the policy did not allow
        through all of these seconds is not asked, nor what is above ``maximum``.
        """
        found = []
        for now, _ in demand:
            recent = [(time, number) for time, number in demand if now - within_s <= time <= now]
            asked = min(self._asked(number, target, time) for time, number in recent)
            allowed = min(self.at(time) + up.pods - self.added(time - up.period_s, time) for time, _ in recent)
            # The first seconds have no history.
            if now - recent[0][0] >= within_s - 0.5 and self.at(now) < min(asked, allowed, maximum):
                found.append(f"at {now:.0f}: {self.at(now)}, asked {asked}, allowed {allowed}")
        return found

    def _asked(self, demand: float, target: int, time: float) -> int:
        """GetExternalPerPodMetricReplicas of Kubernetes 1.35, pkg/controller/podautoscaler/replica_calculator.go."""
        count = self.at(time)
        within = 1.0 - _TOLERANCE <= demand / (target * count) <= 1.0 + _TOLERANCE
        return count if within else ceil(demand / target)

    def _moves(self) -> list[tuple[float, int]]:
        return [(time, count - before) for (_, before), (time, count) in pairwise(self.steps)]
