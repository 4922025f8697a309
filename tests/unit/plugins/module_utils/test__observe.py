# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run reads of a cluster: all that it needs, each thing once."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._observe import Observed, observe
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ClusterError
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.build import COMPONENTS
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref, ref_of
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi, status
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.runs import (
    FIXED,
    INFERENCE,
    LLAMA,
    SCALER,
    Changes,
    converged,
    hpa_of,
    namespace,
)


def seen(api: FakeApi, component: str = "vllm", changes: Changes = ()) -> Observed:
    """What one component sees."""
    entry, parsed = COMPONENTS[component], fleet(*changes)
    wanted = [ref_of(obj) for obj in entry.build(parsed)]
    return observe(api.cluster(), entry, component, "east", wanted, entry.absent(parsed))


def test_an_empty_cluster() -> None:
    observed = seen(FakeApi())
    assert (observed.live, observed.scalers, observed.retired) == ({}, [], [])
    assert observed.missing_namespaces == {"inference"}


def test_objects_of_the_role_are_read_by_lists_alone() -> None:
    api = converged()
    observed = seen(api)
    assert set(observed.live) == {ref_of(obj) for obj in COMPONENTS["vllm"].build(fleet())}
    assert {call.path.rsplit("/", 1)[1] for call in api.calls if not call.is_list} <= {
        "v1", "v2", "v1alpha1", "qwen"
    }, "discovery, and a TriggerAuthentication that could be left of a fixed model"  # fmt: skip


def test_objects_of_others_with_our_names_are_read_one_by_one() -> None:
    api = FakeApi()
    api.add(namespace())
    foreign = api.add({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "qwen", "namespace": "inference"}})
    observed = seen(api)
    assert set(observed.live) == {INFERENCE, foreign}
    assert observed.missing_namespaces == frozenset()


def test_a_namespace_is_read_once_and_nothing_in_one_that_is_missing() -> None:
    api = FakeApi()
    seen(api)
    assert [call.path for call in api.calls].count("/api/v1/namespaces/inference") == 1
    assert not [call.path for call in api.calls if call.path.startswith("/api/v1/namespaces/inference/")]


def test_a_model_may_be_called_like_a_namespace_that_is_missing() -> None:
    api = FakeApi()
    api.add(namespace())
    changes: Changes = (("models[0].name", "other"), ("models[1].namespace", "other"))
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other", "namespace": "inference"}}
    ref = api.add(service)
    observed = seen(api, "vllm", changes)
    assert ref in observed.live and observed.missing_namespaces == {"other"}


def test_scalers_of_everybody_are_seen() -> None:
    api = converged()
    mine = api.add(hpa_of("qwen", "mine"))
    assert {ref_of(obj) for obj in seen(api).scalers} >= {mine, SCALER}


def test_what_shall_be_gone_is_retired_if_it_is_ours() -> None:
    api = converged()
    assert {str(ref_of(obj)) for obj in seen(api, "vllm", FIXED).retired} == {
        "ScaledObject inference/llama-70b",
        "TriggerAuthentication inference/llama-70b",
    }
    api.edit(SCALER, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}}})
    retired = [ref_of(obj).kind for obj in seen(api, "vllm", FIXED).retired]
    assert retired == ["TriggerAuthentication"]


def test_an_api_that_is_not_served_is_not_asked_for() -> None:
    api = FakeApi("keda.sh/v1alpha1", "karpenter.sh/v1")
    assert seen(api, "karpenter").live == {} and seen(api).scalers == []
    assert not [path for path in api.lists() if "keda" in path or "nodepools" in path]


def test_a_list_that_is_refused_is_named() -> None:
    api = converged()
    message = 'deployments.apps is forbidden: User "x" cannot list resource "deployments"'
    api.fail(lambda call: call.path == "/apis/apps/v1/deployments", status(403, message))
    with pytest.raises(ClusterError, match="Deployment list: deployments.apps is forbidden") as raised:
        seen(api)
    assert raised.value.findings[0].id == "missing-permission"


def test_live_objects_know_their_kind() -> None:
    live = seen(converged()).live[LLAMA]
    assert (live["apiVersion"], live["kind"]) == (LLAMA.api_version, LLAMA.kind)
    assert Ref("v1", "Namespace", "", "inference") == INFERENCE
