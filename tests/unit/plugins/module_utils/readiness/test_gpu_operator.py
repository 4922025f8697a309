# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ClusterPolicy is ready when GPUs are usable, not when it says the word."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Severity
from ansible_collections.gpufleet.llm.plugins.module_utils.readiness.gpu_operator import cluster_policy
from ansible_collections.gpufleet.llm.plugins.module_utils.readiness.predicates import ready
from ansible_collections.gpufleet.llm.plugins.module_utils.readiness.state import by_likelihood
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import cluster_policy as policy


@pytest.mark.parametrize(
    ("state", "reason", "accept", "expected"),
    [
        pytest.param("ready", "Reconciled", (), True, id="all operands"),
        pytest.param("ready", "NoGPUNodes", (), False, id="trap: ready without a GPU"),
        pytest.param("ready", "NoGPUNodes", ("NoGPUNodes",), True, id="no GPU is all right"),
        pytest.param("ready", "NFDLabelsMissing", ("NoGPUNodes",), False, id="trap: ready without discovery"),
        pytest.param("ready", "", (), False, id="trap: an operator of before conditions"),
        pytest.param("notReady", "OperandNotReady", ("NoGPUNodes",), False, id="GPUs come up"),
    ],
)
def test_ready(state: str, reason: str, accept: tuple[str, ...], expected: bool) -> None:
    found = cluster_policy(policy(state, reason), accept)
    assert found.ready is expected
    assert bool(found.reasons) is not expected


def test_conditions_of_another_state_do_not_count() -> None:
    """The operator writes them after the state."""
    reconciled, failing = policy("ready", "Reconciled"), policy("notReady", "OperandNotReady")
    for conditions, state in ((reconciled, "notReady"), (failing, "ready")):
        found = cluster_policy({**conditions, "status": {**conditions["status"], "state": state}}, ["NoGPUNodes"])
        assert (found.ready, [reason.message for reason in found.reasons]) == (False, ["is not ready"])


def test_the_reason_and_its_fix_are_named() -> None:
    (reason,) = cluster_policy(policy("notReady", "OperandNotReady", "states not ready: [driver]")).reasons
    assert reason.line() == (
        "ClusterPolicy cluster-policy: is not ready: states not ready: [driver] (OperandNotReady). "
        "See the pods of its namespace on the newest GPU node."
    )
    assert (reason.id, reason.severity) == ("gpu-operator", Severity.WARNING)


def test_without_discovery_the_fix_is_about_tolerations() -> None:
    (reason,) = cluster_policy(policy("ready", "NFDLabelsMissing")).reasons
    assert "tolerates" in reason.fix


def test_one_that_is_ignored_stays_so() -> None:
    found = cluster_policy({**policy("ready", "Reconciled"), "status": {"state": "ignored"}})
    assert (found.ready, [reason.severity for reason in found.reasons]) == (False, [Severity.ERROR])


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param({**policy("ready", "Reconciled"), "status": {}}, id="nothing yet"),
        pytest.param(policy("ready", "Reconciled", generation=0), id="of an older generation"),
    ],
)
def test_not_looked_at_yet(obj: dict[str, Any]) -> None:
    found = cluster_policy(obj)
    assert (found.ready, found.progress) == (False, "the GPU Operator has not looked at it yet")


def test_the_table_of_predicates_is_strict() -> None:
    assert ready(policy("ready", "Reconciled")).ready
    assert not ready(policy("ready", "NoGPUNodes")).ready


def test_its_reasons_have_a_place_in_the_order() -> None:
    reasons = cluster_policy(policy("ready", "NoGPUNodes")).reasons
    assert by_likelihood(reasons) == list(reasons)
