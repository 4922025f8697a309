# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which edges of the algorithm a step is at: a comparison that never gets there proves nothing."""

from __future__ import annotations

from collections import Counter

from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.proposals import band
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    SECOND,
    Behavior,
    Controller,
    Hpa,
    Memory,
    Metric,
    Observation,
    Outcome,
    PodUsage,
    Source,
    TargetType,
)

#: What a run has to hit: events of the world, ways to write a behaviour, borders, policies, reasons of conditions.
EDGES = (
    *("status is not spec", "write refused", "scaled by another", "above the maximum", "below the minimum"),
    *("from zero", "minimum 0", "minimum edited", "maximum edited", "behavior edited", "restarted", "deleted"),
    *("no behavior", "empty behavior", "partial behavior", "whole behavior"),
    *("policy of int32", "percent beyond int32", "twice the count beyond int32"),
    *("tolerance exactly hit", "own tolerance", "own tolerance 0", "controller tolerance 0"),
    *(
        "one milli beside whole pods",
        "negative value",
        "more than int32",
        "some metrics missing",
        "all metrics missing",
    ),
    *("Value without pods", "Value without ready pods", "pods without a value", "pods not ready"),
    *("event at the border of a period", "event marked outdated", "recommendation at the border of the window"),
    *(f"selectPolicy {select} {way}" for select in ("Max", "Min", "Disabled") for way in ("up", "down")),
    *("SucceededGetScale", "ReadyForNewScale", "ScaleUpStabilized", "ScaleDownStabilized", "SucceededRescale"),
    *("FailedUpdateScale", "ValidMetricFound", "ScalingDisabled", "DesiredWithinRange"),
    *(f"FailedGet{source.value}Metric" for source in Source),
    *("TooFewReplicas", "TooManyReplicas", "ScaleUpLimit", "ScaleDownLimit"),
)


class Edges:
    """How many steps hit each edge."""

    def __init__(self) -> None:
        self.hit: Counter[str] = Counter()

    def missed(self) -> list[str]:
        return sorted(name for name in EDGES if not self.hit[name])

    def step(self, hpa: Hpa, controller: Controller, memory: Memory, seen: Observation, outcome: Outcome) -> None:
        self._scale(hpa, controller, seen)
        plain = hpa.behavior is None and outcome.stabilized is not None
        self.hit["twice the count beyond int32"] += plain and seen.spec >= 2**30
        for metric, value in zip(hpa.metrics, seen.values, strict=True):
            self._metric(metric, value, seen, band(hpa, controller))
        window = controller.downscale_window
        if hpa.behavior is not None:
            down = hpa.behavior.down.window
            window = window // SECOND * SECOND if down is None else down * SECOND
            self._behavior(hpa.behavior, memory, seen, outcome)
        ages = [seen.now - each.at for each in memory.recommendations]
        self.hit["recommendation at the border of the window"] += window in ages
        for condition in outcome.memory.conditions[:3]:
            if condition is not None:
                self.hit[condition.reason] += 1

    def _scale(self, hpa: Hpa, controller: Controller, seen: Observation) -> None:
        hit, missing = self.hit, seen.values.count(None)
        hit["status is not spec"] += seen.status != seen.spec
        hit["write refused"] += not seen.writable
        hit["above the maximum"] += seen.spec > hpa.max_replicas
        hit["below the minimum"] += 0 < seen.spec < hpa.min_replicas
        hit["from zero"] += seen.spec == 0
        hit["minimum 0"] += hpa.min_replicas == 0
        hit["controller tolerance 0"] += controller.tolerance == 0
        hit["some metrics missing"] += 0 < missing < len(seen.values)
        hit["all metrics missing"] += missing == len(seen.values)

    def _metric(
        self, metric: Metric, value: int | PodUsage | None, seen: Observation, within: tuple[float, float]
    ) -> None:
        hit = self.hit
        if isinstance(value, PodUsage):
            hit["pods without a value"] += value.missing > 0
            hit["pods not ready"] += value.unready > 0
        elif value is not None:
            of_all = metric.type is TargetType.VALUE
            pods = 1 if of_all else seen.status
            hit["tolerance exactly hit"] += bool(pods) and float(value) / (float(metric.target) * pods) in within
            hit["one milli beside whole pods"] += metric.target > 2 and value % metric.target in (1, metric.target - 1)
            hit["negative value"] += value < 0
            hit["more than int32"] += value // metric.target >= 2**31
            hit["Value without pods"] += of_all and seen.pods == 0
            hit["Value without ready pods"] += of_all and seen.ready == 0 < seen.pods

    def _behavior(self, behavior: Behavior, memory: Memory, seen: Observation, outcome: Outcome) -> None:
        hit = self.hit
        policies, events = behavior.up.policies + behavior.down.policies, memory.ups + memory.downs
        periods = {policy.period * SECOND for policy in policies}
        hit["event at the border of a period"] += any(seen.now - event.at in periods for event in events)
        hit["event marked outdated"] += any(event.outdated for event in events)
        hit["policy of int32"] += any(policy.value == 2**31 - 1 for policy in policies)
        hit["own tolerance"] += behavior.up.tolerance is not None
        hit["own tolerance 0"] += behavior.up.tolerance == 0
        if outcome.stabilized is not None and outcome.stabilized != seen.spec:
            up = outcome.stabilized > seen.spec
            rules = behavior.up if up else behavior.down
            hit["percent beyond int32"] += up and any(
                policy.percent and seen.spec * policy.value > 100 * 2**31 for policy in rules.policies
            )
            hit[f"selectPolicy {rules.select.value} {'up' if up else 'down'}"] += 1
