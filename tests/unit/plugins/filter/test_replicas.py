# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters desired_replicas and explain_replicas, as a template calls them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.gpufleet.llm.plugins.filter import desired_replicas, explain_replicas
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.situations import (
    NOW,
    scaled_object,
    trigger,
)

HELD: dict[str, Any] = {
    "values": {"demand": 18},
    "replicas": 6,
    "recommendations": [{"replicas": 6, "age": "2m"}],
    "now": NOW,
}
FILTERS = {
    **desired_replicas.FilterModule().filters(),
    **explain_replicas.FilterModule().filters(),
}


def test_the_count() -> None:
    assert FILTERS["desired_replicas"](scaled_object(), values={"demand": 26}, replicas=4) == 6
    assert FILTERS["desired_replicas"](scaled_object(), **HELD) == 6


def test_the_lines() -> None:
    lines = FILTERS["explain_replicas"](scaled_object(), **HELD)
    assert lines[0].startswith("6, not 4, until 14:03:00 UTC: 2 min ago the metrics asked for 6, ")


def test_without_a_time_it_is_now() -> None:
    first = FILTERS["explain_replicas"](scaled_object(), **{**HELD, "now": None})[0]
    assert "1970" not in first


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    ("scaled", "given", "message"),
    [
        pytest.param(scaled_object(), {"replicas": 1}, "{}.values: is required.", id="no values"),
        pytest.param(
            scaled_object(), {**HELD, "values": {}, "replicas": "x"}, "{0}.values.demand: is", id="two things"
        ),
        pytest.param(
            "chat", HELD, "{}.scaled_object: must be a dictionary of Kubernetes fields, got 'chat'.", id="text"
        ),
        pytest.param(scaled_object(), {**HELD, "pods": 3}, "{}.pods: is not a known key.", id="an unknown key"),
        pytest.param(scaled_object(triggers=[trigger(threshold="-1")]), HELD, "threshold", id="a negative threshold"),
    ],
)
def test_bad_input_is_one_line(name: str, scaled: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        FILTERS[name](scaled, **given)
    assert message.format(name) in str(caught.value)
    assert "more in findings" not in str(caught.value)
    assert "\n" not in str(caught.value)
