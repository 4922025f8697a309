# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""scale.yml: planned, shown, approved, and then recorded where nothing has moved since; never a replica count."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pexpect
import pytest

from e2e import declaration, playbook
from e2e.fleet import Fleet
from e2e.observed import Json, path, until
from e2e.playbook import Run
from testbed.api import Api, resource_path
from testbed.audit import AuditLog, Call, writes
from testbed.bed import Bed

NAMESPACE, MODEL = declaration.NAMESPACE, declaration.MODEL
ANNOTATION = "gpufleet.io/override"
SCALED = path("ScaledObject", NAMESPACE, MODEL)
SCALER = resource_path("autoscaling/v2", "horizontalpodautoscalers", NAMESPACE, f"keda-hpa-{MODEL}")
EVENTS = resource_path("events.k8s.io/v1", "events", NAMESPACE)
_TYPED_WITHIN_S = 120
DECLARED, DECIDED = (1, 4), (2, 12)
OBJECT = ("ScaledObject", NAMESPACE, MODEL, "update")
END = (datetime.now(UTC) + timedelta(hours=12)).strftime("%Y-%m-%dT%H:%M:%SZ")
ASKED = {
    "gpufleet_scale_model": MODEL,
    # As a survey and -e hand them over.
    "gpufleet_scale_min": str(DECIDED[0]),
    "gpufleet_scale_max": str(DECIDED[1]),
    "gpufleet_scale_until": END,
    "gpufleet_scale_who": "ann",
    "gpufleet_scale_why": "launch day",
}
BACK = {
    "gpufleet_scale_model": MODEL, "gpufleet_scale_state": "absent", "gpufleet_scale_who": "bob",
    "gpufleet_scale_why": "over",
}  # fmt: skip


@pytest.fixture(scope="module")
def served(fleet: Fleet, api: Api) -> Fleet:
    """A model that is autoscaled on a node that is there; it loads in no time."""
    gpus = {"cpu": "96", "memory": "1024Gi", "pods": "110", "nvidia.com/gpu": "8"}
    labels = {"kubernetes.io/hostname": "gpu-0", "kubernetes.io/os": "linux", "example.com/gpu": "h100"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "gpu-0", "labels": labels}}
    api.create(resource_path("v1", "nodes"), {**node, "status": {"capacity": gpus, "allocatable": gpus}})
    pool = {"name": "static", "gpu": "h100-80gb", "gpus_per_node": 8, "node_selector": {"example.com/gpu": "h100"}}
    quick = {f"testbed.gpufleet.io/{stage}": "100ms" for stage in ("pull", "load", "compile", "warmup", "teardown")}
    template = {"template": {"metadata": {"annotations": quick}}}
    low, high = DECLARED
    model = declaration.model(
        pool="static", gpus=1, replicas={"min": low, "max": high}, overrides={"Deployment": {"spec": template}}
    )
    declared = fleet.having("gpufleet_pools", [pool]).having("gpufleet_models", [model])
    declared.site()
    return declared


@pytest.fixture(autouse=True)
def undecided(served: Fleet, api: Api) -> None:
    """Each test begins with the declared bounds."""
    if annotation(api) is not None:
        scale(served, BACK)


def scale(fleet: Fleet, answers: Json, *options: str, fails: bool = False, approval: str = "none") -> Run:
    """The playbook with the answers of a survey."""
    told = {"gpufleet_scale_approval": approval, **answers}
    return fleet.run("gpufleet.llm.scale", "-e", json.dumps(told), *options, fails=fails)


def annotation(api: Api) -> Any:
    text = api.get(SCALED)["metadata"].get("annotations", {}).get(ANNOTATION)
    return text and json.loads(text)


def bounds(api: Api, what: str = SCALER, keys: tuple[str, str] = ("minReplicas", "maxReplicas")) -> tuple[int, int]:
    spec = api.get(what)["spec"]
    return spec[keys[0]], spec[keys[1]]


def in_force(api: Api, wanted: tuple[int, int]) -> bool:
    return until(lambda: bounds(api) == wanted, 30, f"KEDA has carried {wanted} over")


def told(api: Api) -> list[Json]:
    """Events of ours on the ScaledObject, the oldest first."""
    ours = [event for event in api.list(EVENTS) if event.get("reportingController") == "gpufleet.io/scale"]
    return sorted(ours, key=lambda event: str(event["eventTime"]))


def plan_of(run: Run) -> Json:
    plan: Json = run.of("scale_override")[0].result["plan"]
    return plan


def counts_written(calls: list[Call]) -> list[Call]:
    """Writes to a count: that of the Deployment, or through its scale."""
    return [
        call
        for call in calls
        if call.is_write and (call.resource.endswith("/scale") or "replicas" in ((call.body or {}).get("spec") or {}))
    ]


def test_it_is_recorded_told_and_followed_and_a_second_run_writes_nothing(
    served: Fleet, api: Api, audit: AuditLog
) -> None:
    since = audit.mark()
    before = len(told(api))
    predicted = scale(served, ASKED, "--check")
    assert (predicted.moved, writes(audit.calls(since, "converge"))) == ({OBJECT}, [])
    assert "Plan: 2 to 12 replicas until" in predicted.output
    assert "The autoscaler then: 2 (up from 1)" in predicted.output
    assert "allows 12 replicas of 1 GPU, but static can hold 8 at most" in predicted.output
    done = scale(served, ASKED)
    assert done.moved == {OBJECT}
    assert annotation(api) == {"min": 2, "max": 12, "until": END, "who": "ann", "why": "launch day"}
    assert in_force(api, DECIDED)
    (event,) = told(api)[before:]
    assert event["note"] == f"1 to 4 replicas -> 2 to 12 replicas until {END}, by ann (launch day)"
    assert event["regarding"]["uid"] == api.get(SCALED)["metadata"]["uid"]
    made = {(call.verb, call.resource) for call in writes(audit.calls(since, "converge"))}
    assert made == {("patch", "keda.sh/scaledobjects"), ("create", "events.k8s.io/events")}
    assert counts_written(audit.calls(since, "converge")) == []
    since = audit.mark()
    again = scale(served, ASKED)
    assert (again.changed, writes(audit.calls(since, "converge"))) == (0, [])
    # What the plan said and what the role did are the same.
    (applied,) = (task.result for task in done.of("apply"))
    followed = [entry["field"] for each in applied["objects"] for entry in each["diff"]]
    assert [entry["field"] for entry in plan_of(done)["changes"]] == followed


def test_it_is_given_back_early(served: Fleet, api: Api, audit: AuditLog) -> None:
    scale(served, ASKED)
    in_force(api, DECIDED)
    since = audit.mark()
    scale(served, BACK)
    assert annotation(api) is None
    assert in_force(api, DECLARED)
    assert told(api)[-1]["note"] == "2 to 12 replicas -> the declared bounds, by bob (over)"
    assert counts_written(audit.calls(since, "converge")) == []
    assert scale(served, BACK).changed == 0


def test_an_artefact_is_approved_elsewhere_and_applied_by_another_job(served: Fleet, api: Api, audit: AuditLog) -> None:
    """As in an AWX workflow: the second job gets the plan as an extra variable, and nothing else."""
    since = audit.mark()
    first = scale(served, ASKED, approval="artefact")
    assert (first.changed, writes(audit.calls(since, "converge")), annotation(api)) == (0, [], None)
    (stats,) = (task.result for task in first.tasks if task.action == "ansible.builtin.set_stats")
    assert stats["ansible_stats"]["data"] == {"gpufleet_scale_plan": plan_of(first)}
    second = scale(served, {"gpufleet_scale_plan": plan_of(first)}, approval="prompt")
    assert (second.moved, annotation(api)["who"]) == ({OBJECT}, "ann")


def test_an_old_plan_is_refused(served: Fleet, api: Api, audit: AuditLog) -> None:
    plan = plan_of(scale(served, ASKED, "--check"))
    since = audit.mark()
    old = {"gpufleet_scale_plan": plan, "gpufleet_scale_plan_max_age": "1s"}
    until(lambda: datetime.now(UTC) > datetime.fromisoformat(plan["made_at"]) + timedelta(seconds=2), 5, "it is old")
    failure = scale(served, old, fails=True).failure.result["msg"]
    assert failure == (
        f"ScaledObject {NAMESPACE}/{MODEL} plan: was made at {plan['made_at']}, more than 1s ago. Plan again."
    )
    assert (writes(audit.calls(since, "converge")), annotation(api)) == ([], None)


def test_a_cluster_that_has_moved_on_is_refused(served: Fleet, api: Api, bed: Bed, audit: AuditLog) -> None:
    plan = plan_of(scale(served, ASKED, "--check"))
    scale(served, {**ASKED, "gpufleet_scale_max": "3", "gpufleet_scale_who": "bob"})
    since = audit.mark()
    refused = scale(served, {"gpufleet_scale_plan": plan}, fails=True).failure.result
    assert [finding["id"] for finding in refused["findings"]] == ["plan-outdated"]
    assert (
        "was made before the cluster moved on: minReplicaCount was 1 and is 2, maxReplicaCount was 4 and is 3"
        in (refused["msg"])
    )
    assert (writes(audit.calls(since, "converge")), annotation(api)["who"]) == ([], "bob")


def test_without_a_terminal_nobody_said_yes(served: Fleet, api: Api) -> None:
    run = scale(served, ASKED, approval="prompt", fails=True)
    assert run.failure.result["msg"].startswith("Nothing was written: the plan was not approved by the word yes")
    assert annotation(api) is None


@pytest.mark.parametrize(("word", "recorded"), [("yes", True), ("no", False)])
def test_a_person_at_a_terminal_decides(served: Fleet, api: Api, word: str, recorded: bool) -> None:
    answers = json.dumps({**ASKED, "gpufleet_scale_approval": "prompt"})
    command = playbook.command_of("gpufleet.llm.scale", served.inventory(), "-e", answers)
    results = served.folder / "typed.jsonl"
    environment = {**playbook.environment_of(served.folder), "E2E_RESULTS": str(results)}
    terminal = pexpect.spawn(
        command[0], command[1:], cwd=str(served.folder), env=environment, encoding="utf-8", timeout=_TYPED_WITHIN_S
    )
    terminal.expect_exact("Type yes to record it; anything else stops")
    terminal.sendline(word)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert (terminal.exitstatus == 0, annotation(api) is not None) == (recorded, recorded), terminal.before


def test_who_approves_is_one_of_three(served: Fleet) -> None:
    failure = scale(served, ASKED, approval="mail", fails=True).failure.result["msg"]
    assert failure == "gpufleet_scale_approval: must be one of prompt, artefact, none, got 'mail'"


def test_a_plan_is_for_one_cluster(served: Fleet) -> None:
    (host,) = served.hosts.values()
    run = Fleet(served.folder, {"a": host, "b": host}).run("gpufleet.llm.scale", fails=True)
    assert "2 clusters are meant (a, b), and a plan is for one. Run with: --limit a" in run.output
