# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would be decided if something else were the case."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import InvalidInput
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.offline import situation_of
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.target import decide
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.what_if import changed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.situations import (
    given,
    rules,
    scaled_object,
    trigger,
)

BOTH = [trigger(), trigger("kv-cache", "0.85")]


@pytest.mark.parametrize(
    ("what", "desired"),
    [
        pytest.param({}, 6, id="nothing"),
        pytest.param({"values": {"demand": 40}}, 8, id="a value"),
        pytest.param({"values": {"kv-cache": None}}, 6, id="a lost metric"),
        pytest.param({"values": {"demand": "NaN"}}, 4, id="NaN"),
        pytest.param({"replicas": 2}, 4, id="another count, from which only a double is reached"),
        pytest.param({"max": 5}, 5, id="max"),
        pytest.param({"min": 7}, 7, id="min"),
        pytest.param({"threshold": {"demand": 10}}, 4, id="a threshold"),
        pytest.param({"threshold": {"s0-prometheus": "4.9"}}, 6, id="a threshold by the name of the metric"),
        pytest.param({"behavior": {"scaleUp": rules(1, 60)}}, 5, id="a behaviour"),
    ],
)
def test_decides_with_the_change_in_it(what: dict[str, Any], desired: int) -> None:
    situation = situation_of(given(4, {"demand": 28, "kv-cache": 3.1}, scaled_object(triggers=BOTH)))
    assert decide(changed(situation, what)).desired == desired


def test_leaves_the_situation_as_it_was() -> None:
    situation = situation_of(given(4, 28))
    assert changed(situation, {}) == situation
    assert changed(situation, {"max": 5, "replicas": 1, "values": {"demand": 1}}) != situation
    assert situation == situation_of(given(4, 28))


@pytest.mark.parametrize(
    ("what", "line"),
    [
        pytest.param({"min": 9}, "what_if.min: is 9, above max 8. Raise max or lower min.", id="bounds"),
        pytest.param(
            {"values": {"latency": 1}},
            "what_if.values.latency: is the name of no trigger. Known are demand, kv-cache.",
            id="no trigger",
        ),
        pytest.param(
            {"threshold": {"demand": 0}},
            "what_if.threshold.demand: must be a number, at least 0.001 and at most 9.0072e+12, got 0.",
            id="threshold 0",
        ),
        pytest.param(
            {"values": {"demand": "x"}},
            "what_if.values.demand: must be a number, NaN, Inf, a list of such, or null, got 'x'.", id="no number",
        ),
        pytest.param({"maximum": 9}, "what_if.maximum: is not a known key. Did you mean max?", id="an unknown key"),
        pytest.param([], "what_if: must be a dictionary, got list.", id="no dictionary"),
    ],
)  # fmt: skip
def test_refuses_what_cannot_be_meant(what: Any, line: str) -> None:
    situation = situation_of(given(4, {"demand": 28, "kv-cache": 3.1}, scaled_object(triggers=BOTH)))
    with pytest.raises(InvalidInput) as caught:
        changed(situation, what)
    (finding,) = caught.value.findings
    # What depends on the ScaledObject names it.
    about_it = what and "maximum" not in what
    assert finding.line() == (f"ScaledObject inference/chat {line}" if about_it else line)


def test_refuses_a_behaviour_that_the_api_server_refuses() -> None:
    with pytest.raises(
        InvalidInput, match=r"^ScaledObject inference/chat what_if\.behavior\.scaleUp\.stabilizationWindowSeconds: "
    ):
        changed(situation_of(given(4, 1)), {"behavior": {"scaleUp": {"stabilizationWindowSeconds": 3601}}})


def test_min_stays_above_the_idle_count() -> None:
    situation = situation_of(given(4, 1, scaled_object(2, idleReplicaCount=1)))
    with pytest.raises(
        InvalidInput,
        match=r"^ScaledObject inference/chat what_if\.min: is 1, not above idleReplicaCount 1\. Raise min\.$",
    ):
        changed(situation, {"min": 1})
