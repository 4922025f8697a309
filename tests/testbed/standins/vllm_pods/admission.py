# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kubelet does with a pod that asks for devices the node does not have (kubernetes 1.35).

- The resource is not there at all, since no device plugin has registered yet: the kubelet leaves such a resource out
  of its own check (lifecycle/predicate.go:removeMissingExtendedResources) and admits the pod *without* a device; vLLM
  then finds no GPU and exits. Devices are only handed out at admission, so that no restart of the container helps.
- The resource is there, but too few devices are: the pod ends as Failed.
"""

from __future__ import annotations

from dataclasses import dataclass

from testbed.api import Json

from .podspec import gpu_requests


@dataclass(frozen=True)
class Admission:
    """`rejection` is the status message of a refused pod, empty for an admitted one."""

    has_gpu: bool
    rejection: str = ""


def admit(pod: Json, node: Json) -> Admission:
    """Only the node's total is compared: the scheduler has already counted what other pods hold."""
    allocatable: dict[str, str] = node.get("status", {}).get("allocatable", {})
    for resource, wanted in gpu_requests(pod).items():
        if resource not in allocatable:
            return Admission(has_gpu=False)
        if int(allocatable[resource]) < wanted:
            return Admission(has_gpu=False, rejection=_rejection(resource, wanted, int(allocatable[resource])))
    return Admission(has_gpu=True)


def _rejection(resource: str, wanted: int, available: int) -> str:
    """The words of cm/devicemanager/manager.go:devicesToAllocate behind those of the admission handler."""
    return (
        f"Pod was rejected: Allocate failed due to requested number of devices unavailable for {resource}. "
        f"Requested: {wanted}, Available: {available}, which is unexpected"
    )
