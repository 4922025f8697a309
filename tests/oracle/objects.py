# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HPAs as a user writes them, and behaviours beside what the API server makes of them."""

from __future__ import annotations

import random
from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    Behavior,
    Hpa,
    Metric,
    Policy,
    Rules,
    SelectPolicy,
    Source,
    TargetType,
)

_Written = dict[str, Any]

#: As written, and as Quantity.AsApproximateFloat64 has it after the API server has stored it.
_TOLERANCES = (
    ("0", 0.0),
    ("0.1", 100 * 1e-3),
    ("0.118", 118 * 1e-3),
    ("33m", 33 * 1e-3),
    ("0.333333", 333333 * 1e-6),
    ("1", 1.0),
    ("1.5", 1500 * 1e-3),
)
_UP = (Policy(False, 4, 15), Policy(True, 100, 15))
_DOWN = (Policy(True, 100, 15),)
_PERIODS = (1, 15, 15, 30, 60, 600, 1800)
_SELECTS = (SelectPolicy.MAX, SelectPolicy.MAX, SelectPolicy.MIN, SelectPolicy.MIN, SelectPolicy.DISABLED)
_VALUES = (1, 2, 4, 10, 50, 100, 150, 300, 2**31 - 1)


class Behaviors:
    """Random behaviours: as written, and with defaults filled in. ``kind`` tells of the last one how it is written."""

    def __init__(self, source: random.Random) -> None:
        self._random = source
        self.kind = ""

    def some(self) -> tuple[_Written | None, Behavior | None]:
        pick = self._random.random()
        self.kind = "empty behavior" if pick < 0.3 else "partial behavior" if pick < 0.65 else "whole behavior"
        if pick < 0.2:
            self.kind = "no behavior"
            return None, None
        share = {"empty behavior": 0.0, "partial behavior": 0.4}.get(self.kind, 1.0)
        up, up_rules = self._rules(share, 0, _UP)
        down, down_rules = self._rules(share, None, _DOWN)
        written = {name: rules for name, rules in (("scaleUp", up), ("scaleDown", down)) if rules}
        return written, Behavior(up_rules, down_rules)

    def _rules(self, share: float, window: int | None, policies: tuple[Policy, ...]) -> tuple[_Written, Rules]:
        chance, choose = self._random.random, self._random.choice
        written: _Written = {}
        select, tolerance = SelectPolicy.MAX, None
        if chance() < share:
            written["stabilizationWindowSeconds"] = window = choose((0, 0, 15, 60, 300, 3600))
        if chance() < share:
            select = choose(
                (SelectPolicy.MAX, SelectPolicy.MAX, SelectPolicy.MIN, SelectPolicy.MIN, SelectPolicy.DISABLED)
            )
            written["selectPolicy"] = select.value
        if chance() < share:
            policies = tuple(
                Policy(chance() < 0.5, choose(_VALUES), choose(_PERIODS)) for _ in range(choose((1, 1, 2, 3)))
            )
            written["policies"] = [_policy(policy) for policy in policies]
        if chance() < share / 2:
            written["tolerance"], tolerance = choose(_TOLERANCES)
        return written, Rules(window, select, policies, tolerance)


def _policy(policy: Policy) -> _Written:
    return {"type": "Percent" if policy.percent else "Pods", "value": policy.value, "periodSeconds": policy.period}


def manifest(hpa: Hpa, behavior: _Written | None) -> _Written:
    """The object that a user would apply for ``hpa``."""
    spec: _Written = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "model"},
        "minReplicas": hpa.min_replicas,
        "maxReplicas": hpa.max_replicas,
        "metrics": [_metric(metric) for metric in hpa.metrics],
    }
    if behavior is not None:
        spec["behavior"] = behavior
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": spec}


def _metric(metric: Metric) -> _Written:
    field = "averageValue" if metric.type is TargetType.AVERAGE_VALUE else "value"
    target = {"type": metric.type.value, field: f"{metric.target}m"}
    if metric.source is Source.RESOURCE:
        return {"type": "Resource", "resource": {"name": "memory", "target": target}}
    kind = metric.source.value
    return {"type": kind, kind.lower(): {"metric": {"name": metric.name}, "target": target}}
