# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the GPU Operator (v26.7.0) says of a ClusterPolicy, and what node discovery says of nodes without a GPU.

States, conditions and reasons: controllers/clusterpolicy_controller.go, internal/conditions. Its traps are kept: the
state is ``ready`` with no GPU node, and with no node that was looked at; the conditions carry no observed generation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from testbed.api import Json

from .. import timestamps
from . import node as nodes

_GPU_PRESENT = "nvidia.com/gpu.present"
_MIG_CONFIG = "nvidia.com/mig.config"
_DISCOVERED = "feature.node.kubernetes.io/"
# Node annotation: with "false" node discovery does not run there.
DISCOVERY_ANNOTATION = "testbed.gpufleet.io/node-discovery"


def statuses(policies: Iterable[Json], cluster: Sequence[Json]) -> Iterable[tuple[str, Json]]:
    """(name, status) of each whose status has to change: the oldest follows the nodes, all others are ignored."""
    for index, policy in enumerate(_by_age(policies)):
        status = _follow(policy, cluster) if index == 0 else {"state": "ignored", "namespace": "gpu-operator"}
        if not _says(policy.get("status", {}), status):
            yield policy["metadata"]["name"], status


def first(policies: Iterable[Json]) -> Json | None:
    """The one that counts."""
    return next(iter(_by_age(policies)), None)


def _by_age(policies: Iterable[Json]) -> list[Json]:
    return sorted(policies, key=lambda item: (item["metadata"]["creationTimestamp"], item["metadata"]["name"]))


def default_mig_patch(node: Json, default: str) -> Json | None:
    """The MIG configuration that the operator gives to a node that can be cut and has no label yet."""
    labels = node["metadata"].get("labels", {})
    if not default or labels.get("nvidia.com/mig.capable") != "true" or _MIG_CONFIG in labels:
        return None
    return {"metadata": {"labels": {_MIG_CONFIG: default}}}


def discovery_patch(node: Json) -> Json | None:
    """The label that node discovery gives to every node, of those with a GPU and of those without."""
    labels = node["metadata"].get("labels", {})
    if any(name.startswith(_DISCOVERED) for name in labels):
        return None
    if nodes.annotations_of(node).get(DISCOVERY_ANNOTATION) == "false":
        return None
    return {"metadata": {"labels": {f"{_DISCOVERED}system-os_release.ID": "ubuntu"}}}


def _follow(policy: Json, cluster: Sequence[Json]) -> Json:
    labels = [node["metadata"].get("labels", {}) for node in cluster]
    gpu_nodes = [node for node, have in zip(cluster, labels, strict=True) if have.get(_GPU_PRESENT) == "true"]
    behind = [node["metadata"]["name"] for node in gpu_nodes if nodes.ready(node) != "True"]
    if behind:
        return _status(policy, "notReady", "OperandNotReady", f"operands are not ready on {', '.join(sorted(behind))}")
    if not any(name.startswith(_DISCOVERED) for have in labels for name in have):
        return _status(policy, "ready", "NFDLabelsMissing", "no node has labels of node-feature-discovery")
    if not gpu_nodes:
        return _status(policy, "ready", "NoGPUNodes", "no node has a GPU")
    return _status(policy, "ready", "Reconciled", "all operands are ready")


def _status(policy: Json, state: str, reason: str, message: str) -> Json:
    ready, other = state == "ready", {"reason": "Ready" if state == "ready" else "Error", "message": ""}
    said = {"reason": reason, "message": message}
    return {
        "state": state,
        "namespace": "gpu-operator",
        "conditions": [
            _condition(policy, "Ready", ready, said if ready else other),
            _condition(policy, "Error", not ready, other if ready else said),
        ],
    }


def _condition(policy: Json, kind: str, true: bool, said: Json) -> Json:
    status = "True" if true else "False"
    known = {each["type"]: each for each in policy.get("status", {}).get("conditions", ())}.get(kind, {})
    since = known["lastTransitionTime"] if known.get("status") == status else timestamps.now()
    return {"type": kind, "status": status, **said, "lastTransitionTime": since}


def _says(have: Json, wanted: Json) -> bool:
    return all(have.get(key) == value for key, value in wanted.items())
