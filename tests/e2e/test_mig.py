# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes are cut into slices: one that serves, one that was cordoned before, two of which only one may be out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from e2e import declaration, mig
from e2e.fleet import Fleet, Json, play
from e2e.observed import path, until
from e2e.playbook import Run, Task
from faults import invariants
from faults.invariants import DO_NOT_DISRUPT, RECORD, Course
from testbed.api import Api
from testbed.audit import AuditLog, writes
from testbed.bed import Bed
from testbed.standins.load import LoadOptions, LoadProfile, LoadResult, run_load

USER = "converge"
SERVING, CORDONED, PAIR = "serving", "cordoned", "pair"
TWO = ("pair-0", "pair-1")
FOREIGN = {"example.com/owner": "ann"}
REPLICAS = 2
#: Quick to start, and with requests that are still under way when their pod is evicted.
MODEL = declaration.model(
    pool="whole",
    gpus=4,
    replicas={"count": REPLICAS},
    lifecycle={"p99_generation": "10s", "cold_start": "10s", "pre_stop": "2s", "teardown": "1s"},
)
WHOLE = {"name": "whole", "gpu": "h100-80gb", "gpus_per_node": mig.GPUS, "node_selector": mig.ANY}
PROFILE = ({"rate": 4, "for": "150s"},)


@dataclass(frozen=True)
class Changed:
    """A run over the node that serves and the cordoned one, a second run, and what happened meanwhile."""

    predicted: Run
    first: Run
    second: Run
    second_writes: list[str]
    load: LoadResult
    course: Course
    before: Mapping[str, Json]
    after: Mapping[str, Json]


def _host(bed: Bed, name: str) -> Json:
    return mig.variables(bed, mig.pool(name))


@pytest.fixture(scope="module")
def nodes(empty_bed: Bed, api: Api, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """The model serves on a node, and only then there is another one that it could move to."""
    hosts = {name: _host(empty_bed, name) for name in (SERVING, CORDONED)}
    fleet = Fleet(tmp_path_factory.mktemp("mig"), hosts)
    mig.prepare(empty_bed, api, fleet.folder, *map(mig.pool, (SERVING, CORDONED, PAIR)))
    mig.node(api, SERVING)
    serving = Fleet(fleet.folder, {"local": declaration.variables(empty_bed, MODEL, pools=[WHOLE])})
    serving.apply(components=("vllm",))
    deployment = path("Deployment", declaration.NAMESPACE, MODEL["name"])
    until(lambda: api.get(deployment)["status"].get("readyReplicas") == REPLICAS, 60, "the model serves")
    mig.node(api, mig.SPARE)
    mig.node(api, CORDONED, cordoned=True)
    for name in TWO:
        mig.node(api, name, PAIR)
    mig.up(api, (SERVING, mig.SPARE, CORDONED, *TWO))
    api.patch(f"{mig.NODES}/{CORDONED}", {"metadata": {"annotations": {**FOREIGN, DO_NOT_DISRUPT: "true"}}})
    return fleet


@pytest.fixture(scope="module")
def changed(nodes: Fleet, api: Api, audit: AuditLog) -> Changed:
    stop, options = threading.Event(), LoadOptions(seed=1, output_tokens="100..200", endpoint_lag=1.0)
    profile, about = LoadProfile.from_steps(PROFILE), (declaration.NAMESPACE, MODEL["name"])
    before = mig.up(api, (SERVING, CORDONED))
    with mig.Watch(api, audit).open() as watch, ThreadPoolExecutor(1) as pool:
        load = pool.submit(run_load, api, *about, profile, options, stop)
        try:
            predicted = nodes.run(play(mig.change()), "--check", "--diff")
            first = nodes.run(play(mig.change(idle_timeout="3s")))
        finally:
            stop.set()
        sent = load.result()
        mark = audit.mark()
        second = nodes.run(play(mig.change()))
        wrote = [f"{call.verb} {call.uri}" for call in writes(audit.calls(mark, USER))]
        after = {name: api.get(f"{mig.NODES}/{name}") for name in before}
        return Changed(predicted, first, second, wrote, sent, watch.course(), before, after)


def test_every_request_is_answered_in_full(changed: Changed) -> None:
    load = changed.load
    assert (load.finished, load.aborted, load.lost) == (load.sent, 0, 0), load.reasons
    assert load.sent > 30


def test_the_disruption_budget_is_kept(changed: Changed) -> None:
    """It lets one replica go at a time: there is always another that is ready."""
    ready: dict[str, bool] = {}
    counts = []
    for event in changed.course.pods:
        if event.object["metadata"]["namespace"] == declaration.NAMESPACE:
            conditions = {each["type"]: each["status"] for each in event.object["status"].get("conditions", ())}
            ready[event.name] = event.kind != "DELETED" and conditions.get("Ready") == "True"
            counts.append(sum(ready.values()))
    assert counts[REPLICAS - 1] == counts[-1] == REPLICAS
    assert min(counts[REPLICAS - 1 :]) >= REPLICAS - 1
    assert len(ready) == 2 * REPLICAS


def test_the_node_has_its_slices_and_is_open_again(changed: Changed) -> None:
    node = changed.after[SERVING]
    assert mig.allocatable(node) == mig.SLICED
    assert not node["spec"].get("unschedulable")
    assert not {RECORD, DO_NOT_DISRUPT} & set(node["metadata"]["annotations"])
    assert changed.first.changed == 2


def test_a_second_run_changes_and_writes_nothing(changed: Changed) -> None:
    assert (changed.second.changed, changed.second_writes) == (0, [])


def test_check_mode_predicts_it_and_writes_nothing(changed: Changed) -> None:
    assert changed.predicted.changed == changed.first.changed


def test_a_cordon_and_annotations_that_were_there_stay(changed: Changed) -> None:
    node = changed.after[CORDONED]
    assert mig.allocatable(node) == mig.SLICED
    assert node["spec"]["unschedulable"] is True
    assert {**FOREIGN, DO_NOT_DISRUPT: "true"}.items() <= node["metadata"]["annotations"].items()


def test_nothing_that_must_never_happen_has_happened(changed: Changed) -> None:
    assert len(invariants.relabels(changed.course.calls)) == 2
    assert list(invariants.violations(changed.course, USER, [{SERVING}, {CORDONED}])) == []
    assert invariants.left_behind(changed.before, changed.after) == []


@dataclass(frozen=True)
class AtOnce:
    """Two runs that began together on two nodes of which one may be out at a time."""

    runs: tuple[Run, Run]
    course: Course
    after: Mapping[str, Json]


@pytest.fixture(scope="module")
def at_once(nodes: Fleet, bed: Bed, api: Api, audit: AuditLog, tmp_path_factory: pytest.TempPathFactory) -> AtOnce:
    host = {PAIR: _host(bed, PAIR)}
    fleets = [Fleet(tmp_path_factory.mktemp("at-once"), host) for _ in range(2)]
    with mig.Watch(api, audit).open() as watch, ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda fleet: fleet.run(play(mig.change()), fails=None), fleets)
        course = watch.course()
    return AtOnce((first, second), course, {name: api.get(f"{mig.NODES}/{name}") for name in TWO})


def test_of_two_runs_at_once_each_node_is_changed_once(at_once: AtOnce) -> None:
    assert [mig.allocatable(node) for node in at_once.after.values()] == [mig.SLICED] * 2
    assert sorted(call.name for call in invariants.relabels(at_once.course.calls)) == list(TWO)
    assert {run.exit_code for run in at_once.runs} == {0}
    assert sum(run.changed for run in at_once.runs) == 1


def test_of_two_nodes_one_is_out_at_a_time(at_once: AtOnce) -> None:
    assert list(invariants.violations(at_once.course, USER, [TWO])) == []


#: What is wrong, by the pool that has it, and words of the one line that says so.
REFUSED: Mapping[str, tuple[Json, tuple[str, ...]]] = {
    "infeasible": ({"layout": {"3g.40gb": 2, "1g.10gb": 1}}, ("mig.layout", "2x3g.40gb;", "1x1g.10gb + 1x3g.40gb")),
    "unknown": ({"layout": {"1g.11gb": 1}}, ("mig.layout", "1g.11gb", "1g.10gb")),
    "other-gpu": ({"layout": {"1g.18gb": 1}}, ("mig.layout", "1g.18gb")),
    "wrong-product": ({}, ("wrong-product", "A100")),
    "bottlerocket": ({}, ("bottlerocket", "Bottlerocket", "settings")),
}


@dataclass(frozen=True)
class Refused:
    """One run over a host for each, and what it wrote."""

    run: Run
    written: list[str]

    def task(self, name: str) -> Task:
        (task,) = (task for task in self.run.tasks if task.host == name)
        return task


@pytest.fixture(scope="module")
def refused(nodes: Fleet, bed: Bed, api: Api, audit: AuditLog) -> Refused:
    mig.node(api, "wrong-product", knobs={"gpu-product": "NVIDIA-A100-SXM4-40GB"})
    mig.node(api, "bottlerocket")
    mig.up(api, ("wrong-product", "bottlerocket"))
    info = {"status": {"nodeInfo": {"osImage": "Bottlerocket OS 1.44.0 (aws-k8s-1.35-nvidia)"}}}
    api.patch(f"{mig.NODES}/bottlerocket/status", info)
    hosts = {name: mig.variables(bed, mig.pool(name, **wrong)) for name, (wrong, _) in REFUSED.items()}
    mark = audit.mark()
    run = replace(nodes, hosts=hosts).run(play(mig.change()), "--forks", "5", fails=True)
    return Refused(run, [f"{call.verb} {call.uri}" for call in writes(audit.calls(mark, USER))])


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_before_the_cordon(refused: Refused, name: str) -> None:
    task = refused.task(name)
    assert task.failed
    assert [word for word in REFUSED[name][1] if word not in task.result["msg"]] == [], task.result["msg"]
    assert invariants.ill_said(task.result) == []
    assert refused.written == []


def test_a_configuration_that_cannot_be_read_is_refused_before_the_cordon(
    nodes: Fleet, bed: Bed, api: Api, audit: AuditLog
) -> None:
    mig.node(api, "unreadable")
    mig.up(api, ("unreadable",))
    configuration = mig.CONFIGURATION
    former = api.get(configuration)["data"]
    api.patch(configuration, {"data": {"config.yaml": "version: v1\nmig-configs: [1, 2]\n"}})
    try:
        mark = audit.mark()
        fleet = replace(nodes, hosts={"unreadable": _host(bed, "unreadable")})
        failure = fleet.run(play(mig.change()), fails=True).failure
    finally:
        api.patch(configuration, {"data": former})
    assert "config.yaml" in failure.result["msg"]
    assert invariants.ill_said(failure.result) == []
    assert writes(audit.calls(mark, USER)) == []
