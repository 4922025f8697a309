# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of bounds is planned, and recorded only while everything is as it was when people looked at the plan."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._scale import Scaler
from ansible_collections.gpufleet.llm.plugins.module_utils.converge.plan import Change
from ansible_collections.gpufleet.llm.plugins.module_utils.converge.scale import Plan, Wish, parse_plan
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ApplyError
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.override import ANNOTATION, Override
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import VALID, fleet
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import Call, FakeApi, status
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import NOW
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.runs import SCALER, converged, run

HALF_AN_HOUR = 1800
BY_ANN = Override(4, 8, NOW + timedelta(hours=6), "ann", "launch day")
MODEL = fleet().models[0]
LAUNCH = Wish(MODEL, "ann", "launch day", BY_ANN)
BACK = Wish(MODEL, "bob", "over")


@pytest.fixture
def api() -> FakeApi:
    """Everything applied, with bounds 2 and 6, on a server that counts generations of the ScaledObject by hand."""
    api = converged()
    api.add(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": VALID["cluster"]["uid"]}}
    )
    metadata(api).update(uid="u-1", generation=1)
    return api


def metadata(api: FakeApi) -> dict[str, Any]:
    found: dict[str, Any] = api.objects[SCALER].obj["metadata"]
    return found


def recorded(api: FakeApi) -> Any:
    text = metadata(api).get("annotations", {}).get(ANNOTATION)
    return text and json.loads(text)


def scaler(api: FakeApi, now: datetime = NOW, **more: Any) -> Scaler:
    return Scaler(api.cluster(), fleet(), now=lambda: now, **more)


def carry_out(api: FakeApi, plan: Plan, now: datetime = NOW, check: bool = False) -> tuple[Change, list[Finding]]:
    """As a second job does, to which the plan came as JSON."""
    plan = parse_plan(json.loads(json.dumps(plan.to_dict())))
    second = scaler(api, now)
    fresh = second.plan(Wish(MODEL, plan.who, plan.why, plan.override))
    return second.carry_out(plan, fresh, HALF_AN_HOUR, check), second.findings


def events(api: FakeApi) -> list[dict[str, Any]]:
    return [owned.obj for ref, owned in api.objects.items() if ref.kind == "Event"]


def test_a_plan_says_what_follows_and_writes_nothing(api: FakeApi) -> None:
    plan = scaler(api).plan(LAUNCH)
    assert (plan.min, plan.max, plan.replicas, plan.changed) == (2, 6, 1, True)
    assert [(entry["field"], entry["before"], entry["after"]) for entry in plan.changes] == [
        ("spec.fallback.replicas", 2, 4),
        ("spec.maxReplicaCount", 6, 8),
        ("spec.minReplicaCount", 2, 4),
    ]
    assert api.writes() == []
    assert parse_plan(json.loads(json.dumps(plan.to_dict()))) == plan


def test_it_is_recorded_and_told_once_and_the_bounds_follow(api: FakeApi) -> None:
    plan = scaler(api).plan(LAUNCH)
    change, findings = carry_out(api, plan)
    assert [entry.field for entry in change.fields] == ["metadata.annotations"]
    assert recorded(api) == BY_ANN.to_dict()
    (event,) = events(api)
    assert event["note"] == ("2 to 6 replicas -> 4 to 8 replicas until 2026-11-24T18:10:00Z, by ann (launch day)")
    assert (event["reason"], event["regarding"]["uid"]) == ("OverrideRecorded", "u-1")
    owners = [
        key for key, paths in api.objects[SCALER].owners.items() if ("metadata", "annotations", ANNOTATION) in paths
    ]
    assert owners == [("gpufleet-scale", "Update", "")]
    followed = run(api, "keda").fields[str(SCALER)]
    assert followed == [entry["field"] for entry in plan.changes]
    api.calls.clear()
    again, _dummy = carry_out(api, scaler(api).plan(LAUNCH))
    assert (again.action.value, api.writes(), len(events(api))) == ("unchanged", [], 1)
    # Carried out twice, also long after.
    late, _dummy = carry_out(api, plan, NOW + timedelta(hours=2))
    assert (late.action.value, api.writes()) == ("unchanged", [])


def test_only_the_annotation_and_the_event_are_written(api: FakeApi) -> None:
    carry_out(api, scaler(api).plan(LAUNCH))
    patch, post = api.writes()
    assert (patch.method, set(patch.body), set(patch.body["metadata"])) == (
        "PATCH", {"metadata"}, {"resourceVersion", "annotations"},
    )  # fmt: skip
    assert set(patch.body["metadata"]["annotations"]) == {ANNOTATION}
    assert post.path == "/apis/events.k8s.io/v1/namespaces/inference/events"


def test_check_mode_predicts_it(api: FakeApi) -> None:
    change, _dummy = carry_out(api, scaler(api).plan(LAUNCH), check=True)
    assert (change.action.value, api.writes(), recorded(api)) == ("update", [], None)


def test_it_is_given_back_before_its_end(api: FakeApi) -> None:
    carry_out(api, scaler(api).plan(LAUNCH))
    run(api, "keda")
    plan = scaler(api).plan(BACK)
    assert {entry["field"]: entry["after"] for entry in plan.changes} == {
        "spec.fallback.replicas": 2, "spec.maxReplicaCount": 6, "spec.minReplicaCount": 2,
    }  # fmt: skip
    carry_out(api, plan)
    assert recorded(api) is None
    assert events(api)[-1]["note"] == "4 to 8 replicas -> the declared bounds, by bob (over)"
    api.calls.clear()
    again, _dummy = carry_out(api, scaler(api).plan(BACK))
    assert (again.action.value, api.writes()) == ("unchanged", [])


def test_one_that_cannot_be_read_can_be_given_back(api: FakeApi) -> None:
    api.edit(SCALER, {"metadata": {"annotations": {ANNOTATION: "nonsense"}}})
    assert scaler(api).plan(BACK).changed
    carry_out(api, scaler(api).plan(BACK))
    assert recorded(api) is None


@pytest.mark.parametrize(("minutes", "when"), [(31, "ago"), (-31, "from now")], ids=["old", "of the future"])
def test_an_old_plan_is_refused(api: FakeApi, minutes: int, when: str) -> None:
    plan = scaler(api).plan(LAUNCH)
    with pytest.raises(ApplyError) as refused:
        carry_out(api, plan, NOW + timedelta(minutes=minutes))
    assert refused.value.line() == (
        f"ScaledObject inference/llama-70b plan: was made at 2026-11-24T12:10:00Z, more than 30m {when}. Plan again."
    )
    assert api.writes() == []
    carry_out(api, plan, NOW + timedelta(minutes=30))


def _reborn(api: FakeApi) -> None:
    metadata(api)["uid"] = "u-2"


def _edited(api: FakeApi) -> None:
    metadata(api)["generation"] = 2


def _bounded(api: FakeApi) -> None:
    """By a run for another inventory."""
    run(api, "keda", ("models[0].replicas.max", 9))
    metadata(api)["generation"] = 2


def _decided(api: FakeApi) -> None:
    other = Override(1, 3, NOW + timedelta(hours=1), "bob", "maintenance")
    api.edit(SCALER, {"metadata": {"annotations": {ANNOTATION: other.text}}})


@pytest.mark.parametrize(
    ("move", "said"),
    [
        (_reborn, "the ScaledObject is another one (uid) was u-1 and is u-2"),
        (_edited, "the generation of its spec was 1 and is 2"),
        (_bounded, "maxReplicaCount was 6 and is 9, the generation of its spec was 1 and is 2"),
        (_decided, 'the recorded override was none and is {"min": 1, "max": 3, "until": "2026-11-24T13:10:00Z",'
                   ' "who": "bob", "why": "maintenance"}'),
    ],
    ids=["uid", "generation", "bounds", "override"],
)  # fmt: skip
def test_a_cluster_that_has_moved_on_is_left_alone(api: FakeApi, move: Any, said: str) -> None:
    plan = scaler(api).plan(LAUNCH)
    move(api)
    api.calls.clear()
    before = recorded(api)
    with pytest.raises(ApplyError) as refused:
        carry_out(api, plan)
    (finding,) = refused.value.findings
    assert (finding.id, finding.message) == ("plan-outdated", f"was made before the cluster moved on: {said}")
    assert (api.writes(), recorded(api)) == ([], before)


def test_another_declaration_than_the_one_approved_is_not_applied_with_it(api: FakeApi) -> None:
    plan = scaler(api).plan(LAUNCH)
    later = Scaler(api.cluster(), fleet(("models[0].scaling.concurrency", 20)), now=lambda: NOW)
    with pytest.raises(ApplyError, match="moved on: the role keda would change something else by now. Plan again."):
        later.carry_out(plan, later.plan(LAUNCH), HALF_AN_HOUR, check=False)
    assert api.writes() == []


def test_a_plan_for_another_cluster_is_refused(api: FakeApi) -> None:
    plan = replace(scaler(api).plan(LAUNCH), cluster_uid="other")
    with pytest.raises(ApplyError, match="plan: is for the cluster east .other., and this is 0d3ad9a8"):
        carry_out(api, plan)


def test_one_whose_end_has_passed_is_refused(api: FakeApi) -> None:
    soon = replace(BY_ANN, until=NOW + timedelta(minutes=5))
    plan = scaler(api).plan(replace(LAUNCH, override=soon))
    with pytest.raises(ApplyError, match="plan: ends at 2026-11-24T12:15:00Z, which has passed. Plan again."):
        carry_out(api, plan, NOW + timedelta(minutes=6))


def test_moving_replicas_are_no_reason(api: FakeApi) -> None:
    plan = scaler(api).plan(LAUNCH)
    api.scale(replace(SCALER, api_version="apps/v1", kind="Deployment"), 5)
    assert carry_out(api, plan)[0].action.value == "update"


def test_a_status_that_is_written_meanwhile_is_no_reason(api: FakeApi) -> None:
    plan = scaler(api).plan(LAUNCH)
    api.fail(lambda call: _touched(api, call), status(500, "never sent"))
    carry_out(api, plan)
    assert recorded(api) == BY_ANN.to_dict()


def _touched(api: FakeApi, call: Call) -> bool:
    """KEDA writes the status just before the patch arrives, once."""
    if call.method == "PATCH" and "dryRun" not in call.query and "status" not in api.objects[SCALER].obj:
        api.edit(SCALER, {"status": {"lastActiveTime": "now"}}, "keda")
        metadata(api)["resourceVersion"] = "1000"
    return False


def test_a_decision_that_is_made_meanwhile_is_a_reason(api: FakeApi) -> None:
    plan = scaler(api).plan(LAUNCH)

    def decided(call: Call) -> bool:
        if call.method == "PATCH" and "dryRun" not in call.query and recorded(api) is None:
            _decided(api)
            metadata(api)["resourceVersion"] = "1000"
        return False

    api.fail(decided, status(500, "never sent"))
    with pytest.raises(ApplyError, match="the object has been modified.* Nothing was written. Plan again."):
        carry_out(api, plan)
    assert recorded(api)["who"] == "bob"


def test_an_answer_that_got_lost_is_no_second_record(api: FakeApi) -> None:
    plan = scaler(api).plan(LAUNCH)

    def lost(call: Call) -> bool:
        if call.method == "PATCH" and "dryRun" not in call.query:
            api.edit(SCALER, {"metadata": {"annotations": {ANNOTATION: BY_ANN.text}}}, "gpufleet-scale")
            metadata(api)["resourceVersion"] = "1000"
            return True
        return False

    api.fail(lost, status(503, "away"))
    assert carry_out(api, plan)[0].action.value == "update"
    assert len(events(api)) == 1


def test_an_event_that_is_forbidden_stops_nothing(api: FakeApi) -> None:
    api.fail(lambda call: call.method == "POST", status(403, "no events today"))
    change, findings = carry_out(api, scaler(api).plan(LAUNCH))
    assert (change.action.value, recorded(api)) == ("update", BY_ANN.to_dict())
    (finding,) = (finding for finding in findings if finding.id == "not-written")
    assert finding.line() == (
        "ScaledObject inference/llama-70b: was changed, but no Event says so: no events today."
        " Grant create on events.events.k8s.io to the user of the run."
    )


def test_without_its_scaled_object_nothing_is_planned(api: FakeApi) -> None:
    del api.objects[SCALER]
    with pytest.raises(ApplyError, match="ScaledObject inference/llama-70b: does not exist. Run the role keda first."):
        scaler(api).plan(LAUNCH)


def test_more_than_the_pools_hold_is_told(api: FakeApi) -> None:
    first = scaler(api)
    first.plan(replace(LAUNCH, override=replace(BY_ANN, max=9)))
    assert [finding.id for finding in first.findings] == ["override", "override-beyond-pools"]
