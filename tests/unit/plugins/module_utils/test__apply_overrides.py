# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recorded decision of a person holds until it ends; then the declaration does, and what was written is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.converge.plan import ansible_diff
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ApplyError
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding, Severity
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.override import ANNOTATION, Override
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import Call, FakeApi, status
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import NOW
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.runs import FIXED, SCALER, Run, converged, run

TODAY = NOW + timedelta(hours=6)
YESTERDAY = NOW - timedelta(hours=18)
BOUNDS = ["spec.fallback.replicas", "spec.maxReplicaCount", "spec.minReplicaCount"]
OURS = ("gpufleet", "Apply", "")


def decide(api: FakeApi, override: Override | str, manager: str = "kubectl-annotate") -> None:
    """What a person does, or scale.yml."""
    annotations = {ANNOTATION: override} if isinstance(override, str) else {ANNOTATION: override.text}
    api.edit(SCALER, {"metadata": {"annotations": annotations}}, manager)


def by_ann(low: int = 5, high: int = 8, until: Any = TODAY) -> Override:
    return Override(low, high, until, "ann", "launch day")


def bounds(api: FakeApi) -> tuple[int, int, int]:
    """Minimum, maximum and fallback."""
    spec = api.objects[SCALER].obj["spec"]
    return spec["minReplicaCount"], spec["maxReplicaCount"], spec["fallback"]["replicas"]


def annotation(api: FakeApi) -> Any:
    return api.objects[SCALER].obj["metadata"].get("annotations", {}).get(ANNOTATION)


def told(done: Run, *ids: str) -> list[Finding]:
    return [finding for finding in done.findings if finding.id in ids]


@pytest.fixture
def api() -> FakeApi:
    """Everything applied, with bounds 2 and 6, and a fallback of 2."""
    return converged()


def test_it_holds_and_is_named_and_a_second_run_writes_nothing(api: FakeApi) -> None:
    decide(api, by_ann())
    predicted = run(api, "keda", check=True)
    assert bounds(api) == (2, 6, 2)
    done = run(api, "keda")
    assert bounds(api) == (5, 8, 5)
    assert done.fields == predicted.fields == {str(SCALER): BOUNDS}
    (shown,) = ansible_diff(done.changes)
    assert shown["after_header"] == f"{SCALER}, {by_ann()}"
    api.calls.clear()
    again = run(api, "keda")
    assert (again.actions, api.writes(), annotation(api)) == ({}, [], by_ann().text)
    for each in (predicted, done, again):
        (finding,) = told(each, "override")
        assert (finding.severity, finding.object, finding.message) == (Severity.INFO, str(SCALER), str(by_ann()))


@pytest.mark.parametrize("manager", ["kubectl-annotate", "gpufleet-scale", "gpufleet"])
def test_after_its_end_the_declaration_holds_again(api: FakeApi, manager: str) -> None:
    decide(api, by_ann(), manager)
    run(api, "keda")
    decide(api, by_ann(until=YESTERDAY), manager)
    predicted = run(api, "keda", check=True)
    assert bounds(api) == (5, 8, 5)
    done = run(api, "keda")
    assert (bounds(api), annotation(api)) == ((2, 6, 2), None)
    assert done.fields == predicted.fields == {str(SCALER): [f"metadata.annotations.{ANNOTATION}", *BOUNDS]}
    (finding,) = told(done, "override", "override-ended")
    assert (finding.id, finding.severity) == ("override-ended", Severity.INFO)
    assert finding.message == f"has ended: {by_ann(until=YESTERDAY)}"
    api.calls.clear()
    again = run(api, "keda")
    assert (again.actions, api.writes(), told(again, "override-ended")) == ({}, [], [])


def test_an_end_that_changes_no_bounds_still_removes_the_annotation(api: FakeApi) -> None:
    decide(api, by_ann(until=YESTERDAY))
    assert run(api, "keda").fields == {str(SCALER): [f"metadata.annotations.{ANNOTATION}"]}
    assert annotation(api) is None


def test_other_annotations_stay(api: FakeApi) -> None:
    api.edit(SCALER, {"metadata": {"annotations": {"example.com/team": "a"}}})
    decide(api, by_ann(until=YESTERDAY))
    done = run(api, "keda")
    assert done.fields == {str(SCALER): [f"metadata.annotations.{ANNOTATION}"]}
    assert api.objects[SCALER].obj["metadata"]["annotations"] == {"example.com/team": "a"}


@pytest.mark.parametrize(
    ("declared", "low", "high", "applied"),
    [(None, 4, 9, 4), (3, 4, 9, 4), (3, 1, 2, 2), (3, 1, 9, 3)],
    ids=["none follows the minimum", "raised", "lowered", "within"],
)
def test_the_fallback_stays_within_the_bounds(declared: Any, low: int, high: int, applied: int) -> None:
    change = (("models[0].scaling.fallback.replicas", declared),)
    api = converged(*change)
    decide(api, by_ann(low, high))
    run(api, "keda", *change)
    assert bounds(api) == (low, high, applied)


def test_it_also_stands_in_for_bounds_in_overrides() -> None:
    change = (("models[0].overrides", {"ScaledObject": {"spec": {"maxReplicaCount": 20, "pollingInterval": 15}}}),)
    api = converged(*change)
    decide(api, by_ann())
    run(api, "keda", *change)
    assert bounds(api)[:2] == (5, 8)
    assert api.objects[SCALER].obj["spec"]["pollingInterval"] == 15
    decide(api, by_ann(until=YESTERDAY))
    run(api, "keda", *change)
    assert bounds(api)[:2] == (2, 20)


def test_one_that_cannot_be_read_is_told_and_stays(api: FakeApi) -> None:
    decide(api, '{"min": 5, "max": 8}')
    done = run(api, "keda")
    assert (done.actions, bounds(api)[:2], annotation(api)) == ({}, (2, 6), '{"min": 5, "max": 8}')
    found = told(done, "override-invalid")
    assert {(finding.severity, finding.object) for finding in found} == {(Severity.WARNING, str(SCALER))}
    assert [finding.field.rpartition(".")[2] for finding in found] == ["until", "who", "why"]


def test_bounds_that_the_person_wrote_too_are_given_back(api: FakeApi) -> None:
    """Also those in the spec: they are what the annotation records."""
    api.edit(SCALER, {"spec": {"minReplicaCount": 5, "maxReplicaCount": 8}})
    decide(api, by_ann())
    run(api, "keda")
    decide(api, by_ann(until=YESTERDAY))
    run(api, "keda")
    assert bounds(api)[:2] == (2, 6)
    assert [key for key, paths in api.objects[SCALER].owners.items() if ("spec", "maxReplicaCount") in paths] == [OURS]


@pytest.mark.parametrize("until", [TODAY, YESTERDAY], ids=["active", "ended"])
def test_a_bound_that_nobody_recorded_is_a_conflict(api: FakeApi, until: Any) -> None:
    decide(api, by_ann(until=until))
    api.edit(SCALER, {"spec": {"maxReplicaCount": 11}})
    with pytest.raises(ApplyError, match="spec.maxReplicaCount: kubectl-edit owns it with value 11"):
        run(api, "keda")
    assert (api.writes()[-1:], bounds(api)[1], annotation(api) is None) == ([], 11, False)


def test_a_new_one_that_comes_in_between_is_not_lost(api: FakeApi) -> None:
    decide(api, by_ann(until=YESTERDAY))
    api.fail(lambda call: _meanwhile(api, call), status(500, "never sent"))
    with pytest.raises(ApplyError, match="got a new override while the run took off one that had ended. Run again"):
        run(api, "keda")
    assert annotation(api) == by_ann(3, 4).text
    run(api, "keda")
    assert bounds(api)[:2] == (3, 4)


def _meanwhile(api: FakeApi, call: Call) -> bool:
    """Decides anew just before the removal arrives."""
    if isinstance(call.body, list):
        decide(api, by_ann(3, 4))
    return False


def test_a_run_that_ends_before_the_removal_is_finished_by_the_next(api: FakeApi) -> None:
    decide(api, by_ann(until=YESTERDAY))
    api.fail(lambda call: isinstance(call.body, list), status(403, "not now"))
    with pytest.raises(ApplyError, match="not now"):
        run(api, "keda")
    assert (bounds(api)[:2], annotation(api) is None) == ((2, 6), False)
    run(api, "keda")
    assert (bounds(api)[:2], annotation(api)) == ((2, 6), None)


def test_a_removal_whose_answer_got_lost_is_repeated(api: FakeApi) -> None:
    decide(api, by_ann(until=YESTERDAY))
    api.fail(lambda call: isinstance(call.body, list) and _gone(api), status(503, "its answer got lost"))
    run(api, "keda")
    assert annotation(api) is None


def _gone(api: FakeApi) -> bool:
    """Does what the removal asks for."""
    api.objects[SCALER] = api.objects[SCALER].without(("metadata", "annotations", ANNOTATION))
    return True


def test_a_removal_that_is_refused_says_why(api: FakeApi) -> None:
    decide(api, by_ann(until=YESTERDAY))
    api.fail(lambda call: isinstance(call.body, list), status(403, "no annotations today"))
    with pytest.raises(ApplyError, match="no annotations today"):
        run(api, "keda")
    assert annotation(api)


def test_a_pause_is_named_by_every_run_and_never_undone(api: FakeApi) -> None:
    paused = {"autoscaling.keda.sh/paused-replicas": "3"}
    api.edit(SCALER, {"metadata": {"annotations": paused}})
    done = run(api, "keda", ("models[0].replicas.max", 7))
    (finding,) = told(done, "paused")
    assert (finding.severity, "paused-replicas" in finding.message) == (Severity.WARNING, True)
    assert api.objects[SCALER].obj["metadata"]["annotations"] == paused


@pytest.mark.parametrize("check", [False, True])
def test_what_goes_with_a_deleted_autoscaler_is_told(api: FakeApi, check: bool) -> None:
    decide(api, by_ann())
    api.edit(SCALER, {"metadata": {"annotations": {"autoscaling.keda.sh/paused": "true"}}})
    found = told(run(api, "vllm", *FIXED, check=check), "decision-dropped")
    assert [finding.message for finding in found] == [
        f"is deleted, and with it: {by_ann()}",
        "is deleted, and with it: is paused by autoscaling.keda.sh/paused",
    ]


def test_one_that_ended_is_not_missed_with_its_autoscaler(api: FakeApi) -> None:
    decide(api, by_ann(until=YESTERDAY))
    assert told(run(api, "vllm", *FIXED), "decision-dropped") == []


def test_what_cannot_work_is_refused_before_anything_is_written(api: FakeApi) -> None:
    slow = {"ScaledObject": {"spec": {"triggers": [{"type": "prometheus", "metadata": {
        "serverAddress": "http://p", "query": "max(vllm:kv_cache_usage_perc)", "threshold": "0.5"}}]}}}  # fmt: skip
    change = (("models[0].overrides", slow), ("models[0].replicas", {"min": 1, "max": 2}))
    decide(api, by_ann(2, 8))
    for check in (True, False):
        with pytest.raises(ApplyError, match="1 / 0.5 asks for 2 replicas at most.*maxReplicaCount is 8"):
            run(api, "keda", *change, check=check)
    assert api.writes() == []
