# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run changes as many nodes as it may, each by its own decisions, under its Lease, and remembers between steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._mig import Driver
from ansible_collections.gpufleet.llm.plugins.module_utils._mig_task import Memory, task_of
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ApplyError, InvalidInput, PreflightError
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding, Severity, Verdict
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.parse import parse_fleet
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.change import (
    Decision,
    Evict,
    Finish,
    Options,
    Outcome,
    PatchNode,
    Pause,
    Phase,
    Target,
    View,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import status
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig_api import MigApi, budget, gpu_node, gpu_pod

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")

CLUSTER = {"name": "east", "provider": "kwok"}
POOL = {
    "name": "h100",
    "gpu": "h100-80gb",
    "gpus_per_node": 8,
    "node_selector": {"gpufleet.io/pool": "h100"},
    "mig": {"layout": {"1g.10gb": 7}},
}
PARAMS = {
    "pool": "h100",
    "selector": {},
    "max_unavailable": None,
    "on_failure": "rollback",
    "drain_timeout": "15m",
    "idle_timeout": "1m",
    "geometry_timeout": "40m",
    "allow_unmanaged": False,
    "allow_empty_dir": False,
    "timeout": "1h",
}
FENCED, CUT = "example.com/fenced", "example.com/cut"
LEASE = Ref("coordination.k8s.io/v1", "Lease", "gpufleet", "gpufleet-mig-h100")
FAILED = Finding("mig-held", Severity.ERROR, "stays cordoned", "Node a")


def course(view: View, target: Target, options: Options, now: datetime) -> Decision:
    """A short change: cordon, evict all pods, cut and uncordon in one write."""
    if view.node is None:
        return Decision(Phase.RELEASE, Finish(Outcome.GONE))
    labels = view.node["metadata"]["labels"]
    if CUT in labels:
        return Decision(Phase.PREFLIGHT, Finish(Outcome.UNCHANGED))
    if "bad" in labels and view.node["spec"].get("unschedulable"):
        finish = Finish(Outcome.HELD, (FAILED,))
        return Decision(Phase.HELD, PatchNode({"metadata": {"labels": {"held": "yes"}}}, "hold", finish))
    if not view.node["spec"].get("unschedulable"):
        return Decision(Phase.FENCE, PatchNode({"metadata": {}, "spec": {"unschedulable": True}}, "fence off"))
    if "slow" in labels:
        return Decision(Phase.WAIT, Pause(2, "mig-manager applies it"))
    if view.pods:
        return Decision(Phase.EVICT, Evict(view.pods))
    patch = {"metadata": {"labels": {CUT: "yes"}}, "spec": {"unschedulable": None}}
    return Decision(Phase.RELEASE, PatchNode(patch, "release", Finish(Outcome.CHANGED)))


def world(*nodes: dict[str, Any]) -> MigApi:
    """A server with these nodes, in whose pool every cordoned one has a record of ours."""
    api = MigApi()
    for node in nodes:
        api.add(node)
    return api


def driver(api: MigApi, memory: Memory | None = None, **params: Any) -> Driver:
    """A step of a run."""
    fleet = parse_fleet(CLUSTER, [POOL], None, None)
    task, _timeout = task_of({**PARAMS, **params}, fleet)
    return Driver(
        api.cluster(), fleet, task, memory or Memory(), lambda nodes: None, api.clock, lambda: observed.NOW, course
    )


def outcomes(run: Driver) -> dict[str, str | None]:
    """How nodes ended."""
    return {state.name: state.outcome and state.outcome.value for state in run.states}


def cordoned(api: MigApi) -> list[str]:
    """The nodes that are."""
    return [ref.name for ref, owned in api.objects.items() if owned.obj.get("spec", {}).get("unschedulable")]


def patches(api: MigApi) -> list[str]:
    """The nodes that were written, in order."""
    return [call.path.rpartition("/")[2] for call in api.writes() if call.method == "PATCH"]


def test_nodes_are_changed_in_turn_and_the_second_run_writes_nothing() -> None:
    api = world(gpu_node("a"), gpu_node("b"))
    for name in ("p", "q"):
        api.add(gpu_pod(name, "a"))
    run = driver(api)
    run.step(60)
    assert (run.verdict, outcomes(run), run.wrote) == (Verdict.READY, {"a": "changed", "b": "changed"}, True)
    assert patches(api) == ["a", "a", "b", "b"] and sorted(api.evictions) == ["p", "q"]
    assert [state.evicted for state in run.states] == [2, 0]
    assert api.objects[LEASE].obj["spec"]["holderIdentity"] == ""
    assert run.summary() == "pool h100: 2 changed"
    api.calls.clear()
    again = driver(api)
    again.step(60)
    assert (again.verdict, again.wrote, api.writes()) == (Verdict.READY, False, [])
    assert outcomes(again) == {"a": "unchanged", "b": "unchanged"}


def test_no_more_nodes_than_allowed_are_changed_at_once() -> None:
    api = world(*(gpu_node(name, slow="yes") for name in "abcd"))
    run = driver(api, max_unavailable=2)
    run.step(8)
    assert (run.verdict, cordoned(api)) == (Verdict.WAITING, ["a", "b"])
    assert run.progress == "pool h100: 0 of 4 nodes done, node a, wait: mig-manager applies it"


def test_a_node_that_others_cordoned_counts_and_is_changed_first() -> None:
    api = world(gpu_node("a"), gpu_node("b", cordoned=True, slow="yes"))
    run = driver(api)
    run.step(8)
    assert (outcomes(run), cordoned(api)) == ({"a": None, "b": None}, ["b"])
    assert "its turn: of at most 1 disrupted nodes of the pool there are 1 (b)" in run.states[0].waits_for


def test_only_chosen_nodes_are_changed_though_all_of_the_pool_count() -> None:
    api = world(gpu_node("a", cordoned=True), gpu_node("b", zone="x"))
    run = driver(api, selector={"zone": "x"})
    run.step(8)
    assert (outcomes(run), patches(api)) == ({"b": None}, [])


def test_a_budget_holds_one_node_back_and_not_the_other() -> None:
    api = world(gpu_node("a"), gpu_node("b"))
    api.add(gpu_pod("p", "a"))
    api.add(budget(0))
    run = driver(api, max_unavailable=2)
    run.step(8)
    assert outcomes(run) == {"a": None, "b": "changed"}
    assert run.progress.endswith("1 pods to be gone; PodDisruptionBudget inference/all allows no eviction now")
    assert api.evictions == [] and api.objects[LEASE].obj["spec"]["holderIdentity"] == run.memory.run


def test_after_a_failure_no_further_node_is_begun() -> None:
    api = world(gpu_node("a", bad="yes"), gpu_node("b"))
    run = driver(api, max_unavailable=2)
    run.step(60)
    assert outcomes(run)["a"] == "held"
    api = world(gpu_node("a", bad="yes"), gpu_node("b"), gpu_node("c"))
    run = driver(api)
    run.step(60)
    assert (run.verdict, outcomes(run), set(patches(api))) == (Verdict.BROKEN, {"a": "held"}, {"a"})
    assert run.summary() == "Node a: stays cordoned."


def test_a_node_that_goes_away_midway_is_done() -> None:
    api = world(gpu_node("a", slow="yes"))
    first = driver(api)
    first.step(4)
    del api.objects[Ref("v1", "Node", "", "a")]
    second = driver(api, Memory(**first.memory.to_dict()))
    second.step(4)
    assert (second.verdict, outcomes(second)) == (Verdict.READY, {"a": "gone"})


def test_another_run_has_the_pool() -> None:
    api = world(gpu_node("a", slow="yes"), gpu_node("b"))
    first, second = driver(api), driver(api, max_unavailable=2)
    first.step(4)
    second.step(4)
    assert (second.verdict, second.wrote, cordoned(api)) == (Verdict.WAITING, False, ["a"])
    assert f"waits for run {first.memory.run}, which holds Lease gpufleet/gpufleet-mig-h100" in second.progress


def test_what_speaks_against_it_is_said_before_the_first_write() -> None:
    api = world(gpu_node("a"))
    run = driver(api)

    def refuse(nodes: list[str]) -> None:
        raise PreflightError([Finding("missing-permission", Severity.ERROR, f"no for {nodes}")])

    run.check = refuse
    with pytest.raises(PreflightError, match="no for"):
        run.step(8)
    assert api.writes() == []


def test_the_last_step_gives_the_pool_free_and_so_does_an_error() -> None:
    api = world(gpu_node("a", slow="yes"))
    driver(api).step(4, last=True)
    assert api.objects[LEASE].obj["spec"]["holderIdentity"] == ""
    api = world(gpu_node("a"))
    run = driver(api)
    api.fail(lambda call: call.method == "PATCH", status(403, "admission webhook denied the request"))
    with pytest.raises(ApplyError):
        run.step(8)
    assert api.objects[LEASE].obj["spec"]["holderIdentity"] == ""


def test_a_step_goes_on_with_what_the_last_one_knew() -> None:
    api = world(gpu_node("a"), gpu_node("b", slow="yes"))
    first = driver(api)
    first.step(6)
    assert outcomes(first) == {"a": "changed", "b": None}
    second = driver(api, Memory(**first.memory.to_dict()))
    second.step(0)
    assert outcomes(second) == {"a": "changed", "b": None}
    assert [entry["before_header"] for entry in second.diff()] == ["Node a"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pool": "a100"}, "'a100' is no declared pool with mig. Name one of: h100."),
        ({"max_unavailable": 0}, "max_unavailable: must be a whole number, at least 1"),
        ({"timeout": "soon"}, "timeout: must be"),
        ({"selector": {"a b": "c"}}, "selector"),
    ],
)
def test_wrong_options_are_refused(changes: dict[str, Any], message: str) -> None:
    fleet = parse_fleet(CLUSTER, [POOL], None, None)
    with pytest.raises(InvalidInput, match=message):
        task_of({**PARAMS, **changes}, fleet)


def test_only_what_a_step_said_is_carried() -> None:
    with pytest.raises(InvalidInput, match="carried.x: is nothing that a step hands to the next. Leave carried out"):
        Memory.of({"x": 1})
