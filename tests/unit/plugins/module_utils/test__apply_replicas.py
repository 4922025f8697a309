# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The count of a workload changes hands without falling, and an autoscaler's count is never touched."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ApplyError
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.runs import (
    FIXED,
    LLAMA,
    QWEN,
    SCALER,
    add_hpa,
    converged,
    hpa_of,
    replicas,
    run,
)


def requests(api: FakeApi, ref: Ref = LLAMA) -> list[tuple[str, str, Any]]:
    """Writes of one workload: method, manager and the count that they carry."""
    path = api.cluster().path(ref)
    return [
        (call.method, call.query.get("fieldManager", ""), (call.body or {}).get("spec", {}).get("replicas"))
        for call in api.writes()
        if call.path == path
    ]


def watched(api: FakeApi, ref: Ref = LLAMA) -> list[int]:
    """Every count that a workload ever had, kept by looking after each request."""
    counts: list[int] = []
    request = api.request

    def look(*args: Any, **kwargs: Any) -> Any:
        answer = request(*args, **kwargs)
        if ref in api.objects:
            counts.append(replicas(api, ref))
        return answer

    api.request = look  # type: ignore[method-assign]
    return counts


def test_from_a_fixed_count_to_autoscaling_the_count_is_handed_over_first() -> None:
    api = converged(*FIXED)
    counts = watched(api)
    predicted = run(api, check=True)
    handed = run(api)
    assert predicted.fields == handed.fields == {str(LLAMA): ["spec.replicas (owner)"]}
    assert requests(api) == [("PATCH", "gpufleet-replicas", 5), ("PATCH", "gpufleet", None)]
    assert set(counts) == {5}
    api.calls.clear()
    assert run(api).actions == {} and api.writes() == []


def test_and_the_autoscaler_decides_from_there() -> None:
    api = converged(*FIXED)
    run(api)
    run(api, "keda")
    add_hpa(api, SCALER)
    api.scale(LLAMA, 3)
    api.calls.clear()
    assert run(api).actions == run(api, "keda").actions == {}
    assert replicas(api) == 3 and api.writes() == []


def test_from_autoscaling_to_a_fixed_count_the_scaler_goes_first() -> None:
    api = converged()
    api.scale(LLAMA, 6)
    counts = watched(api)
    predicted = run(api, "vllm", *FIXED, check=True)
    done = run(api, "vllm", *FIXED)
    expected = {str(SCALER): "delete", "TriggerAuthentication inference/llama-70b": "delete", str(LLAMA): "update"}
    assert predicted.actions == done.actions == expected
    assert [call.method for call in api.writes()] == ["DELETE", "DELETE", "PATCH"]
    assert set(counts) == {6, 5}
    assert run(api, "vllm", *FIXED).actions == run(api, "keda", *FIXED).actions == {}


@pytest.mark.parametrize("count", [5, 6, 0])
def test_there_and_back_and_on_to_another_count(count: int) -> None:
    api = converged(*FIXED)
    run(api)
    run(api, "keda")
    add_hpa(api, SCALER)
    api.scale(LLAMA, 6)
    run(api, "vllm", *FIXED)
    assert replicas(api) == 5
    run(api, "vllm", ("models[0].replicas", {"count": count}))
    assert replicas(api) == count


def test_an_autoscaled_count_is_never_forced() -> None:
    api = converged()
    api.add(hpa_of("qwen", "mine"))
    api.scale(QWEN, 8)
    result = run(api, "vllm", force=True)
    assert replicas(api, QWEN) == 8
    (finding,) = [finding for finding in result.findings if finding.id == "autoscaler"]
    assert (finding.object, finding.field) == (str(QWEN), "spec.replicas")


def test_a_foreign_scaler_on_a_fixed_count_takes_the_count_and_the_run_is_quiet_then() -> None:
    api = converged()
    api.add(hpa_of("qwen", "mine"))
    first = run(api)
    assert first.fields == {str(QWEN): ["spec.replicas (owner)"]}
    assert replicas(api, QWEN) == 5
    assert run(api).actions == {}


def test_a_count_set_by_a_person_is_a_conflict_and_yields_to_force() -> None:
    api = converged()
    api.scale(QWEN, 3, manager="kubectl")
    with pytest.raises(ApplyError, match="kubectl owns it with value 3, wanted is 5"):
        run(api)
    assert run(api, force=True).fields == {str(QWEN): ["spec.replicas"]}
    assert replicas(api, QWEN) == 5


def test_a_retired_autoscaler_does_not_open_the_door_to_other_conflicts() -> None:
    api = converged()
    api.scale(LLAMA, 6)
    api.edit(LLAMA, {"spec": {"progressDeadlineSeconds": 7}})
    with pytest.raises(ApplyError, match="progressDeadlineSeconds"):
        run(api, "vllm", *FIXED)
    assert api.writes() == []


def test_a_scaler_of_somebody_else_is_not_deleted() -> None:
    api = converged()
    api.edit(SCALER, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}}})
    result = run(api, "vllm", *FIXED)
    assert str(SCALER) not in result.actions and SCALER in api.objects
    assert "autoscaler" in {finding.id for finding in result.findings}


def test_a_scaler_that_does_not_go_stops_the_run_before_the_count_is_set() -> None:
    api = converged()
    api.scale(LLAMA, 6)
    api.on_delete = lambda ref: None
    with pytest.raises(ApplyError, match="is still there 45 s after its deletion. See whether the KEDA operator runs"):
        run(api, "vllm", *FIXED)
    assert replicas(api) == 6
    assert 45 <= sum(api.sleeps) <= 46
