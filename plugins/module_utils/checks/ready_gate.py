# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A startup taint that nothing removes keeps every pod off its nodes: is its remover there?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..findings import Finding, Severity
from ..fleet.types import Fleet


def ready_gate_findings(fleet: Fleet, rules: Iterable[Mapping[str, Any]], taint: Mapping[str, str]) -> list[Finding]:
    """One finding a gated pool while no NodeReadinessRule (node-readiness-controller v0.5) acts on the taint."""
    if any(_removes(rule, taint) for rule in rules):
        return []
    shown = f"{taint['key']}={taint['value']}:{taint['effect']}"
    message = f"no NodeReadinessRule removes the taint {shown}, so no pod would ever run on its nodes"
    fix = "Install the node-readiness-controller and a rule for this taint, or leave ready_gate out."
    return [
        Finding("ready-gate-remover-missing", Severity.ERROR, message, field=path, fix=fix)
        for path, pool in ((f"gpufleet_pools[{index}].ready_gate", pool) for index, pool in enumerate(fleet.pools))
        if pool.provisioned and pool.ready_gate
    ]


def _removes(rule: Mapping[str, Any], taint: Mapping[str, str]) -> bool:
    spec = rule["spec"]
    same = all(spec["taint"].get(key) == taint[key] for key in ("key", "effect"))
    return same and not spec.get("dryRun")
