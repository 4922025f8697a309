# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A startup taint is only set where something removes it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.checks.ready_gate import ready_gate_findings
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import READY_TAINT
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet


def rule(**spec: Any) -> dict[str, Any]:
    """A NodeReadinessRule that acts on our taint, with changes."""
    return {"spec": {"taint": READY_TAINT, **spec}}


@pytest.mark.parametrize(
    ("rules", "missing"),
    [
        pytest.param([rule()], False, id="there"),
        pytest.param([rule(taint={**READY_TAINT, "key": "readiness.k8s.io/other"}), rule()], False, id="among others"),
        pytest.param(
            [rule(taint={"key": READY_TAINT["key"], "effect": "NoSchedule"})], False, id="value is not compared"
        ),
        pytest.param([], True, id="none"),
        pytest.param([rule(dryRun=True)], True, id="only pretends"),
        pytest.param([rule(taint={**READY_TAINT, "key": "readiness.k8s.io/other"})], True, id="another key"),
        pytest.param([rule(taint={**READY_TAINT, "effect": "NoExecute"})], True, id="another effect"),
    ],
)
def test_gate(rules: list[dict[str, Any]], missing: bool) -> None:
    findings = ready_gate_findings(fleet(), rules, READY_TAINT)
    assert [(finding.id, finding.field) for finding in findings] == (
        [("ready-gate-remover-missing", "gpufleet_pools[0].ready_gate")] if missing else []
    )


def test_a_pool_without_a_gate_needs_no_rule() -> None:
    assert ready_gate_findings(fleet(("pools[0].ready_gate", None)), [], READY_TAINT) == []
