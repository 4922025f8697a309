# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who decides how many replicas a workload has? There may be only one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..findings import Finding, Severity
from ..readiness.state import title

_Target = tuple[str, str]


def duplicate_scaler_findings(
    workloads: Iterable[Mapping[str, Any]], scalers: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]]
) -> list[Finding]:
    """One finding a Deployment of ours that more than one autoscaler owns, or would own after the run.

    ``scalers`` are the ScaledObjects and HPAs of the cluster that stay, ``wanted`` the ScaledObjects of the run.
    """
    owners: dict[_Target, set[str]] = {}
    for scaler in [*scalers, *wanted]:
        if not _made_by_keda(scaler):
            owners.setdefault(_target(scaler), set()).add(title(scaler))
    return [
        _finding(workload, sorted(owners[target]))
        for workload, target in ((obj, _key(obj)) for obj in workloads)
        if len(owners.get(target, ())) > 1
    ]


def _finding(workload: Mapping[str, Any], owners: list[str]) -> Finding:
    message = f"{' and '.join(owners)} would set its replicas against each other"
    return Finding("duplicate-scaler", Severity.ERROR, message, title(workload), fix="Delete all but one of them.")


def _key(workload: Mapping[str, Any]) -> _Target:
    return workload["metadata"].get("namespace", ""), workload["metadata"]["name"]


def _target(scaler: Mapping[str, Any]) -> _Target:
    """Namespace and name of the Deployment that it scales; the name is empty for other kinds."""
    reference = scaler["spec"]["scaleTargetRef"]
    deployment = reference.get("kind", "Deployment") == "Deployment"
    return scaler["metadata"].get("namespace", ""), reference["name"] if deployment else ""


def _made_by_keda(scaler: Mapping[str, Any]) -> bool:
    owners = scaler["metadata"].get("ownerReferences") or []
    return any(owner.get("kind") == "ScaledObject" for owner in owners)
