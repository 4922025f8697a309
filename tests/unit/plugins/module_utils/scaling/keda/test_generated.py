# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HPA that KEDA makes of a ScaledObject."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    Hpa,
    Metric,
    SelectPolicy,
    TargetType,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.generated import to_hpa
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.parse import parse_scaled_object
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.types import Pauses
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.keda.objects import (
    behavior,
    modified,
    scaled,
    spec,
    trigger,
)


def test_metrics_are_those_of_the_triggers_in_their_order() -> None:
    triggers = [trigger(), trigger(metricType="Value", metadata={"threshold": "0.85"})]
    hpa = to_hpa(parse_scaled_object(scaled(spec(minReplicaCount=2, maxReplicaCount=8, triggers=triggers))))
    metrics = (
        Metric("s0-prometheus", TargetType.AVERAGE_VALUE, 5000),
        Metric("s1-prometheus", TargetType.VALUE, 850),
    )
    assert hpa == Hpa(2, 8, metrics, None)


def test_it_never_has_a_minimum_of_zero() -> None:
    assert to_hpa(parse_scaled_object(scaled(spec(minReplicaCount=0)))).min_replicas == 1


def test_a_formula_is_its_only_metric() -> None:
    hpa = to_hpa(parse_scaled_object(scaled(modified(target="2.5", metricType="Value"))))
    assert hpa.metrics == (Metric("composite-metric", TargetType.VALUE, 2500),)


@pytest.mark.parametrize("written", [spec(), behavior(scaleUp={"stabilizationWindowSeconds": 60})], ids=["none", "own"])
def test_a_pause_of_one_direction_disables_it_and_leaves_the_other(written: dict[str, object]) -> None:
    free = parse_scaled_object(scaled(written))
    held = to_hpa(replace(free, pauses=Pauses(scale_in=True))).behavior
    assert held is not None
    assert (held.down.select, held.up.select) == (SelectPolicy.DISABLED, SelectPolicy.MAX)
    assert held.up.window == (60 if free.behavior else 0)
    held = to_hpa(replace(free, pauses=Pauses(scale_out=True, scale_in=True))).behavior
    assert held is not None
    assert (held.down.select, held.up.select) == (SelectPolicy.DISABLED, SelectPolicy.DISABLED)
    assert len(held.up.policies) == 2
    assert to_hpa(free).behavior == free.behavior
