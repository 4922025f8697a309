# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the GPU Operator made GPUs usable? ``state: ready`` alone does not say so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..findings import Finding, Severity
from .state import Condition, State, condition, title, unready

_RECONCILED = "Reconciled"
#: What a reason asks for. The reasons of a ready ClusterPolicy come first: controllers/clusterpolicy_controller.go and
#: internal/conditions/consts.go of NVIDIA/gpu-operator v26.7.
_FIXES = {
    "NFDLabelsMissing": "See whether node-feature-discovery runs, and tolerates the taints of the nodes.",
    "NoGPUNodes": "See whether GPU nodes have joined, and node-feature-discovery runs on them.",
    "OperandNotReady": "See the pods of its namespace on the newest GPU node.",
    "DriverNotReady": "See the driver pods; an image with its own driver needs gpu_operator_driver host.",
}
_OTHERWISE = "See the log of the GPU Operator."


def cluster_policy(obj: Mapping[str, Any], accept: Collection[str] = ()) -> State:
    """Ready when all operands of all GPU nodes are, or for a reason in ``accept``.

    A ClusterPolicy says ``ready`` also with no GPU node (NoGPUNodes) and with no node that was looked at
    (NFDLabelsMissing).
    """
    state, ready = obj.get("status", {}).get("state"), condition(obj, "Ready")
    if state == "ignored":
        return _ignored(obj)
    stale = ready.generation is not None and ready.generation < obj["metadata"].get("generation", 0)
    if state is None or stale or not (ready.reason or state == "ready"):
        message = "the GPU Operator has not looked at it yet"
        return unready(obj, message, "gpu-operator", message, _OTHERWISE)
    if state == "ready" and ready.true and ready.reason in (_RECONCILED, *accept):
        return State(True, ready.reason)
    # The operator writes state and conditions one after the other: only the one that fits the state is about it.
    said = ready if state == "ready" else condition(obj, "Error")
    return _waiting(obj, said if said.true else Condition())


def _ignored(obj: Mapping[str, Any]) -> State:
    message, fix = "is ignored, because there is another ClusterPolicy", "Delete one of them."
    return State(False, "ignored", (Finding("gpu-operator", Severity.ERROR, message, title(obj), fix=fix),))


def _waiting(obj: Mapping[str, Any], entry: Condition) -> State:
    said = f": {entry.why}" if entry.why else ""
    progress = entry.reason or "not ready"
    return unready(obj, progress, "gpu-operator", f"is not ready{said}", _FIXES.get(entry.reason, _OTHERWISE))
