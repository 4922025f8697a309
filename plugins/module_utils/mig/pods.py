# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a GPU of a node, and who may be evicted from it?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Optional

from ..findings import Finding, Severity
from ..quantity import parse_quantity
from .change import Json, Options

MIG_MANAGER = "nvidia-mig-manager"
DEVICE_PLUGIN = "nvidia-device-plugin-daemonset"
VALIDATOR = "nvidia-operator-validator"

#: Values of the label app of the pods of GPU Operator v26.7.0 (assets/): mig-manager stops those that are in its way.
OPERANDS = (
    MIG_MANAGER,
    DEVICE_PLUGIN,
    VALIDATOR,
    "gpu-feature-discovery",
    "nvidia-dcgm-exporter",
    "nvidia-dcgm",
    "nvidia-driver-daemonset",
    "nvidia-container-toolkit-daemonset",
    "nvidia-cuda-validator",
    "nvidia-device-plugin-validator",
    "nvidia-device-plugin-mps-control-daemon",
    "nvidia-node-status-exporter",
)
#: RuntimeClasses that the toolkit of GPU Operator v26.7.0 sets up: a container of theirs gets GPUs without a request.
_RUNTIME_CLASSES = ("nvidia", "nvidia-cdi", "nvidia-legacy")
#: Set by the kubelet on pods that come from a file on its node (k8s.io/kubernetes v1.35, pkg/kubelet/types).
_MIRROR = "kubernetes.io/config.mirror"


def is_gpu_resource(name: str) -> bool:
    """Whether an extended resource is a GPU, a part of one, or a share of one."""
    return name.partition(".shared")[0] == "nvidia.com/gpu" or name.startswith("nvidia.com/mig-")


def gpu_requests(pod: Json) -> dict[str, int]:
    """What a pod takes of each GPU resource: its containers together, or its greediest init container."""
    total: dict[str, int] = {}
    for container in pod["spec"].get("containers") or []:
        for name, count in _requests(container).items():
            total[name] = total.get(name, 0) + count
    for container in pod["spec"].get("initContainers") or []:
        for name, count in _requests(container).items():
            total[name] = max(total.get(name, 0), count)
    return total


def holds_gpu(pod: Json) -> bool:
    """Whether a pod may have a GPU open.

    Which driver a resource claim belongs to is not in the pod: on a node with GPUs any claim counts.
    """
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return False
    spec = pod["spec"]
    return bool(gpu_requests(pod) or spec.get("runtimeClassName") in _RUNTIME_CLASSES or spec.get("resourceClaims"))


def is_operand(pod: Json, app: str, options: Options) -> bool:
    """Whether a pod is that part of the GPU Operator."""
    metadata = pod["metadata"]
    return metadata["namespace"] == options.operator_namespace and (metadata.get("labels") or {}).get("app") == app


def gpu_pods(pods: Iterable[Json], options: Options) -> list[Json]:
    """The pods that must be gone before the geometry is changed, by name: all with a GPU but those of the operator."""
    found = [pod for pod in pods if holds_gpu(pod) and not any(is_operand(pod, app, options) for app in OPERANDS)]
    return sorted(found, key=named)


def obstacles(pods: Iterable[Json], options: Options) -> list[Finding]:
    """Which of these GPU pods cannot or must not be evicted, and why; those that end already are no obstacle."""
    return [found for pod in pods if not ending(pod) and (found := _obstacle(pod, options)) is not None]


def ending(pod: Json) -> bool:
    """Whether somebody has deleted or evicted it already."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def named(pod: Json) -> str:
    """``namespace/name``."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def blocked(pod: Json, message: str, fix: str) -> Finding:
    """A pod that keeps the geometry of its node from being changed."""
    return Finding("mig-pod-blocks", Severity.ERROR, message, f"Pod {named(pod)}", fix=fix)


def _obstacle(pod: Json, options: Options) -> Optional[Finding]:
    metadata = pod["metadata"]
    if _MIRROR in (metadata.get("annotations") or {}):
        return blocked(pod, "holds a GPU and comes from a file on its node", "Take its file off the node.")
    owner = next((entry for entry in metadata.get("ownerReferences") or [] if entry.get("controller")), None)
    if owner is not None and owner["kind"] == "DaemonSet":
        message = f"holds a GPU and would come back at once, as it is of DaemonSet {owner['name']}"
        return blocked(pod, message, "Keep the DaemonSet off this node with a node selector until the change is over.")
    if owner is None and not options.allow_unmanaged:
        message = "holds a GPU and has no controller that would make it again elsewhere"
        return blocked(pod, message, "Delete it, or set allow_unmanaged to lose it.")
    volumes = [volume["name"] for volume in pod["spec"].get("volumes") or [] if _is_disk(volume.get("emptyDir"))]
    if volumes and not options.allow_empty_dir:
        message = f"holds a GPU and keeps data in emptyDir {', '.join(volumes)}, which an eviction deletes"
        return blocked(pod, message, "Save what is in there, or set allow_empty_dir to lose it.")
    return None


def _is_disk(empty_dir: Optional[Mapping[str, Any]]) -> bool:
    """Whether it is an emptyDir for data: one in memory, such as /dev/shm, passes messages between processes."""
    return empty_dir is not None and empty_dir.get("medium") != "Memory"


def _requests(container: Json) -> dict[str, int]:
    return {name: count for name, count in _quantities(container) if count}


def _quantities(container: Json) -> Iterator[tuple[str, int]]:
    """Limits win: of an extended resource the API server takes no request that differs from its limit."""
    resources = container.get("resources") or {}
    for name, value in {**(resources.get("requests") or {}), **(resources.get("limits") or {})}.items():
        if is_gpu_resource(name):
            yield name, int(parse_quantity(str(value)))
