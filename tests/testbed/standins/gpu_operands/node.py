# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node should look like while its GPUs come up, as patches of what it looks like."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.api import Json

from .. import timestamps
from . import products
from .bring_up import Devices

GPU = "nvidia.com/gpu"
# How many GPUs the machine has, whatever is registered of them; set here from what the node was born with.
GPUS_ANNOTATION = "testbed.gpufleet.io/gpus"
# When the last of them became allocatable (MicroTime, never early); absent while some are missing.
FULL_AT_ANNOTATION = "testbed.gpufleet.io/gpu-full-at"
READY_CONDITION = "nvidia.com/GPUReady"


def gpus(node: Json) -> int:
    """GPUs of the machine: by annotation, else what a node that was never touched was born with."""
    annotated = annotations_of(node).get(GPUS_ANNOTATION)
    return int(annotated if annotated is not None else node["status"].get("allocatable", {}).get(GPU, 0))


def age(node: Json) -> float:
    """Seconds since the node joined."""
    return timestamps.since(node["metadata"]["creationTimestamp"])


def annotations_of(node: Json) -> Mapping[str, str]:
    found: Mapping[str, str] = node["metadata"].get("annotations", {})
    return found


def device_patch(node: Json, devices: Devices | None) -> Json | None:
    """Patch of node and status that sets what is registered, takes the ready condition back unless all is there."""
    expected = gpus(node)
    full = devices is not None and devices.healthy == expected
    healthy = None if devices is None else str(devices.healthy)
    registered = None if devices is None else str(devices.registered)
    status = node["status"]
    now = (status.get("allocatable", {}).get(GPU), status.get("capacity", {}).get(GPU), ready(node))
    if now[:2] == (healthy, registered) and (full or now[2] == "False") and GPUS_ANNOTATION in annotations_of(node):
        return None
    patch: Json = {
        "metadata": {"annotations": {GPUS_ANNOTATION: str(expected)}},
        "status": {"allocatable": {GPU: healthy}, "capacity": {GPU: registered}},
    }
    if not full:
        patch["metadata"]["annotations"][FULL_AT_ANNOTATION] = None
        patch["status"]["conditions"] = [_condition(node, "False")]
    return patch


def full_patch(node: Json) -> Json | None:
    """Patch for a node whose last GPU is known to be allocatable: says so, and since when."""
    status = node["status"]
    if status.get("allocatable", {}).get(GPU) != str(gpus(node)) or ready(node) == "True":
        return None
    return {
        "metadata": {"annotations": {FULL_AT_ANNOTATION: timestamps.now_micro()}},
        "status": {"conditions": [_condition(node, "True")]},
    }


def label_patch(node: Json, devices: Devices | None) -> Json | None:
    product = products.product_of(node)
    wanted = products.discovered_labels(product)
    if devices is not None:
        wanted |= products.feature_labels(product, devices.registered)
    have = node["metadata"].get("labels", {})
    missing = {name: value for name, value in wanted.items() if have.get(name) != value}
    return {"metadata": {"labels": missing}} if missing else None


def ready(node: Json) -> str | None:
    """Status of the ready condition, None when it is not there."""
    conditions = node["status"].get("conditions", ())
    return next((each["status"] for each in conditions if each["type"] == READY_CONDITION), None)


def _condition(node: Json, status: str) -> Json:
    """The condition of NVIDIA's example for the node readiness controller; there node-problem-detector writes it."""
    known: Json = next((each for each in node["status"].get("conditions", ()) if each["type"] == READY_CONDITION), {})
    now = timestamps.now()
    return {
        "type": READY_CONDITION,
        "status": status,
        "reason": "GPUReady" if status == "True" else "GPUNotReady",
        "message": f"{gpus(node)} GPUs expected",
        "lastHeartbeatTime": now,
        "lastTransitionTime": known["lastTransitionTime"] if known.get("status") == status else now,
    }
