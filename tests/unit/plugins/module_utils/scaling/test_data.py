# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions as JSON can hold them."""

from __future__ import annotations

import json

from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.data import decision_data
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.offline import situation_of
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.target import decide
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.situations import (
    Json,
    given,
    scaled_object,
    trigger,
)


def data(situation: Json) -> Json:
    return decision_data(decide(situation_of(situation)))


def test_points_in_time_are_texts_and_enums_their_values() -> None:
    found = data(given(6, 18, past=[(6, "2m")]))
    (bound,) = found["bounds"]
    assert bound == {"limit": "stabilization-window", "before": 4, "after": 6, "until": "2026-11-25T14:03:00Z"}
    assert found["conditions"]["able"] == {"status": True, "reason": "ScaleDownStabilized"}
    assert (found["next_change"], found["next_count"]) == ("2026-11-25T14:03:15Z", 4)
    assert "name" not in found and found["triggers"][0]["name"] == "demand"


def test_numbers_are_those_that_a_person_means_and_that_json_holds() -> None:
    assert data(given(4, 26, scaled_object(triggers=[trigger(threshold="3")])))["triggers"][0]["high"] == 13.2
    none = data(given(4, 26, status_replicas=0))
    assert none["triggers"][0]["ratio"] is None
    json.dumps(none, allow_nan=False)
