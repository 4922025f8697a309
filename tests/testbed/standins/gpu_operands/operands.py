# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches nodes and rules, and writes what they ask for. One task per GPU node, so that none waits for another."""

from __future__ import annotations

import asyncio
import logging

from testbed.api import STRATEGIC_MERGE_PATCH, Api, ApiError, Json, resource_path

from ..watching import changes, write
from . import node as nodes
from .bring_up import Schedule, parse
from .rules import taints_left

BRING_UP_ANNOTATION = "testbed.gpufleet.io/gpu-bring-up"
_RULES = resource_path("readiness.node.x-k8s.io/v1alpha1", "nodereadinessrules")
_NO_RULES_RETRY_S = 5.0


class Operands:
    def __init__(self, api: Api, default: Schedule) -> None:
        self._api = api
        self._default = default
        self._rules: dict[str, Json] = {}
        self._nodes: dict[str, tuple[GpuNode, asyncio.Task[None]]] = {}

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
                gpu_node = GpuNode(self._api, item, self._default, self._rules)
                self._nodes[uid] = gpu_node, asyncio.create_task(gpu_node.run())

    async def _follow_rules(self) -> None:
        while True:
            try:
                async for kind, rule in changes(self._api, _RULES):
                    self._rules.pop(rule["metadata"]["name"], None)
                    if kind != "DELETED":
                        self._rules[rule["metadata"]["name"]] = rule
                    for gpu_node, _ in self._nodes.values():
                        gpu_node.wake()
            except ApiError as error:
                if error.status != 404:
                    raise
                await asyncio.sleep(_NO_RULES_RETRY_S)


class GpuNode:
    """Brings one node to what its schedule says for now, again after whatever changes it."""

    def __init__(self, api: Api, node: Json, default: Schedule, rules: dict[str, Json]) -> None:
        self._api = api
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
            pause = self._schedule.next_step(self._elapsed())
            try:
                await asyncio.wait_for(self._changed.wait(), pause)
            except TimeoutError:
                continue

    async def _converge(self) -> None:
        devices = self._schedule.devices(self._elapsed(), nodes.gpus(self._node))
        await self._patch("status", nodes.device_patch(self._node, devices))
        await self._patch("status", nodes.full_patch(self._node))
        await self._patch("", nodes.label_patch(self._node, devices))
        await self._release()

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
