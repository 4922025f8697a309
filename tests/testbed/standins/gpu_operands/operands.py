# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches nodes and rules, and writes what they ask for. One task per GPU node, so that none waits for another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from testbed.api import STRATEGIC_MERGE_PATCH, Api, ApiError, Json, resource_path

from ..durations import seconds
from ..watching import changes, write
from . import mig_devices, mig_hardware, products
from . import node as nodes
from .bring_up import Devices, Schedule, parse
from .mig_config import Gpu
from .operand_objects import Policy
from .rules import taints_left

BRING_UP_ANNOTATION = "testbed.gpufleet.io/gpu-bring-up"
#: How long device plugin and GFD take to be back after a pause.
PLUGIN_DELAY_ANNOTATION = "testbed.gpufleet.io/mig-plugin-delay"
_PLUGIN_DELAY = "300ms"
_RULES = resource_path("readiness.node.x-k8s.io/v1alpha1", "nodereadinessrules")
_NO_RULES_RETRY_S = 5.0


class Operands:
    def __init__(self, api: Api, default: Schedule, policy: Policy) -> None:
        self._api = api
        self._default = default
        self._policy = policy
        self._rules: dict[str, Json] = {}
        self._nodes: dict[str, tuple[GpuNode, asyncio.Task[None]]] = {}
        policy.watchers.append(self._wake)

    async def run(self) -> None:
        """For ever; raises when nodes cannot be watched."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_nodes())
            group.create_task(self._follow_rules())

    async def _follow_nodes(self) -> None:
        async for kind, item in changes(self._api, "/api/v1/nodes"):
            uid = item["metadata"]["uid"]
            if kind == "DELETED":
                _, task = self._nodes.pop(uid, (None, None))
                if task is not None:
                    task.cancel()
            elif uid in self._nodes:
                self._nodes[uid][0].update(item)
            elif nodes.gpus(item):
                gpu_node = GpuNode(self._api, item, self._default, self._rules, self._policy)
                self._nodes[uid] = gpu_node, asyncio.create_task(gpu_node.run())

    async def _follow_rules(self) -> None:
        while True:
            try:
                async for kind, rule in changes(self._api, _RULES):
                    self._rules.pop(rule["metadata"]["name"], None)
                    if kind != "DELETED":
                        self._rules[rule["metadata"]["name"]] = rule
                    self._wake()
            except ApiError as error:
                if error.status != 404:
                    raise
                await asyncio.sleep(_NO_RULES_RETRY_S)

    def _wake(self) -> None:
        for gpu_node, _ in self._nodes.values():
            gpu_node.wake()


class GpuNode:
    """Brings one node to what its schedule says for now, again after whatever changes it."""

    def __init__(self, api: Api, node: Json, default: Schedule, rules: dict[str, Json], policy: Policy) -> None:
        self._api = api
        self._policy = policy
        self._node = node
        self._default = default
        self._rules = rules
        self._path = resource_path("v1", "nodes", name=node["metadata"]["name"])
        self._changed = asyncio.Event()
        # A node that an earlier run of this program has seen goes on where it was.
        age = nodes.age(node) if nodes.GPUS_ANNOTATION in nodes.annotations_of(node) else 0.0
        self._began = asyncio.get_running_loop().time() - age
        self._spec = self._schedule_text()
        self._schedule = self._parsed()
        self._plugin = Plugin()

    def update(self, node: Json) -> None:
        """A newer state of the node; a changed schedule starts anew."""
        if int(node["metadata"]["resourceVersion"]) <= int(self._node["metadata"]["resourceVersion"]):
            return
        self._node = node
        if self._schedule_text() != self._spec:
            self._began = asyncio.get_running_loop().time()
            self._spec = self._schedule_text()
            self._schedule = self._parsed()
        self.wake()

    def wake(self) -> None:
        self._changed.set()

    async def run(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._converge()
            except ApiError:
                logging.exception("node %s", self._path)
            pauses = (self._schedule.next_step(self._elapsed()), self._plugin.pause)
            pause = min((each for each in pauses if each is not None), default=None)
            try:
                await asyncio.wait_for(self._changed.wait(), pause)
            except TimeoutError:
                continue

    async def _converge(self) -> None:
        devices = self._schedule.devices(self._elapsed(), nodes.gpus(self._node))
        seen = self._plugin.seen(self._node)
        registered = _registered(self._node, devices, seen, self._policy.strategy)
        await self._patch("status", nodes.device_patch(self._node, devices, registered))
        await self._patch("status", nodes.full_patch(self._node, devices, registered))
        await self._patch("", nodes.label_patch(self._node, self._features(devices, seen)))
        await self._release()

    def _features(self, devices: Devices | None, seen: list[Gpu] | None) -> Mapping[str, str] | None:
        if devices is None:
            return None
        if seen is None or not nodes.deployed(self._node, "gpu-feature-discovery"):
            return {}
        product = products.product_of(self._node)
        return mig_devices.labels(product, seen[: devices.registered], self._policy.strategy)

    async def _release(self) -> None:
        left = taints_left(self._node, self._rules.values())
        if left is None:
            return
        # With the version, for the list of taints is replaced as a whole and Karpenter takes its own away from it.
        version = self._node["metadata"]["resourceVersion"]
        try:
            await self._patch("", {"metadata": {"resourceVersion": version}, "spec": {"taints": left or None}})
        except ApiError as error:
            if error.status != 409:
                raise

    async def _patch(self, subresource: str, body: Json | None) -> None:
        if body is None:
            return
        path = f"{self._path}/{subresource}" if subresource else self._path
        answer = await write(lambda: self._api.patch(path, body, STRATEGIC_MERGE_PATCH))
        if answer is not None:
            self.update(answer)

    def _elapsed(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    def _schedule_text(self) -> str | None:
        return nodes.annotations_of(self._node).get(BRING_UP_ANNOTATION)

    def _parsed(self) -> Schedule:
        try:
            return self._default if self._spec is None else parse(self._spec)
        except ValueError as error:
            logging.warning("%s: %s; the default is used", self._path, error)
            return self._default


class Plugin:
    """When device plugin and GFD looked at the GPUs last: at their start, which is a while after each pause."""

    def __init__(self) -> None:
        self._seen: list[Gpu] | None = None
        self._back_at: float | None = 0.0

    def seen(self, node: Json) -> list[Gpu] | None:
        """The GPUs as they were then; None while both are away."""
        now = asyncio.get_running_loop().time()
        if not nodes.deployed(node, "device-plugin"):
            self._seen = self._back_at = None
        elif self._seen is None:
            if self._back_at is None:
                self._back_at = now + seconds(nodes.annotations_of(node).get(PLUGIN_DELAY_ANNOTATION, _PLUGIN_DELAY))
            if now >= self._back_at:
                self._seen = mig_hardware.layouts(node)
        return self._seen

    @property
    def pause(self) -> float | None:
        """Seconds until they are back, None while nothing of that is to come."""
        if self._seen is not None or self._back_at is None:
            return None
        return max(0.0, self._back_at - asyncio.get_running_loop().time())


def _registered(node: Json, devices: Devices | None, seen: list[Gpu] | None, strategy: str) -> nodes.Registered:
    """Without its plugin the kubelet knows the devices still, and takes them for unhealthy."""
    if devices is None:
        return {}
    if seen is None:
        capacity = node["status"].get("capacity", {})
        return {name: Devices(0, int(count)) for name, count in capacity.items() if name.startswith("nvidia.com/")}
    healthy, known = (mig_devices.resources(seen[:count], strategy) for count in (devices.healthy, devices.registered))
    return {name: Devices(healthy.get(name, 0), count) for name, count in known.items()}
