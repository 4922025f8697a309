# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What replica_target_info says of a model is what the real autoscaler then does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from e2e import declaration
from e2e.fleet import Fleet, play
from e2e.observed import Json, path, until
from testbed.api import Api
from testbed.audit import AuditLog, writes
from testbed.bed import Bed

DEPLOYMENT = path("Deployment", declaration.NAMESPACE, declaration.MODEL)
SCALED = path("ScaledObject", declaration.NAMESPACE, declaration.MODEL)
FOLLOWS_WITHIN_S = 45
#: Two syncs of the bed's HPA, and what a poll of the test and a whole second of a timestamp lose.
_LATE_S = 6


def ask(fleet: Fleet, *options: str, fails: bool = False, **params: Any) -> Mapping[str, Any]:
    """The result of the module, with the cluster of the fleet."""
    common = {"cluster": "{{ gpufleet_cluster }}", "namespace": declaration.NAMESPACE}
    task = {"gpufleet.llm.replica_target_info": {**common, **params}}
    return fleet.run(play(task), *options, fails=fails).of("replica_target_info")[0].result


@dataclass(frozen=True)
class Course:
    """A model whose demand rises at ``up`` and falls at ``down``, in seconds since the epoch."""

    fleet: Fleet
    up: int
    down: int


@pytest.fixture(scope="module")
def course(fleet: Fleet, bed: Bed, api: Api) -> Course:
    """Demand for 2 replicas, then for 6, then for 1, as a function of the time: Prometheus knows it of the past too."""
    up = int(time.time()) + 25
    down = up + 28
    query = f"vector(24 + 48 * (time() >= bool {up}) - 60 * (time() >= bool {down}))"
    metadata = {"serverAddress": bed.prometheus_url, "query": query, "threshold": "12", "ignoreNullValues": "false"}
    trigger = {"type": "prometheus", "name": "demand", "metricType": "AverageValue", "metadata": metadata}
    scaled = fleet.having("gpufleet_models.0.overrides", {"ScaledObject": {"spec": {"triggers": [trigger]}}})
    scaled.apply()
    until(lambda: _count(api) == 2, FOLLOWS_WITHIN_S, "the autoscaler keeps its minimum of two")
    return Course(scaled, up, down)


def test_the_next_move_is_foretold(course: Course, api: Api, audit: AuditLog) -> None:
    since = audit.mark()
    told = [_next(ask(course.fleet, name=declaration.MODEL))]
    assert told == [(None, None)]
    for before, after in ((2, 4), (4, 6), (6, 5), (5, 4)):
        if before == 6:
            until(lambda: time.time() > course.down + 1, FOLLOWS_WITHIN_S, "the demand has fallen")
            told.append(_next(ask(course.fleet, name=declaration.MODEL)))
        until(lambda: _count(api) != before, FOLLOWS_WITHIN_S, f"the count moves from {before}")  # noqa: B023
        moved = time.time()
        assert _count(api) == after
        count, at = told[-1]
        if before != 2:
            assert count == after and at is not None and abs(at - moved) < _LATE_S, (told, moved)
        told.append(_next(ask(course.fleet, name=declaration.MODEL)))
    assert writes(audit.calls(since, "converge")) == []


def _next(result: Mapping[str, Any]) -> tuple[int | None, float | None]:
    """The count that comes next, and when."""
    (target,) = result["targets"]
    decision = target["decision"]
    assert decision["complete"], result
    if target["desired"] != target["current"]:
        return target["desired"], time.time()
    at = decision["next_change"]
    return decision["next_count"], None if at is None else datetime.fromisoformat(at).timestamp()


def _count(api: Api) -> int:
    return int(api.get(DEPLOYMENT)["spec"]["replicas"])


def test_check_mode_says_the_same_and_a_query_selects(course: Course) -> None:
    fields = "[].[namespace, name, decision.triggers[0].threshold]"
    for options in ([], ["--check"]):
        found = ask(course.fleet, *options, query=fields)
        assert found["selected"] == [[declaration.NAMESPACE, declaration.MODEL, 12.0]] and not found["changed"]


def test_the_past_is_replayed_with_another_configuration(course: Course) -> None:
    history = {"hours": 0.1, "start_up": "20s", "proposed": {"max": 4}}
    (target,) = ask(course.fleet, history=history, what_if={"max": 3})["targets"]
    assert target["what_if"]["desired"] <= 3
    played = target["history"]
    assert (played["configured"]["highest"], played["proposed"]["highest"]) == (6, 4)
    assert played["configured"]["replica_hours"] > played["proposed"]["replica_hours"]


def test_values_that_are_given_need_no_cluster(course: Course, api: Api) -> None:
    given = {"scaled_object": api.get(SCALED), "values": {"demand": 100}, "replicas": 4}
    nowhere: Json = {"cluster": {"name": "nowhere", "provider": "none", "auth": {"kubeconfig": "/nowhere"}}}
    (target,) = ask(course.fleet, given=given, **nowhere)["targets"]
    assert target["desired"] == 6


@pytest.mark.parametrize(
    ("params", "msg"),
    [
        pytest.param({"name": "mistral"}, "ScaledObject inference/mistral: does not exist", id="name"),
        pytest.param(
            {"what_if": {"values": {"demnd": 1}}}, "what_if.values.demnd: is the name of no trigger", id="trigger"
        ),
    ],
)
def test_what_does_not_exist_is_one_line(course: Course, params: Json, msg: str) -> None:
    found = ask(course.fleet, fails=True, **params)
    assert found["msg"].startswith(msg) and "\n" not in found["msg"]
