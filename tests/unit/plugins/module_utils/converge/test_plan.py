# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is and what the server would make of it to one change an object."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.converge.plan import (
    Action,
    Change,
    ansible_diff,
    decide,
    is_ours,
    orphan_finding,
    orphans,
    selector_of_role,
    summary,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref, ref_of


def deployment(image: str = "a", version: str = "1", **metadata: Any) -> dict[str, Any]:
    """A live object."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "m", "namespace": "n", "resourceVersion": version, **metadata},
        "spec": {"image": image, "replicas": 5},
    }


REF = ref_of(deployment())


@pytest.mark.parametrize(
    ("before", "after", "action", "fields"),
    [
        (None, deployment(), Action.CREATE, []),
        (deployment(), deployment(version="2"), Action.UNCHANGED, []),
        (deployment(), deployment("b"), Action.UPDATE, ["spec.image"]),
    ],
    ids=["create", "unchanged", "update"],
)
def test_decide(before: Any, after: Any, action: Action, fields: list[str]) -> None:
    change = decide(REF, before, after)
    assert (change.action, [entry.field for entry in change.fields]) == (action, fields)
    assert change.to_dict() == {
        "api_version": "apps/v1",
        "kind": "Deployment",
        "namespace": "n",
        "name": "m",
        "action": action.value,
        "diff": [entry.to_dict() for entry in change.fields],
    }


def test_a_hand_over_is_a_change_even_where_no_value_is() -> None:
    change = decide(REF, deployment(), deployment(), handed_over=True)
    assert change.action is Action.UPDATE
    assert [entry.to_dict() for entry in change.fields] == [
        {"field": "spec.replicas (owner)", "before": "gpufleet", "after": "autoscaler"}
    ]
    (shown,) = ansible_diff([change])
    assert (shown["before"]["replicas_owner"], shown["after"]["replicas_owner"]) == ("gpufleet", "autoscaler")


def test_a_diff_shows_what_changes_and_no_bookkeeping() -> None:
    created, deleted = decide(REF, None, deployment()), Change(REF, Action.DELETE, deployment(), None)
    same = decide(REF, deployment(), deployment())
    first, second = ansible_diff([created, same, deleted])
    assert first["before_header"] == first["after_header"] == "Deployment n/m"
    assert first["before"] == second["after"] == {}
    assert first["after"] == second["before"]
    assert "resourceVersion" not in first["after"]["metadata"]


@pytest.mark.parametrize(
    ("actions", "check", "line"),
    [
        ([], False, "0 unchanged"),
        ([Action.UNCHANGED] * 3, False, "3 unchanged"),
        ([Action.CREATE, Action.UNCHANGED], False, "1 created, 1 unchanged"),
        ([Action.CREATE, Action.UPDATE, Action.DELETE], True, "1 to be created, 1 to be updated, 1 to be deleted"),
    ],
)
def test_summaries(actions: list[Action], check: bool, line: str) -> None:
    assert summary(actions, check) == line


LABELS = {"app.kubernetes.io/managed-by": "gpufleet"}


@pytest.mark.parametrize(
    ("labels", "ours"),
    [(LABELS, True), ({"app.kubernetes.io/managed-by": "Helm"}, False), ({}, False), (None, False)],
)
def test_ours(labels: Any, ours: bool) -> None:
    assert is_ours({"metadata": {"labels": labels}}) is ours


def test_orphans_are_ours_unwanted_and_made_by_us_not_by_a_controller() -> None:
    wanted, left = deployment(), deployment(name="left")
    made = deployment(name="made", ownerReferences=[{"kind": "ScaledObject", "name": "x"}])
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    assert orphans([wanted, left, made, namespace], {ref_of(wanted)}) == [left]


@pytest.mark.parametrize(
    ("because", "message"),
    [
        ("", "is no longer declared"),
        ("a pod runs on it", "is no longer declared, and is kept because a pod runs on it"),
    ],
)
def test_orphans_are_told(because: str, message: str) -> None:
    finding = orphan_finding(Ref("karpenter.sh/v1", "NodePool", "", "old"), because)
    assert (finding.id, finding.object, finding.message) == ("orphan", "NodePool old", message)
    assert ("gpufleet_prune" in finding.fix) is (not because)


def test_the_selector_of_a_role() -> None:
    assert selector_of_role("east", "vllm") == (
        "app.kubernetes.io/managed-by=gpufleet,gpufleet.io/cluster=east,gpufleet.io/role=vllm"
    )
