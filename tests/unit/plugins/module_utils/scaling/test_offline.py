# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Written values become a situation, and what cannot be meant is refused with one clear line each."""

from __future__ import annotations

import math
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import InvalidInput
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    SECOND,
    Controller,
    Recommendation,
    ScaleEvent,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.types import Reading
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.offline import situation_of
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.situations import (
    given,
    scaled_object,
    trigger,
)


def refused(written: Any) -> list[str]:
    """One line for each thing that is wrong."""
    with pytest.raises(InvalidInput) as caught:
        situation_of(written)
    return [finding.line() for finding in caught.value.findings]


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        (21, Reading((21.0,))),
        ("21.5", Reading((21.5,))),
        (-3, Reading((-3.0,))),
        ("Inf", Reading((math.inf,))),
        ("-Inf", Reading((-math.inf,))),
        ([], Reading()),
        ([1, 2.5], Reading((1.0, 2.5))),
        (None, Reading(error="the source does not answer")),
    ],
    ids=["number", "text", "negative", "Inf", "-Inf", "empty", "two series", "null"],
)
def test_takes_every_answer_of_a_source(value: Any, reading: Reading) -> None:
    assert situation_of(given(4, {"demand": value})).readings == (reading,)


def test_takes_nan() -> None:
    (reading,) = situation_of(given(4, "NaN")).readings
    assert math.isnan(reading.values[0])


def test_what_is_left_out_is_as_usual() -> None:
    situation = situation_of({"scaled_object": scaled_object(), "values": {"demand": 1}, "replicas": 3})
    assert (situation.spec, situation.status, situation.ready, situation.pods) == (3, 3, 3, 3)
    assert (situation.now, situation.controller, situation.complete) == (0, Controller(), False)


def test_takes_what_both_controllers_remember() -> None:
    events = [{"change": 2, "age": "90s"}, {"change": -1, "age": "5m"}]
    more = {"status_replicas": 5, "ready": 2, "last_active": "1m"}
    situation = situation_of(given(6, 1, past=[(6, "2m"), (4, "1m")], events=events, **more))
    now = situation.now
    assert now == 1_795_615_200 * SECOND
    assert (situation.spec, situation.status, situation.ready, situation.pods) == (6, 5, 2, 5)
    assert situation.memory.recommendations == (
        Recommendation(6, now - 120 * SECOND),
        Recommendation(4, now - 60 * SECOND),
    )
    assert situation.memory.ups == (ScaleEvent(2, now - 90 * SECOND),)
    assert situation.memory.downs == (ScaleEvent(1, now - 300 * SECOND),)
    assert situation.keda.last_active == now - 60 * SECOND
    assert situation.complete


@pytest.mark.parametrize(("version", "minor"), [("1.33", 33), ("v1.36.2", 36), ("1.37.0-rc.1", 37)])
def test_takes_the_controller(version: str, minor: int) -> None:
    flags = {"version": version, "tolerance": 0.2, "downscale_stabilization": "1m"}
    assert situation_of(given(1, 1, controller=flags)).controller == Controller(minor, 0.2, 60 * SECOND)


def test_a_trigger_without_a_name_is_called_by_its_metric() -> None:
    nameless = trigger()
    del nameless["name"]
    scaled = scaled_object(triggers=[nameless])
    assert situation_of(given(1, {"s0-prometheus": 7}, scaled)).readings == (Reading((7.0,)),)


@pytest.mark.parametrize(
    ("written", "line"),
    [
        pytest.param(
            given(4, {"demnd": 1, "demand": 1}),
            "situation.values.demnd: is the name of no trigger. Did you mean demand?", id="a name that does not exist",
        ),
        pytest.param(
            given(4, {}), "situation.values.demand: is required. Give a number, or null where the source fails.",
            id="no value",
        ),
        pytest.param(
            given(4, "many"),
            "situation.values.demand: must be a number, NaN, Inf, a list of such, or null, got 'many'.",
            id="no number",
        ),
        pytest.param(
            given(4, True), "situation.values.demand: must be a number, NaN, Inf, a list of such, or null, got True.",
            id="a boolean",
        ),
        pytest.param(
            given(-1, 1, past=[(1, "1m")]),
            "situation.replicas: must be a whole number, at least 0 and at most 2147483647, got -1.",
            id="a negative count",
        ),
        pytest.param(
            given(4, 1, ready=5), "situation.ready: is 5, but only 4 exist. Give status_replicas.", id="more ready"
        ),
        pytest.param(
            given(4, 1, past=[(4, "10")]),
            "situation.recommendations[0].age: must be a duration such as 90s, 10m or 1h30m, from 0 s to 31536000 s,"
            " got '10'.", id="an age without unit",
        ),
        pytest.param(
            given(4, 1, controller={"version": "1.29"}),
            "situation.controller.version: must be a version of Kubernetes from 1.33 to 1.37, such as 1.35,"
            " got '1.29'.",
            id="an old version",
        ),
        pytest.param(
            given(4, 1, now="noon"),
            "situation.now: must be a time in UTC such as 2026-12-24T18:00:00Z, got 'noon'."
            " Write it as date -u +%FT%TZ does.", id="a time that is none",
        ),
        pytest.param(
            given(4, 1, reday=3), "situation.reday: is not a known key. Did you mean ready?", id="an unknown key"
        ),
        pytest.param(
            {**given(4, 1), "scaled_object": "chat"},
            "situation.scaled_object: must be a dictionary of Kubernetes fields, got 'chat'.", id="no manifest",
        ),
        pytest.param([1], "situation: must be a dictionary, got list.", id="no dictionary"),
    ],
)  # fmt: skip
def test_refuses_what_cannot_be_meant(written: Any, line: str) -> None:
    assert refused(written) == [line]


def test_reports_all_at_once() -> None:
    lines = refused(given(4, {"other": 1}, scaled_object(triggers=[trigger(threshold="0")]), ready=-1))
    assert ["threshold" in line for line in lines] == [False, True]
    assert lines[0].startswith("situation.ready: must be a whole number")
