# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is no longer declared is told, and deleted only on demand and only where nothing runs on it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._observe import gpu_pods_on_pool
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ApplyError
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi, status
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.runs import (
    INFERENCE,
    LLAMA,
    POOL,
    SCALER,
    add_hpa,
    converged,
    gpu_pod,
    node,
    run,
)

NO_MODELS = (("models", []),)
NO_POOLS = (("pools", []), ("models", []))
WITH_CLASS = ("pools[0].node_class", None)


def test_orphans_are_told_and_left() -> None:
    api = converged()
    result = run(api, "vllm", *NO_MODELS)
    assert result.actions == {} and api.writes() == []
    assert {finding.object for finding in result.findings} == {
        f"{kind} inference/{name}"
        for name in ("llama-70b", "qwen")
        for kind in ("Deployment", "Service", "ServiceAccount", "PodDisruptionBudget")
    }
    assert {finding.id for finding in result.findings} == {"orphan"}


def test_orphans_are_deleted_on_demand_and_namespaces_never() -> None:
    api = converged()
    predicted = run(api, "vllm", *NO_MODELS, check=True, prune=True)
    assert api.writes() == []
    done = run(api, "vllm", *NO_MODELS, prune=True)
    assert predicted.actions == done.actions and set(done.actions.values()) == {"delete"} and len(done.actions) == 8
    assert LLAMA not in api.objects and INFERENCE in api.objects and SCALER in api.objects


def test_objects_of_other_roles_clusters_and_people_are_no_orphans() -> None:
    api = converged()
    mine = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "mine", "namespace": "inference"}}
    other = {"app.kubernetes.io/managed-by": "gpufleet", "gpufleet.io/cluster": "west", "gpufleet.io/role": "vllm"}
    api.add(mine)
    api.add({**mine, "metadata": {"name": "west", "namespace": "inference", "labels": other}})
    result = run(api, "vllm", prune=True)
    assert result.actions == {} and result.findings == []


def test_what_keda_makes_is_no_orphan() -> None:
    api = converged()
    assert add_hpa(api, SCALER) in api.objects
    assert run(api, "keda", prune=True).actions == {}


def pool_with(*pods: dict[str, Any]) -> FakeApi:
    """A server with a pool, one node of it, and pods there."""
    api = converged(WITH_CLASS)
    api.add(node("n1", "h100"))
    for pod in pods:
        api.add(pod)
    return api


def test_a_pool_in_use_stays_and_so_does_its_node_class() -> None:
    api = pool_with(gpu_pod("llama-1", "n1"), gpu_pod("llama-2", "n1"))
    result = run(api, "karpenter", *NO_POOLS, prune=True)
    assert POOL in api.objects and Ref("karpenter.kwok.sh/v1alpha1", "KWOKNodeClass", "", "h100") in api.objects
    kept = {finding.object: finding.message for finding in result.findings}
    assert "2 GPU pods run on it: inference/llama-1, inference/llama-2" in kept["NodePool h100"]
    assert "its NodePool is" in kept["KWOKNodeClass h100"]


def test_an_empty_pool_goes_before_its_node_class() -> None:
    api = pool_with()
    result = run(api, "karpenter", *NO_POOLS, prune=True)
    kinds = [call.path.split("/")[-2] for call in api.writes()]
    assert kinds == ["deployments", "nodepools", "kwoknodeclasses", "priorityclasses"]
    assert result.findings == [] and POOL not in api.objects


@pytest.mark.parametrize(
    ("pod", "in_use"),
    [
        (gpu_pod("a", "n1"), True),
        (gpu_pod("a", "n1", "nvidia.com/mig-1g.10gb"), True),
        (gpu_pod("a", "n1", "cpu"), False),
        (gpu_pod("a", "n2"), False),
        (gpu_pod("a", "n1", labels={"app.kubernetes.io/name": "warm"}), False),
        (gpu_pod("a", "n1", status={"phase": "Succeeded"}), False),
        (gpu_pod("a", "n1", status={"phase": "Failed"}), False),
        (gpu_pod("a", "n1", status={"phase": "Running"}), True),
    ],
    ids=["GPU", "MIG", "no GPU", "elsewhere", "placeholder", "succeeded", "failed", "running"],
)
def test_pods_that_hold_a_pool(pod: dict[str, Any], in_use: bool) -> None:
    assert bool(gpu_pods_on_pool(pool_with(pod).cluster(), "h100")) is in_use


@pytest.mark.parametrize("warm", [None, {"count": 0}])
def test_nodes_that_need_not_be_warm_any_more_are_let_go_without_prune(warm: Any) -> None:
    api = converged()
    result = run(api, "karpenter", ("pools[0].nodes.warm", warm))
    assert result.actions == {"Deployment gpufleet/warm-h100": "delete"}
    assert [finding.object for finding in result.findings] == ["PriorityClass gpufleet-warm"]
    assert run(api, "karpenter", ("pools[0].nodes.warm", warm)).actions == {}


def test_nothing_is_written_when_one_deletion_is_refused() -> None:
    api = converged()
    message = 'services "qwen" is forbidden: User "x" cannot delete resource "services" in API group ""'
    api.fail(lambda call: call.method == "DELETE" and call.path.endswith("/qwen"), status(403, message))
    with pytest.raises(ApplyError) as raised:
        run(api, "vllm", *NO_MODELS, prune=True)
    assert raised.value.findings[0].id == "missing-permission"
    assert api.writes() == []


def test_what_is_gone_already_is_deleted() -> None:
    api = converged()
    api.fail(lambda call: call.method == "DELETE", *[status(404, "not found")] * 16)
    assert len(run(api, "vllm", *NO_MODELS, prune=True).actions) == 8
