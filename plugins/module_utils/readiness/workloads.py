# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a workload there, and if not, which of its pods says why?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ..findings import Finding
from .state import State, condition, waiting


def deployment(obj: Mapping[str, Any], floor: Optional[int] = None) -> State:
    """Ready once a full set of replicas of the newest template is available, and none of an older one is left.

    ``floor`` is the fewest replicas that an autoscaler allows, if there is one: what it adds beyond them is not waited
    for. Status fields as the deployment controller of Kubernetes v1.35 sets them: replicas exclude terminating pods.
    """
    status, wanted = obj.get("status", {}), int(obj["spec"].get("replicas", 1))
    if floor is not None:
        wanted = min(wanted, floor)
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return State(False, "not yet seen by its controller", _failure(obj))
    updated, available = int(status.get("updatedReplicas", 0)), int(status.get("availableReplicas", 0))
    old = int(status.get("replicas", 0)) - updated
    if updated < wanted:
        return State(False, f"{updated} of {wanted} replicas have the newest template", _failure(obj))
    if old > 0 and wanted:
        return State(False, f"{old} replicas of an older template are left", _failure(obj))
    if available < wanted:
        return State(False, f"{available} of {wanted} replicas available", _failure(obj))
    return State(True, f"{available} of {wanted} replicas available")


def _failure(obj: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Why its pods cannot be created; the ReplicaSet's condition, which the Deployment repeats."""
    failure = condition(obj, "ReplicaFailure")
    if not failure.true:
        return ()
    if "failed calling webhook" in failure.message or "admission webhook" in failure.message:
        fix = "Repair or remove the webhook that it names."
        return (waiting(obj, "webhook", f"its pods are not created: {failure.why}", fix),)
    fix = "Raise the quota, or change the rule that it names."
    return (waiting(obj, "quota", f"its pods are not created: {failure.why}", fix),)
