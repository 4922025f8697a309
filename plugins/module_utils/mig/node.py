# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What does a node say of its GPUs, and may their geometry be changed?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Optional

from ..findings import Finding, Severity
from .change import CONFIG_LABEL, STATE_LABEL, Json, Options, Record, Target, View
from .layout import GPU_RESOURCE
from .pods import DEVICE_PLUGIN, MIG_MANAGER, VALIDATOR, gpu_pods, is_gpu_resource, is_operand, named, obstacles
from .profiles import gpu_of_product
from .record import instant
from .sharing import SHARING_LABEL

#: Written by GFD v0.20 from what NVML reports; it ends in -MIG-INVALID where the strategy does not allow the slices.
PRODUCT_LABEL = "nvidia.com/gpu.product"
#: What mig-manager v0.15 writes to the labels nvidia.com/gpu.deploy.* of what it stops.
_DEPLOY, _PAUSED = "nvidia.com/gpu.deploy.", "paused-for-mig-change"
#: Set by the upgrade controller of GPU Operator v26.7.0, which cordons nodes too.
_UPGRADE_LABEL = "nvidia.com/gpu-driver-upgrade-state"
#: Every startup taint of the node readiness controller v0.5 begins with it.
_STARTUP = "readiness.k8s.io/"


def labels_of(node: Json) -> Mapping[str, str]:
    """The labels of a node."""
    return node["metadata"].get("labels") or {}


def is_ready(obj: Json) -> bool:
    """Whether a node or a pod is ready, as its kubelet says."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def gpu_resources(node: Json, field: str = "allocatable") -> dict[str, int]:
    """Its GPU resources above 0: the kubelet keeps the names of devices that are gone, at 0."""
    amounts = (node.get("status") or {}).get(field) or {}
    return {name: int(value) for name, value in amounts.items() if is_gpu_resource(name) and int(value)}


def shown(resources: Mapping[str, int]) -> str:
    """Resources in words."""
    return ", ".join(f"{count} {name}" for name, count in sorted(resources.items())) or "no GPU resource"


def wants(target: Target) -> dict[str, int]:
    """The resources of a target that are above 0."""
    return {name: count for name, count in target.resources.items() if count}


def is_applied(node: Json, target: Target) -> bool:
    """Whether a node is what it shall be, and the scheduler can see that."""
    return _is_set(node, target) and gpu_resources(node) == wants(target) and not _product_gap(node, "")


def is_new(node: Json, target: Target, options: Options, now: datetime) -> bool:
    """Whether a young node is on its way to what it shall be already, as its label was set when it was made."""
    labels, taints = labels_of(node), node["spec"].get("taints") or []
    busy = labels.get(STATE_LABEL) in ("pending", "rebooting")
    if labels.get(CONFIG_LABEL) != target.config or not (busy or any(t["key"].startswith(_STARTUP) for t in taints)):
        return False
    return now < instant(node["metadata"]["creationTimestamp"]) + timedelta(seconds=options.geometry_s)


def unfit(node: Json) -> Optional[str]:
    """Why mig-manager must not be set to work on a node at this moment; None where it may. It may pass."""
    if not is_ready(node):
        return "is not Ready"
    upgrade = labels_of(node).get(_UPGRADE_LABEL, "")
    return None if upgrade in ("", "upgrade-done") else f"is in a driver upgrade, at {upgrade}"


def refusals(view: View, node: Json, target: Target, options: Options) -> list[Finding]:
    """Everything that speaks against the change of a node that nobody has touched yet."""
    return _of_node(view, node, target, options) + obstacles(gpu_pods(view.pods, options), options)


def manager_of(view: View, options: Options) -> Optional[Json]:
    """The newest mig-manager pod on the node."""
    found = [pod for pod in view.pods if is_operand(pod, MIG_MANAGER, options)]
    return max(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def operands_of(view: View, options: Options) -> tuple[str, ...]:
    """The uids of the pods that offer GPUs to the node and that check them."""
    return tuple(pod["metadata"]["uid"] for pod in view.pods if _offers_gpus(pod, options))


def paused(node: Json) -> list[str]:
    """Which operands mig-manager has stopped and not started again."""
    return [key[len(_DEPLOY) :] for key, value in sorted(labels_of(node).items()) if _is_paused(key, value)]


def gaps(view: View, node: Json, record: Record, goal: Target, options: Options) -> list[str]:
    """What is still missing after mig-manager has reported success, in words."""
    found = [] if is_ready(node) else ["the node is not Ready"]
    found += [f"{name} is paused for the change" for name in paused(node)]
    found += [words for pod in view.pods if (words := _operand_gap(pod, record, goal, options))]
    found += _product_gap(node, record.product)
    has = gpu_resources(node)
    if has != wants(goal):
        found.append(f"it offers {shown(has)} instead of {shown(wants(goal))}")
    return found


def _of_node(view: View, node: Json, target: Target, options: Options) -> list[Finding]:
    labels, found = labels_of(node), []
    if "bottlerocket" in (node["status"].get("nodeInfo") or {}).get("osImage", "").lower():
        fix = "Set settings.kubelet-device-plugins.nvidia in the user data of its node class, and replace the node."
        return [refused(node, "runs Bottlerocket, which cuts its GPUs itself when it boots", fix)]
    found += _other_gpus(node, options) + _unshared(node, options)
    if labels.get("nvidia.com/mig.capable") != "true":
        found.append(refused(node, "has no label nvidia.com/mig.capable=true", "Choose nodes whose GPUs can be cut."))
    elif manager_of(view, options) is None:
        fix = f"Enable migManager in the GPU Operator in namespace {options.operator_namespace}."
        found.append(refused(node, "has no mig-manager pod, which would cut its GPUs", fix))
    reason = unfit(node)
    if reason is not None:
        found.append(refused(node, reason, "Run again when that is over."))
    capacity, has = gpu_resources(node, "capacity"), gpu_resources(node)
    if _is_set(node, target) and capacity == wants(target) and has != capacity:
        message = f"is cut as wanted, but of {shown(capacity)} only {shown(has)} is healthy"
        found.append(refused(node, message, "Look for XIDs of its GPUs, then delete its device plugin pod."))
    return found


def _other_gpus(node: Json, options: Options) -> list[Finding]:
    """What a node has instead of the GPUs that it was declared with. An unknown name of a product may be a new one, and
    how many GPUs there are is only to be seen while all are whole."""
    product, fix = labels_of(node).get(PRODUCT_LABEL, ""), "Correct the pool's gpu, gpus_per_node or node_selector."
    known, capacity = gpu_of_product(product), gpu_resources(node, "capacity")
    if options.gpu and known and known.gpu is not options.gpu:
        return [refused(node, f"has GPUs {product}, and its pool declares {options.gpu.value}", fix)]
    whole = list(capacity) == [GPU_RESOURCE] and "-MIG-" not in product and "-SHARED" not in product
    if options.gpus and whole and capacity[GPU_RESOURCE] != options.gpus:
        return [refused(node, f"has {capacity[GPU_RESOURCE]} GPUs, and its pool declares {options.gpus}", fix)]
    return []


def _unshared(node: Json, options: Options) -> list[Finding]:
    """A node whose device plugin is not told to share would never offer what its pool declares."""
    live, wanted = labels_of(node).get(SHARING_LABEL), options.sharing
    if wanted is None or live == wanted:
        return []
    name = node["metadata"]["name"]
    fix = f"Run kubectl label --overwrite node {name} {SHARING_LABEL}={wanted}"
    return [refused(node, f"has {SHARING_LABEL} {live or 'not set'}, and its pool shares its slices", fix)]


def refused(node: Json, message: str, fix: str) -> Finding:
    """A node that is left as it is."""
    return Finding("mig-node", Severity.ERROR, message, f"Node {node['metadata']['name']}", fix=fix)


def _is_set(node: Json, target: Target) -> bool:
    labels = labels_of(node)
    return labels.get(CONFIG_LABEL) == target.config and labels.get(STATE_LABEL) == "success"


def _is_paused(key: str, value: str) -> bool:
    return key.startswith(_DEPLOY) and value == _PAUSED


def _operand_gap(pod: Json, record: Record, goal: Target, options: Options) -> str:
    """What a device plugin or validator pod lacks.

    Where the slices are those of before the change, mig-manager may have found nothing to do, and stops nothing.
    """
    if not _offers_gpus(pod, options):
        return ""
    if not is_ready(pod):
        return f"{named(pod)} is not Ready"
    older = pod["metadata"]["uid"] in record.operands
    return f"{named(pod)} is older than the change" if older and dict(record.former_resources) != wants(goal) else ""


def _offers_gpus(pod: Json, options: Options) -> bool:
    return any(is_operand(pod, app, options) for app in (DEVICE_PLUGIN, VALIDATOR))


def _product_gap(node: Json, former: str) -> list[str]:
    product = labels_of(node).get(PRODUCT_LABEL, "")
    if product.endswith("-MIG-INVALID"):
        return [f"the device plugin cannot name its slices: {PRODUCT_LABEL} is {product}"]
    return [f"GFD has not named its product again, which was {former}"] if former and not product else []
