# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What replica_target_info says of a model is what the real autoscaler then does."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._cluster import connect
from ansible_collections.gpufleet.llm.plugins.module_utils._targets import Reader, Selection
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import Prometheus
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import SECOND
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.target import decide

from e2e import declaration
from e2e.fleet import Fleet, play
from e2e.observed import Json, path, until
from e2e.scaling import Counts
from testbed.api import Api
from testbed.audit import AuditLog, writes
from testbed.bed import Bed
from testbed.settings import Settings

DEPLOYMENT = path("Deployment", declaration.NAMESPACE, declaration.MODEL)
SCALED = path("ScaledObject", declaration.NAMESPACE, declaration.MODEL)
FOLLOWS_WITHIN_S = 60
SYNC_S = Settings().hpa_sync_s
#: The HPA moves at a sync, and windows and policies end a sync late where one has just missed them. Times of events are
#: whole seconds.
LATE_S = 2 * SYNC_S + 1.5


def ask(fleet: Fleet, *options: str, fails: bool = False, **params: Any) -> Mapping[str, Any]:
    """The result of the module, with the cluster of the fleet."""
    common = {"cluster": "{{ gpufleet_cluster }}", "namespace": declaration.NAMESPACE}
    task = {"gpufleet.llm.replica_target_info": {**common, **params}}
    return fleet.run(play(task), *options, fails=fails).of("replica_target_info")[0].result


@dataclass(frozen=True)
class Told:
    """What was said at a time of the next move: which count, and when. Nothing where the count was to stay.

    ``complete`` is false in the moment between a move and its event.
    """

    asked: float
    complete: bool
    current: int
    count: int | None
    at: float | None


@dataclass(frozen=True)
class Course:
    """What was said once a second of a model whose demand rose at ``up`` and fell at ``down``, and what happened."""

    fleet: Fleet
    up: float
    down: float
    told: Sequence[Told]
    counts: Counts


@pytest.fixture(scope="module")
def quick(fleet: Fleet, api: Api) -> Fleet:
    """A model that runs at its minimum of two, and may move twice a minute and more."""
    rules = {"scale_up": {"pods": 2, "period": "10s"}, "scale_down": {"pods": 1, "period": "5s", "window": "10s"}}
    scaled = fleet.having("gpufleet_models.0.scaling", {"concurrency": 12, **rules})
    scaled = scaled.having("gpufleet_models.0.lifecycle.cold_start", "10s")
    scaled.apply()
    until(lambda: _count(api) == 2, FOLLOWS_WITHIN_S, "the autoscaler keeps its minimum of two")
    return scaled


@pytest.fixture(scope="module")
def course(quick: Fleet, bed: Bed, api: Api, audit: AuditLog) -> Course:
    """Demand for 2 replicas, then for 6, then for 1, as a function of the time: Prometheus knows it of the past too."""
    up = int(time.time()) + 5
    down = up + 18
    since = audit.mark()
    query = f"vector(24 + 48 * (time() >= bool {up}) - 60 * (time() >= bool {down}))"
    metadata = {"serverAddress": bed.prometheus_url, "query": query, "threshold": "12", "ignoreNullValues": "false"}
    api.patch(SCALED, {"spec": {"triggers": [{"type": "prometheus", "name": "demand", "metadata": metadata}]}})
    cluster, told = connect({"kubeconfig": bed.kubeconfigs["converge"]}), []
    while time.time() < down + 25:
        told.append(_told(Reader(cluster, Prometheus(bed.prometheus_url), int(time.time()))))
        time.sleep(1)
    calls = audit.calls(since)
    assert writes([call for call in calls if call.user == "converge"]) == []
    return Course(quick, up, down, told, Counts.of(calls, declaration.MODEL, 2))


def _told(reader: Reader) -> Told:
    asked = time.time()
    ((target,), problems) = reader.targets(Selection(declaration.NAMESPACE, declaration.MODEL))
    decision = decide(target.situation, SYNC_S)
    assert not problems
    if decision.desired != decision.current:
        return Told(asked, decision.complete, decision.current, decision.desired, asked)
    at = None if decision.next_change is None else decision.next_change / SECOND
    return Told(asked, decision.complete, decision.current, decision.next_count, at)


def _count(api: Api) -> int:
    return int(api.get(DEPLOYMENT)["spec"]["replicas"])


def test_the_next_move_is_foretold(course: Course) -> None:
    moves = course.counts.steps[1:]
    assert {count for _, count in moves} >= {4, 6, 5, 3}
    wrong, right, ended = [], 0, course.told[-1].asked
    for told in course.told:
        segment = next(end for end in (course.up, course.down, ended) if told.asked < end + 1)
        happened = next(((at, count) for at, count in moves if at > told.asked), None)
        seen = told.complete and course.counts.at(told.asked) == told.current
        if not seen or (happened and happened[0] - told.asked < 0.5):
            continue
        if happened is None or happened[0] > segment:
            fits = told.at is None or told.at > segment - LATE_S
        else:
            fits = told.count == happened[1] and told.at is not None and abs(told.at - happened[0]) <= LATE_S
        right += fits
        wrong += [] if fits else [(told, happened)]
    assert not wrong, (right, wrong, moves)
    assert right > 25


def test_check_mode_asks_as_well_and_a_query_selects(course: Course) -> None:
    fields = "[].[namespace, name, decision.triggers[0].threshold]"
    found = ask(course.fleet, "--check", query=fields)
    assert found["selected"] == [[declaration.NAMESPACE, declaration.MODEL, 12.0]] and not found["changed"]


def test_the_past_is_replayed_with_another_configuration(course: Course) -> None:
    history = {"hours": 0.1, "start_up": "20s", "proposed": {"max": 3}}
    (target,) = ask(course.fleet, history=history, what_if={"values": {"demand": 90}, "max": 3})["targets"]
    assert target["what_if"]["desired"] == 3
    played = target["history"]
    assert played["configured"]["highest"] > played["proposed"]["highest"] == 3
    assert played["configured"]["replica_hours"] > played["proposed"]["replica_hours"]


def test_values_that_are_given_need_no_cluster(course: Course, api: Api) -> None:
    given = {"scaled_object": api.get(SCALED), "values": {"demand": 100}, "replicas": 4}
    nowhere: Json = {"name": "nowhere", "provider": "none", "auth": {"kubeconfig": "/nowhere"}}
    (target,) = ask(course.fleet, given=given, cluster=nowhere)["targets"]
    assert target["desired"] == 6


@pytest.mark.parametrize(
    ("params", "msg"),
    [
        pytest.param({"name": "mistral"}, "ScaledObject inference/mistral: does not exist", id="name"),
        pytest.param(
            {"what_if": {"values": {"demnd": 1}}},
            "ScaledObject inference/llama what_if.values.demnd: is the name of no trigger",
            id="trigger",
        ),
    ],
)
def test_what_does_not_exist_is_one_line(course: Course, params: Json, msg: str) -> None:
    found = ask(course.fleet, fails=True, **params)
    assert found["msg"].startswith(msg) and "\n" not in found["msg"]
