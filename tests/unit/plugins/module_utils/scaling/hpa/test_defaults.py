# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A behaviour has what the API server fills in, and nothing that it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import InvalidInput
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.fields import Problems
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.defaults import behavior_of, filled
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    Behavior,
    Policy,
    Rules,
    SelectPolicy,
)

UP: dict[str, Any] = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
DOWN: dict[str, Any] = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}
ONE = [{"type": "Pods", "value": 1, "periodSeconds": 1800}]


def parsed(written: Any) -> Behavior | None:
    """The behaviour, with nothing wrong."""
    problems = Problems()
    behavior = behavior_of(written, problems, "behavior")
    assert problems.findings == []
    return behavior


@pytest.mark.parametrize(
    ("written", "up", "down"),
    [
        pytest.param({}, {}, {}, id="empty"),
        pytest.param({"scaleUp": None, "scaleDown": None}, {}, {}, id="null"),
        pytest.param({"scaleUp": {}, "scaleDown": {}}, {}, {}, id="empty directions"),
        pytest.param(
            {"scaleUp": {"stabilizationWindowSeconds": 60}}, {"stabilizationWindowSeconds": 60}, {}, id="up: window"
        ),
        pytest.param(
            {"scaleDown": {"stabilizationWindowSeconds": 0}},
            {},
            {"stabilizationWindowSeconds": 0},
            id="down: no window",
        ),
        pytest.param({"scaleDown": {"selectPolicy": "Min"}}, {}, {"selectPolicy": "Min"}, id="down: selectPolicy"),
        pytest.param({"scaleUp": {"policies": ONE}}, {"policies": ONE}, {}, id="up: own policies replace both"),
        pytest.param({"scaleDown": {"tolerance": "0.05"}}, {}, {"tolerance": "50m"}, id="down: tolerance"),
        pytest.param({"scaleUp": {"tolerance": 0}}, {"tolerance": "0"}, {}, id="up: no tolerance at all"),
        pytest.param({"scaleUp": {"tolerance": "1.5k"}}, {"tolerance": "1500"}, {}, id="up: tolerance of many"),
        pytest.param({"scaleUp": {"tolerance": "2000"}}, {"tolerance": "2k"}, {}, id="up: tolerance of thousands"),
        pytest.param({"scaleUp": {"tolerance": "0.00015"}}, {"tolerance": "150u"}, {}, id="up: tolerance of little"),
        pytest.param({"scaleUp": {"tolerance": "0.1n"}}, {"tolerance": "1n"}, {}, id="up: finer than nano"),
    ],
)
def test_what_is_left_out_is_filled_in(written: Any, up: dict[str, Any], down: dict[str, Any]) -> None:
    assert filled(written) == {"scaleUp": {**UP, **up}, "scaleDown": {**DOWN, **down}}
    assert filled(filled(written)) == filled(written)
    assert parsed(filled(written)) == parsed(written)


def test_none_stays_none_and_an_empty_one_does_not() -> None:
    assert parsed(None) is None
    up = Rules(0, SelectPolicy.MAX, (Policy(False, 4, 15), Policy(True, 100, 15)))
    assert parsed({}) == Behavior(up, Rules(None, SelectPolicy.MAX, (Policy(True, 100, 15),)))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0.118", 118 * 1e-3),
        ("118m", 118 * 1e-3),
        ("0.1", 0.1),
        ("1", 1.0),
        ("0", 0.0),
        (0.05, 50 * 1e-3),
        ("1k", 1000.0),
    ]
    + [("0.00007", 70 * 1e-6)],
)
def test_a_tolerance_is_the_float_of_its_quantity(written: Any, expected: float) -> None:
    behavior = parsed({"scaleUp": {"tolerance": written}})
    assert behavior is not None
    assert behavior.up.tolerance == expected
    assert behavior.down.tolerance is None


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        pytest.param([], ["behavior: must be a dictionary, got list."], id="a list"),
        pytest.param(
            {"scaleup": {}}, ["behavior.scaleup: is not a known key. Did you mean scaleUp?"], id="an unknown key"
        ),
        pytest.param(
            {"scaleUp": {"policies": []}},
            ["behavior.scaleUp.policies: is an empty list. Give at least one policy, or leave it out."],
            id="no policies",
        ),
        pytest.param(
            {"scaleUp": {"policies": [{"type": "pods", "value": 1.5, "periodSeconds": 0}]}},
            [
                "behavior.scaleUp.policies[0].type: must be one of Pods, Percent, got 'pods'. Did you mean Pods?",
                "behavior.scaleUp.policies[0].value: must be a whole number, at least 1 and at most 1000000, got 1.5.",
                "behavior.scaleUp.policies[0].periodSeconds: must be a whole number, at least 1 and at most 1800, "
                "got 0.",
            ],
            id="a policy with everything wrong",
        ),
        pytest.param(
            {"scaleUp": {"policies": [{"type": "Pods"}]}},
            [
                "behavior.scaleUp.policies[0].value: is required. "
                "Set it to a whole number, at least 1 and at most 1000000.",
                "behavior.scaleUp.policies[0].periodSeconds: is required. "
                "Set it to a whole number, at least 1 and at most 1800.",
            ],
            id="a policy that is not whole",
        ),
        pytest.param(
            {"scaleUp": {"tolerance": "-0.1"}, "scaleDown": {"tolerance": "5%"}},
            [
                "behavior.scaleUp.tolerance: must be a fraction such as 0.05 or 50m, at least 0, got '-0.1'.",
                "behavior.scaleDown.tolerance: must be a fraction such as 0.05 or 50m, at least 0, got '5%'.",
            ],
            id="tolerances",
        ),
    ],
)
def test_what_the_api_server_refuses_is_refused(written: Any, lines: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        filled(written)
    assert [finding.line() for finding in caught.value.findings] == lines
