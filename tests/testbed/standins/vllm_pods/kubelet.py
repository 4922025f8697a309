# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One worker per bound vLLM pod of the cluster."""

from __future__ import annotations

import asyncio

from testbed.api import Json

from ..watching import changes
from .worker import Node, PodWorker

LABEL_SELECTOR = "app.kubernetes.io/name=vllm"


class Kubelet:
    """The kubelets of all nodes, as far as vLLM pods are concerned."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._workers: dict[str, tuple[PodWorker, asyncio.Task[None]]] = {}
        self._endings: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """For ever; raises when pods cannot be watched."""
        async for kind, pod in changes(self._node.api, "/api/v1/pods", {"labelSelector": LABEL_SELECTOR}):
            if kind == "DELETED":
                self._forget(pod)
            elif "nodeName" in pod["spec"]:
                self._tell(pod)

    def _tell(self, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._workers:
            self._workers[uid][0].update(pod)
            return
        if "podIP" in pod.get("status", {}):
            self._node.addresses.reserve(pod["status"]["podIP"])
        worker = PodWorker(self._node, pod)
        self._workers[uid] = worker, asyncio.create_task(worker.run())

    def _forget(self, pod: Json) -> None:
        worker, task = self._workers.pop(pod["metadata"]["uid"], (None, None))
        if worker is not None and task is not None and not task.done():
            # Its last act, the deletion of the object, may be what we hear of: then there is nothing left to end.
            ending = asyncio.create_task(self._end(worker, task))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    @staticmethod
    async def _end(worker: PodWorker, task: asyncio.Task[None]) -> None:
        task.cancel()
        await worker.vanished()
