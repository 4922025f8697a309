# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every call of a run is asked for once, and each denied one is a finding that names user, verb, resource and place."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.checks.permissions import (
    Access,
    Target,
    allows,
    needed,
    permission_findings,
)

DEPLOYMENTS = Target("apps", "deployments", "inference")
SERVICES = Target("", "services", "inference")
NODE_POOLS = Target("karpenter.sh", "nodepools", "")


def test_each_call_once() -> None:
    calls = needed(
        applied=[DEPLOYMENTS, SERVICES, DEPLOYMENTS],
        deleted=[SERVICES],
        read=[SERVICES],
        listed=[NODE_POOLS],
        explained=[],
    )
    assert sorted((call.verb, call.target.resource) for call in calls) == [
        ("create", "deployments"),
        ("create", "services"),
        ("delete", "services"),
        ("get", "deployments"),
        ("get", "services"),
        ("list", "nodepools"),
        ("patch", "deployments"),
        ("patch", "services"),
    ]


def test_what_is_needed_anyway_is_not_optional() -> None:
    calls = needed([], [], read=[SERVICES], listed=[SERVICES], explained=[SERVICES], looked_at=[SERVICES, NODE_POOLS])
    assert [(call.verb, call.target, call.optional) for call in calls] == [
        ("get", SERVICES, False),
        ("list", SERVICES, False),
        ("get", NODE_POOLS, True),
    ]


def test_helm_needs_its_records_in_each_namespace_and_the_cluster_once() -> None:
    calls = needed(applied=[], deleted=[], read=[], listed=[], explained=[], releases=["keda", "keda", "kube-system"])
    asked = [(call.verb, call.target.resource, call.target.namespace) for call in calls]
    assert len(asked) == len(set(asked))
    assert {place for verb, what, place in asked if (verb, what) == ("update", "secrets")} == {"keda", "kube-system"}
    assert {place for verb, what, place in asked if what == "clusterroles"} == {""}


def test_a_review_asks_for_all_that_decides() -> None:
    assert Access("patch", DEPLOYMENTS).attributes() == {
        "verb": "patch",
        "group": "apps",
        "resource": "deployments",
        "namespace": "inference",
    }


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ({"verbs": ["get", "patch"], "apiGroups": ["", "apps"], "resources": ["deployments"]}, True),
        ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, True),
        ({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments"]}, False),
        ({"verbs": ["patch"], "apiGroups": [""], "resources": ["deployments"]}, False),
        ({"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["deployments/scale"]}, False),
        ({"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["x"]}, False),
        ({"verbs": ["patch"]}, False),
    ],
)
def test_what_a_rule_allows(rule: dict[str, list[str]], allowed: bool) -> None:
    nothing = {"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["services"]}
    assert allows([nothing, rule], Access("patch", DEPLOYMENTS)) is allowed


def test_denied_calls_by_name() -> None:
    denied = [Access("patch", DEPLOYMENTS), Access("list", NODE_POOLS), Access("list", SERVICES, optional=True)]
    assert [(finding.severity.value, finding.message) for finding in permission_findings(denied, "ci")] == [
        ("error", "ci may not patch deployments.apps in namespace inference"),
        ("error", "ci may not list nodepools.karpenter.sh in the whole cluster"),
        ("warning", "ci may not list services in namespace inference"),
    ]
