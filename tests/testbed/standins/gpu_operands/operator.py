# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches ClusterPolicies and nodes, and keeps the status of the first by what the second show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from testbed.api import MERGE_PATCH, Api, ApiError, Json, resource_path

from ..watching import changes, write
from . import operand_objects
from .cluster_policy import default_mig_patch, discovery_patch, first, statuses
from .operand_objects import Policy

_POLICIES = ("nvidia.com/v1", "clusterpolicies")
_NODES = ("v1", "nodes")
# Until a chart has brought the definition.
_NO_DEFINITION_RETRY_S = 1.0


class Operator:
    def __init__(self, api: Api, policy: Policy) -> None:
        self._api = api
        self._policy = policy
        self._deployed: Json | None = None
        self._nodes: dict[str, Json] = {}
        self._policies: dict[str, Json] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """For ever; raises when nodes cannot be watched."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_nodes())
            group.create_task(self._follow_policies())
            group.create_task(self._reconcile())

    async def _follow_nodes(self) -> None:
        await self._keep(self._nodes, changes(self._api, resource_path(*_NODES)))

    async def _follow_policies(self) -> None:
        while True:
            try:
                await self._keep(self._policies, changes(self._api, resource_path(*_POLICIES)))
            except ApiError as error:
                if error.status != 404:
                    raise
                self._policies.clear()
                await asyncio.sleep(_NO_DEFINITION_RETRY_S)

    async def _keep(self, known: dict[str, Json], stream: AsyncIterator[tuple[str, Json]]) -> None:
        async for kind, item in stream:
            known.pop(item["metadata"]["name"], None)
            if kind != "DELETED":
                known[item["metadata"]["name"]] = item
            self._changed.set()

    async def _reconcile(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if (policy := first(self._policies.values())) != self._policy.item:
                self._policy.put(policy)
            if self._policies:
                await self._deploy()
                await self._discover()
                await self._report()

    async def _deploy(self) -> None:
        """The operands, where their namespace is there, once for what the policy says."""
        policy = self._policy.item
        asked = policy and {"uid": policy["metadata"]["uid"], "spec": policy.get("spec")}
        if policy is None or asked == self._deployed:
            return
        try:
            for path, item in operand_objects.objects(policy):
                if await write(partial(self._api.apply, path, item, "gpu-operator")) is None:
                    return
        except ApiError as error:
            # A namespace that is on its way out.
            if error.status not in (403, 409):
                raise
            return
        self._deployed = asked

    async def _discover(self) -> None:
        default = self._policy.mig_config.get("default", "")
        for name, node in list(self._nodes.items()):
            await self._patch(resource_path(*_NODES, name=name), discovery_patch(node))
            await self._patch(resource_path(*_NODES, name=name), default_mig_patch(node, default))

    async def _report(self) -> None:
        for name, status in list(statuses(self._policies.values(), list(self._nodes.values()))):
            await self._patch(resource_path(*_POLICIES, name=name, subresource="status"), {"status": status})

    async def _patch(self, path: str, body: Json | None) -> None:
        if body is not None:
            await write(lambda: self._api.patch(path, body, MERGE_PATCH))
