# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nvidia-mig-manager (mig-parted v0.15.0: cmd/nvidia-mig-manager, pkg/mig/reconfigure), one process a pod.

It acts on a change of the node's label and at its own start, never looks at the pods of users, and says ``success``
before the device plugin is back. A process that ends with its pod leaves labels as they are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial

from testbed.api import MERGE_PATCH, STRATEGIC_MERGE_PATCH, Api, ApiError, Json, resource_path

from .. import timestamps
from ..durations import seconds
from ..watching import changes, write
from . import mig_config, mig_hardware, operand_objects, products
from . import node as nodes
from .mig_config import Gpu
from .operand_objects import NAMESPACE, OPERANDS, Policy

CONFIG_LABEL = "nvidia.com/mig.config"
STATE_LABEL = "nvidia.com/mig.config.state"
_DEPLOY = "nvidia.com/gpu.deploy."
#: In the order of the waiting; the last is deployed nowhere, and its label is written all the same.
_CLIENTS = ("device-plugin", "gpu-feature-discovery", "dcgm-exporter", "dcgm", "nvsm")
PAUSED = "paused-for-mig-change"
_KNOB = "testbed.gpufleet.io/mig-"
# There while the node reboots; the bed's KWOK leaves such a node alone.
_REBOOTING = "testbed.gpufleet.io/rebooting"
_POLL_S = 0.1
_PODS = resource_path("v1", "pods", NAMESPACE)


class MigManagers:
    """Starts a process for every pod of mig-manager that runs, and ends it with the pod."""

    def __init__(self, api: Api, policy: Policy) -> None:
        self._api = api
        self._policy = policy
        self._nodes: dict[str, Json] = {}
        self._processes: dict[str, tuple[MigManager, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """For ever; raises when nodes or pods cannot be watched."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_nodes())
            group.create_task(self._follow_pods())

    async def _follow_nodes(self) -> None:
        async for kind, node in changes(self._api, "/api/v1/nodes"):
            self._nodes.pop(node["metadata"]["name"], None)
            if kind != "DELETED":
                self._nodes[node["metadata"]["name"]] = node
            for process, _ in self._processes.values():
                process.wake()

    async def _follow_pods(self) -> None:
        query = {"labelSelector": f"app={operand_objects.MIG_MANAGER}"}
        async for kind, pod in changes(self._api, _PODS, query):
            uid = pod["metadata"]["uid"]
            ended = kind == "DELETED" or "deletionTimestamp" in pod["metadata"]
            if ended and uid in self._processes:
                self._processes.pop(uid)[1].cancel()
            elif not ended and uid not in self._processes and pod.get("status", {}).get("phase") == "Running":
                process = MigManager(self._api, pod["spec"]["nodeName"], self._policy, self._nodes)
                self._processes[uid] = process, asyncio.create_task(process.run())


class MigManager:
    """One process on one node."""

    def __init__(self, api: Api, node: str, policy: Policy, cluster: Mapping[str, Json]) -> None:
        self._api = api
        self._name = node
        self._policy = policy
        self._cluster = cluster
        self._changed = asyncio.Event()
        self._last_read = ""
        self._acted = False
        self._mounted = ""

    def wake(self) -> None:
        self._changed.set()

    async def run(self) -> None:
        # The pod's init container waits for the driver.
        while "nvidia.com/mig.capable" not in self._node()["metadata"].get("labels", {}):
            self._changed.clear()
            await self._changed.wait()
        self._mounted = await self._config_map()
        await self._generate()
        while True:
            self._changed.clear()
            await self._boot()
            label = self._label()
            if label and label != self._last_read:
                self._last_read = label
                try:
                    await self._reconfigure(label)
                except ApiError:
                    logging.exception("mig-manager of %s", self._name)
            else:
                await self._changed.wait()

    def _node(self) -> Json:
        return self._cluster.get(self._name, {"metadata": {}})

    def _knob(self, name: str, default: str = "") -> str:
        return nodes.annotations_of(self._node()).get(f"{_KNOB}{name}", default)

    def _label(self) -> str:
        return str(self._node()["metadata"].get("labels", {}).get(CONFIG_LABEL, ""))

    async def _reconfigure(self, label: str) -> None:
        node = await asyncio.to_thread(self._api.get, self._path())
        product, gpus = products.product_of(node), mig_hardware.layouts(node)
        wedged = self._knob("wedge") in (("change", "always") if self._acted else ("always",))
        self._acted = True
        try:
            wanted = mig_config.wanted(await self._file(product), label, product, len(gpus))
        except ValueError as error:
            logging.warning("mig-manager of %s: %s", self._name, error)
            await self._end(node, "failed")
            return
        if mig_hardware.applied(gpus, wanted):
            await self._end(node, "success")
            return
        changes_mode = mig_hardware.changes_mode(gpus, wanted)
        if changes_mode and node["metadata"]["labels"].get(STATE_LABEL) == "rebooting":
            await self._end(node, "failed")
            return
        await self._set_labels({STATE_LABEL: "pending"})
        await self._set_labels(_deployed(node, PAUSED))
        await self._pods_gone()
        if wedged:
            return
        await asyncio.sleep(seconds(self._knob("apply", "200ms")))
        if changes_mode and self._knob("reboot"):
            await self._reboot(gpus if self._knob("reboot-in-vain") else mig_hardware.with_modes(gpus, wanted))
            return
        pods = await asyncio.to_thread(self._api.list, resource_path("v1", "pods"), self._here())
        in_use = bool(self._knob("in-use")) or mig_hardware.uses_gpu(pods, NAMESPACE)
        gpus, well = mig_hardware.cut(gpus, wanted, product, in_use)
        await self._patch(mig_hardware.annotation(gpus))
        if well:
            await self._delete(operand_objects.VALIDATOR)
        await self._end(node, "success" if well else "failed")

    async def _reboot(self, gpus: Sequence[Gpu]) -> None:
        """The kubelet is away, and with it this process, which starts anew afterwards."""
        await self._set_labels({STATE_LABEL: "rebooting"})
        await self._patch({"metadata": {"annotations": {_REBOOTING: "true"}}})
        now = timestamps.now()
        said = {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
        ready = {"type": "Ready", "status": "Unknown", "lastHeartbeatTime": now, "lastTransitionTime": now, **said}
        status = {"status": {"conditions": [ready]}}
        await write(partial(self._api.patch, f"{self._path()}/status", status, STRATEGIC_MERGE_PATCH))
        await self._patch(mig_hardware.annotation(gpus))
        self._last_read, self._acted = "", False
        while _REBOOTING not in nodes.annotations_of(self._node()):
            self._changed.clear()
            await self._changed.wait()

    async def _boot(self) -> None:
        """Returns once the node is up; with the knob at ``forever`` that is when somebody changes it."""
        while _REBOOTING in nodes.annotations_of(self._node()):
            self._changed.clear()
            if (takes := self._knob("reboot", "0")) == "forever":
                await self._changed.wait()
                continue
            await asyncio.sleep(seconds(takes))
            await self._patch({"metadata": {"annotations": {_REBOOTING: None}}})
            await self._changed.wait()

    async def _generate(self) -> None:
        """The ConfigMap in which others may read what the names of this node stand for."""
        if self._policy.mig_config.get("name"):
            return
        name = f"{self._name}-mig-config"
        found = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {"nvidia.com/node-name": self._name}},
            "data": {"config.yaml": mig_config.generated(products.product_of(self._node()))},
        }
        path = resource_path("v1", "configmaps", NAMESPACE, name)
        await write(partial(self._api.apply, path, found, operand_objects.MIG_MANAGER))

    async def _file(self, product: products.Product) -> str:
        """The configuration as the process sees it: a mounted ConfigMap may lag behind."""
        if not self._policy.mig_config.get("name"):
            return mig_config.generated(product)
        self._mounted = await self._config_map(seconds(self._knob("file-lag", "0")))
        return self._mounted

    async def _config_map(self, lag: float = 0.0) -> str:
        """Its content, or what was mounted before where it has changed within that many seconds."""
        name = self._policy.mig_config.get("name")
        if not name:
            return ""
        found = await asyncio.to_thread(self._api.find, resource_path("v1", "configmaps", NAMESPACE, name)) or {}
        changed = [each["time"] for each in found.get("metadata", {}).get("managedFields", ()) if "time" in each]
        if changed and timestamps.since(max(changed)) < lag:
            return self._mounted
        return str(found.get("data", {}).get("config.yaml", ""))

    async def _pods_gone(self) -> None:
        for app in (OPERANDS[client] for client in _CLIENTS if client in OPERANDS):
            while await asyncio.to_thread(self._api.list, _PODS, self._here(app)):
                await asyncio.sleep(_POLL_S)

    async def _end(self, node: Json, state: str) -> None:
        if not (state == "failed" and self._knob("stay-paused")):
            await self._set_labels(_deployed(node, "true"))
        await self._set_labels({STATE_LABEL: state})

    async def _delete(self, app: str) -> None:
        for pod in await asyncio.to_thread(self._api.list, _PODS, self._here(app)):
            await write(partial(self._api.delete, f"{_PODS}/{pod['metadata']['name']}"))

    async def _set_labels(self, labels: Mapping[str, str]) -> None:
        await self._patch({"metadata": {"labels": dict(labels)}})

    async def _patch(self, body: Json) -> None:
        await write(lambda: self._api.patch(self._path(), body, MERGE_PATCH))

    def _path(self) -> str:
        return resource_path("v1", "nodes", name=self._name)

    def _here(self, app: str = "") -> dict[str, str]:
        """Selects the pods of this node."""
        return {"fieldSelector": f"spec.nodeName={self._name}", **({"labelSelector": f"app={app}"} if app else {})}


def _deployed(node: Json, value: str) -> dict[str, str]:
    """The labels that deploy the clients, where nobody has switched them off."""
    labels = node["metadata"].get("labels", {})
    return {f"{_DEPLOY}{client}": value for client in _CLIENTS if labels.get(f"{_DEPLOY}{client}") != "false"}
