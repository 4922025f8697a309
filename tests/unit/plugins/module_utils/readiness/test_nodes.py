# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Karpenter delivers, and why not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding, Severity
from ansible_collections.gpufleet.llm.plugins.module_utils.readiness.nodes import (
    capacity_reasons,
    node_claim,
    node_pool,
    unbought,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.readiness.pods import pod_reasons
from ansible_collections.gpufleet.llm.plugins.module_utils.readiness.state import by_likelihood, condition
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import NOW, conditions

READY = ("Ready", "True", "Ready", "")
LAUNCHED, REGISTERED = ("Launched", "True", "", ""), ("Registered", "True", "", "")
NO_GPU = (
    "Initialized",
    "Unknown",
    "ResourceNotRegistered",
    'Resource "nvidia.com/gpu" was requested but not registered',
)
TAINTED = ("Initialized", "Unknown", "StartupTaintsExist", 'StartupTaint "x:NoSchedule" still exists')
NO_CAPACITY = ("Launched", "Unknown", "InsufficientCapacity", "all requested instance types were unavailable")
UNHEALTHY = ("NodeRegistrationHealthy", "False", "RegistrationFailed", "Failed to register node")
FULL = {"spec": {"limits": {"nodes": "4"}}, "status": {"resources": {"nodes": "4"}, "conditions": conditions(READY)}}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        pytest.param((), "Karpenter has not looked at it yet", id="no Karpenter"),
        pytest.param(
            (
                ("NodeClassReady", "False", "NodeClassNotFound", "NodeClass not found on cluster"),
                ("Ready", "False", "", ""),
            ),
            "NodeClassReady is False: NodeClass not found on cluster (NodeClassNotFound)",
            id="no node class",
        ),
        pytest.param(
            (("ValidationSucceeded", "False", "NodePoolValidationFailed", "bad"), ("Ready", "False", "", "")),
            "ValidationSucceeded is False: bad (NodePoolValidationFailed)",
            id="invalid",
        ),
    ],
)
def test_a_node_pool_that_is_not_ready(entries: Any, message: str) -> None:
    state = node_pool(observed.node_pool(*entries))
    assert (state.ready, [reason.message for reason in state.reasons]) == (False, [message])


def test_a_node_pool_is_ready_for_its_newest_generation_only() -> None:
    seen = [{"type": "Ready", "status": "True", "observedGeneration": 1}]
    new = observed.node_pool(metadata={"generation": 2}, status={"conditions": seen})
    assert node_pool(observed.node_pool(READY)).ready
    assert node_pool(observed.node_pool(status={"conditions": seen})).ready
    assert not node_pool(new).ready


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        pytest.param((), "is not Launched", id="new"),
        pytest.param(
            (NO_CAPACITY,), "is not Launched for 1m: all requested instance types were unavailable", id="capacity"
        ),
        pytest.param((LAUNCHED,), "is not Registered", id="boots"),
        pytest.param(
            (LAUNCHED, REGISTERED, NO_GPU), 'is not Initialized for 1m: Resource "nvidia.com/gpu"', id="no GPU"
        ),
        pytest.param((LAUNCHED, REGISTERED, TAINTED), "(StartupTaintsExist)", id="gated"),
    ],
)
def test_a_node_claim_says_how_far_it_is(entries: Any, message: str) -> None:
    state = node_claim(observed.node_claim(*entries), NOW)
    (reason,) = state.reasons
    assert (state.ready, reason.id, message in reason.message) == (False, "no-capacity", True)


def test_a_node_claim_is_ready_when_initialized() -> None:
    assert node_claim(observed.node_claim(LAUNCHED, REGISTERED, ("Initialized", "True", "", "")), NOW).ready


@pytest.mark.parametrize(
    ("pool", "claims", "messages"),
    [
        pytest.param(observed.node_pool(READY), [], [], id="nothing to say"),
        pytest.param(None, [], [], id="not Karpenter's"),
        pytest.param(observed.node_pool(**FULL), [], ["has reached its limit of 4 nodes"], id="limit"),
        pytest.param(
            observed.node_pool(**FULL),
            [observed.node_claim(LAUNCHED)],
            ["is not Registered for 10m"],
            id="the last node is on its way",
        ),
        pytest.param(
            observed.node_pool(READY, UNHEALTHY),
            [],
            ["its nodes do not come up: Failed to register node (RegistrationFailed)"],
            id="unhealthy",
        ),
    ],
)
def test_why_a_pool_has_no_node(pool: Any, claims: list[dict[str, Any]], messages: list[str]) -> None:
    for claim in claims:
        claim["metadata"]["creationTimestamp"] = observed.TEN_MINUTES_AGO
    assert [reason.message for reason in capacity_reasons(pool, claims, NOW)] == messages


def test_karpenters_own_words_without_the_requirements() -> None:
    event = {"message": "Failed to schedule pod, no instance type has enough resources, requirements=a In [b], x=1"}
    (reason,) = unbought(observed.pod(), [event])
    assert reason.message == "Karpenter buys no node for it: no instance type has enough resources"
    assert unbought(observed.pod(), []) == []


def test_the_cause_comes_before_what_it_causes() -> None:
    claim = node_claim(observed.node_claim(LAUNCHED), NOW).reasons
    symptom = observed.pod(status={"conditions": []})
    reasons = [*pod_reasons(symptom, NOW, 1), *claim]
    assert [reason.id for reason in by_likelihood(reasons)] == ["no-capacity", "unschedulable"]
    hopeless = Finding("not-ready", Severity.ERROR, "will never be")
    assert by_likelihood([*reasons, hopeless])[0] is hopeless


def test_a_condition_says_why_in_one_line() -> None:
    entries = conditions(("A", "False", "Why", "Be\ncause."), ("B", "False", "Why", ""), ("C", "False", "", "Because"))
    obj = observed.observed("v1", "Node", "x", status={"conditions": entries})
    assert [condition(obj, kind).why for kind in "ABCD"] == ["Be cause (Why)", "Why", "Because", ""]
