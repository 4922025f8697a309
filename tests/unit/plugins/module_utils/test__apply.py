# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run writes what differs, after all of it was admitted, and nothing else; a check predicts it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ApplyError, ClusterError
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.build import COMPONENTS
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import ref_of
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import Call, FakeApi, status
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.runs import (
    INFERENCE,
    LLAMA,
    QWEN,
    SCALER,
    Run,
    converged,
    namespace,
    replicas,
    run,
)

#: The declaration that is changed here cuts no GPUs.
COMPONENT = pytest.mark.parametrize("component", [name for name in COMPONENTS if name != "mig"])


@COMPONENT
def test_everything_is_made_once_and_then_left_alone(component: str) -> None:
    api = converged()
    again = run(api, component)
    assert again.actions == {} and api.writes() == []
    assert {change.ref for change in again.changes} == {ref_of(obj) for obj in COMPONENTS[component].build(fleet())}


@COMPONENT
def test_a_run_that_changes_nothing_reads_each_kind_once(component: str) -> None:
    api = converged()
    run(api, component)
    scalers = {"/apis/keda.sh/v1alpha1/scaledobjects", "/apis/autoscaling/v2/horizontalpodautoscalers"}
    lists = Counter(api.lists())
    assert max(lists.values()) == 1
    kinds = [kind for kind in COMPONENTS[component].kinds if kind[0] in api.kinds]
    assert len(set(lists) - scalers) <= len(kinds)
    assert len(lists) <= len(kinds) + 2


@COMPONENT
@pytest.mark.parametrize("start", ["empty", "converged"])
def test_a_check_writes_nothing_and_predicts_what_a_run_does(component: str, start: str) -> None:
    changes: tuple[tuple[str, Any], ...] = ()
    api = FakeApi() if start == "empty" else converged()
    if start == "converged":
        changes = (
            ("pools[0].nodes.max", 3), ("models[0].replicas.max", 5), ("models[0].engine.memory", "32Gi"),
            ("models[1].replicas.count", 7),
        )  # fmt: skip
    elif component == "keda":
        run(api, "vllm")
    api.calls.clear()
    predicted = run(api, component, *changes, check=True)
    assert api.writes() == []
    done = run(api, component, *changes)
    assert predicted.actions == done.actions != {}
    assert predicted.fields == done.fields
    assert len(api.writes()) == len(done.actions)


def test_a_check_on_an_empty_cluster_needs_no_apis_and_no_targets() -> None:
    api = FakeApi("keda.sh/v1alpha1", "karpenter.sh/v1", "karpenter.kwok.sh/v1alpha1")
    predicted = run(api, "keda", check=True)
    assert set(predicted.actions.values()) == {"create"} and len(predicted.actions) == 2
    assert [finding.id for finding in predicted.findings] == ["scale-target-missing"]
    assert set(run(api, "karpenter", check=True).actions.values()) == {"create"}
    assert api.writes() == []


def test_namespaces_come_first_and_the_rest_is_admitted_once_they_exist() -> None:
    api = FakeApi()
    run(api)
    order = [(call.path.rsplit("/", 2)[1], "dryRun" in call.query) for call in api.calls if call.method == "PATCH"]
    assert order[0] == ("namespaces", True) and order[1] == ("namespaces", False)
    written = [entry[1] for entry in order[2:]]
    assert written == sorted(written, reverse=True), "every dry-run before the first write"
    assert len(order) == 2 + 2 * 8


@pytest.mark.parametrize("position", range(9))
def test_one_refused_of_ten_and_nothing_is_written(position: int) -> None:
    api = FakeApi()
    api.add(namespace())
    target = ref_of(COMPONENTS["vllm"].build(fleet())[position])
    if target.kind == "Namespace":
        return
    body = status(422, f'{target.kind} "{target.name}" is invalid: spec.x: Invalid value', causes=[{"field": "spec.x"}])
    path = api.cluster().path(target)
    api.fail(lambda call: call.path == path, status(404, "not found"), body)
    with pytest.raises(ApplyError, match=f"{target.kind} inference/{target.name} spec.x: .* is invalid") as raised:
        run(api)
    assert api.writes() == []
    assert [finding.id for finding in raised.value.findings] == ["rejected"]


def test_a_refusal_in_a_namespace_that_was_just_made_says_what_was_written() -> None:
    api = FakeApi()
    api.fail(lambda call: call.method == "PATCH" and call.path.endswith("deployments/qwen"), status(422, "is invalid"))
    with pytest.raises(ApplyError, match="is invalid") as raised:
        run(api)
    assert [call.path for call in api.writes()] == ["/api/v1/namespaces/inference"]
    assert [(finding.id, finding.object) for finding in raised.value.findings[1:]] == [
        ("not-written", "Namespace inference")
    ]


def test_all_refusals_are_told() -> None:
    api = FakeApi()
    api.add(namespace())
    api.fail(lambda call: call.method == "PATCH", *[status(422, "is invalid")] * 8)
    with pytest.raises(ApplyError) as raised:
        run(api)
    assert len(raised.value.findings) == 8 and raised.value.line().endswith("(7 more in findings)")


@pytest.mark.parametrize("code", [403, 409, 422, 500])
def test_a_write_that_fails_after_its_dry_run_says_what_stays(code: int) -> None:
    api = converged()
    answers = [status(code, "changed its mind")] * (3 if code == 500 else 1)
    api.fail(lambda call: call.method == "PATCH" and "dryRun" not in call.query, *answers)
    with pytest.raises(ApplyError, match="changed its mind. What was written before it stays") as raised:
        run(api, "vllm", ("models[0].engine.memory", "32Gi"))
    assert raised.value.findings[0].id == "not-written"
    assert run(api, "vllm", ("models[0].engine.memory", "32Gi")).actions == {str(LLAMA): "update"}


@pytest.mark.parametrize(
    ("component", "missing", "names"),
    [
        ("keda", "keda.sh/v1alpha1", "keda.sh/v1alpha1"),
        ("karpenter", "karpenter.sh/v1", "karpenter.sh/v1"),
    ],
)
def test_an_api_that_is_not_there_stops_before_the_first_write(component: str, missing: str, names: str) -> None:
    api = FakeApi(missing)
    with pytest.raises(ClusterError, match=f"the cluster does not serve {names}"):
        run(api, component)
    assert api.writes() == []


def test_models_of_a_fixed_count_need_no_keda() -> None:
    api = FakeApi("keda.sh/v1alpha1", "autoscaling/v2")
    assert run(api, "vllm", ("models[0].replicas", {"count": 2})).actions


def test_scaling_waits_for_its_target() -> None:
    api = FakeApi()
    api.add(namespace())
    with pytest.raises(ApplyError, match="Deployment inference/llama-70b: does not exist. Run the role vllm first."):
        run(api, "keda")
    assert api.writes() == []


def test_a_namespace_of_others_stays_as_it_is() -> None:
    api = FakeApi()
    api.add(namespace())
    before = api.objects[INFERENCE]
    first = run(api)
    assert str(INFERENCE) not in first.actions and api.objects[INFERENCE] == before
    assert run(api).actions == {}


def test_two_roles_may_share_a_namespace() -> None:
    api = FakeApi()
    changes = (("models[0].namespace", "gpufleet"),)
    run(api, "karpenter", *changes)
    run(api, "vllm", *changes)
    assert run(api, "karpenter", *changes).actions == run(api, "vllm", *changes).actions == {}


@pytest.mark.parametrize(
    ("component", "change", "moved"),
    [
        (
            "karpenter",
            ("pools[0].nodes.max", 3),
            {"NodePool h100": ["spec.limits.nodes", "spec.limits.nvidia.com/gpu"]},
        ),
        ("karpenter", ("pools[0].nodes.warm.count", 2), {"Deployment gpufleet/warm-h100": ["spec.replicas"]}),
        ("karpenter", ("pools[0].ready_gate", None), {"NodePool h100": ["spec.template.spec.startupTaints"]}),
        ("keda", ("models[0].replicas.max", 5), {str(SCALER): ["spec.maxReplicaCount"]}),
        ("keda", ("models[0].scaling.concurrency", 9), {str(SCALER): ["spec.triggers[0].metadata.threshold"]}),
        ("vllm", ("models[1].replicas.count", 6), {str(QWEN): ["spec.replicas"]}),
        ("vllm", ("models[0].replicas.max", 5), {}),
        ("keda", ("pools[0].nodes.max", 3), {}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_one_value_moves_its_own_fields(component: str, change: tuple[str, Any], moved: dict[str, list[str]]) -> None:
    assert run(converged(), component, change).fields == moved


def edited(value: int) -> FakeApi:
    """A converged server on which a person changed a field of ours."""
    api = converged()
    api.edit(SCALER, {"spec": {"maxReplicaCount": value}})
    return api


def test_a_field_of_another_is_a_conflict_with_both_values() -> None:
    api = edited(9)
    with pytest.raises(ApplyError) as raised:
        run(api, "keda")
    assert raised.value.line() == (
        "ScaledObject inference/llama-70b spec.maxReplicaCount: kubectl-edit owns it with value 9, wanted is 6. "
        "Declare the live value, or take the field over with gpufleet_force_conflicts=true."
    )
    assert api.writes() == []


def test_declaring_the_live_value_ends_a_conflict() -> None:
    assert run(edited(5), "keda", ("models[0].replicas.max", 5)).actions == {}


def test_a_field_is_taken_over_on_demand() -> None:
    api = edited(9)
    forced = run(api, "keda", force=True)
    assert forced.fields == {str(SCALER): ["spec.maxReplicaCount"]}
    assert run(api, "keda").actions == {}


def test_force_is_used_where_there_is_a_conflict_and_nowhere_else() -> None:
    api = edited(9)
    run(api, "keda", ("models[0].scaling.concurrency", 9), force=True)
    run(api, "vllm", ("models[0].engine.memory", "32Gi"), force=True)
    assert [call.path.rsplit("/", 1)[0].rsplit("/")[-1] for call in api.writes() if call.query["force"] == "true"] == [
        "scaledobjects"
    ]


def test_a_check_with_force_predicts_the_takeover() -> None:
    api = edited(9)
    assert run(api, "keda", check=True, force=True).fields == {str(SCALER): ["spec.maxReplicaCount"]}
    assert api.writes() == []


def test_a_foreign_workload_of_the_same_values_is_adopted_without_an_outage() -> None:
    api = FakeApi()
    api.add(namespace())
    for obj in COMPONENTS["vllm"].build(fleet()):
        bare = {key: value for key, value in obj.items() if key != "metadata"}
        meta = {key: value for key, value in obj["metadata"].items() if key != "labels"}
        api.add({**bare, "metadata": meta}, "helm")
    adopted: Run = run(api)
    assert {entry for fields in adopted.fields.values() for entry in fields} == {"metadata.labels"}
    assert replicas(api, QWEN) == 5
    assert run(api).actions == {}


def test_throttling_is_waited_for() -> None:
    api = converged()
    api.fail(lambda call: call.method == "PATCH", *[status(429, "slow down")] * 3)
    assert run(api).actions == {}
    assert api.sleeps and max(api.sleeps) <= 2


def test_a_lost_permission_is_told_before_the_first_write() -> None:
    api = converged()
    message = 'deployments.apps "qwen" is forbidden: User "x" cannot patch resource "deployments" in API group "apps"'

    def matches(call: Call) -> bool:
        return call.method == "PATCH" and call.path.endswith("/qwen") and "deployments" in call.path

    api.fail(matches, status(403, message))
    with pytest.raises(ApplyError) as raised:
        run(api, "vllm", ("models[0].engine.memory", "32Gi"))
    assert raised.value.findings[0].id == "missing-permission"
    assert api.writes() == []
