# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A behaviour is completed, and refused, as the API server does it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.fields import Problems
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.defaults import behavior_of
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import Controller, Hpa, Metric, TargetType

from oracle.differences import ask
from oracle.objects import Behaviors, manifest
from oracle.scenarios import Scenario, Step
from testbed import build

HPA = Hpa(1, 9, (Metric("m0", TargetType.AVERAGE_VALUE, 1000),))


def policy(kind: str = "Pods", value: Any = 4, period: Any = 60) -> dict[str, Any]:
    return {"type": kind, "value": value, "periodSeconds": period}


RULES = {
    "negative window": {"stabilizationWindowSeconds": -1},
    "no window": {"stabilizationWindowSeconds": 0},
    "longest window": {"stabilizationWindowSeconds": 3600},
    "too long a window": {"stabilizationWindowSeconds": 3601},
    "unknown selection": {"selectPolicy": "Average"},
    "empty selection": {"selectPolicy": ""},
    "disabled": {"selectPolicy": "Disabled"},
    "empty policies": {"policies": []},
    "unknown type": {"policies": [policy("Replicas")]},
    "no value": {"policies": [policy(value=0)]},
    "negative value": {"policies": [policy(value=-1)]},
    "no period": {"policies": [policy(period=0)]},
    "longest period": {"policies": [policy(period=1800)]},
    "too long a period": {"policies": [policy(period=1801)]},
    "second of two is wrong": {"policies": [policy(), policy(period=-1)]},
    "text for a number": {"policies": [policy(value="many")]},
    "negative tolerance": {"tolerance": "-0.1"},
    "no tolerance": {"tolerance": "0"},
    "tolerance of millis": {"tolerance": "50m"},
    "text for a tolerance": {"tolerance": "small"},
}


def refused_by_the_api_server(behaviors: list[dict[str, Any]]) -> list[bool]:
    steps = [Step(0, 1, 1, (1, 0, 0, 0), [[1000]], HPA, manifest(HPA, behavior)) for behavior in behaviors]
    answers = ask(build.executables()["hpa-oracle"], [Scenario(Controller(), [step]) for step in steps])
    return [isinstance(answer, str) for answer in answers]


def refused_by_us(behavior: dict[str, Any]) -> bool:
    problems = Problems()
    behavior_of(behavior, problems, "behavior")
    return bool(problems.findings)


@pytest.mark.parametrize("direction", ["scaleUp", "scaleDown"])
def test_what_the_api_server_refuses_is_refused_and_nothing_else(direction: str) -> None:
    behaviors = [{direction: rules} for rules in RULES.values()]
    theirs = dict(zip(RULES, refused_by_the_api_server(behaviors), strict=True))
    assert 5 < sum(theirs.values()) < len(RULES) - 5
    assert {name: refused_by_us({direction: rules}) for name, rules in RULES.items()} == theirs


def test_defaults_are_filled_in_as_by_the_api_server() -> None:
    """``Behaviors`` pairs what is written with what the comparison of decisions has proved right."""
    behaviors, checked = Behaviors(random.Random(1)), 0
    for _ in range(500):
        written, expected = behaviors.some()
        problems = Problems()
        found = behavior_of(written, problems, "behavior")
        # Values that overflow are refused on purpose.
        if not problems.findings:
            assert found == expected, written
            checked += 1
    assert checked > 250
