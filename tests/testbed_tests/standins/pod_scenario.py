# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pod played by a worker, with a real server on loopback and a fake API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from testbed.api import Json
from testbed.standins.vllm_pods.images import Addresses, ImageStore
from testbed.standins.vllm_pods.journal import Journal
from testbed.standins.vllm_pods.knobs import Knobs
from testbed.standins.vllm_pods.worker import Node, PodWorker

from .fake_api import FakeApi

# Everything at once, and tokens so slow that only a test which wants to see one end waits for it.
FAST = Knobs(pull=0.0, load=0.01, compile=0.0, warmup=0.0, teardown=0.0, back_off=0.04, step=0.02)
DEADLINE_S = 10.0


# Beds take their networks from the low end.
NETWORK = "127.251"


def new_pod(*flags: str, annotations: dict[str, str] | None = None, container: Json | None = None) -> Json:
    """A bound pod; `flags` are vLLM's, `container` replaces fields of its container."""
    probe = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 0.01}
    spec = {
        "name": "vllm",
        "image": "vllm/vllm-openai:v0.32.0",
        "args": ["org/model", "--served-model-name", "m", *flags],
        "ports": [{"name": "http", "containerPort": 8000}],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
        "startupProbe": {**probe, "failureThreshold": 500},
        "readinessProbe": probe,
        **(container or {}),
    }
    meta = {"name": "p", "namespace": "ns", "uid": "u", "generation": 1, "annotations": annotations or {}}
    return {"metadata": meta, "spec": {"nodeName": "node-1", "containers": [spec]}, "status": {}}


class Scenario:
    """A worker under way and what a test does to it."""

    _hosts = count(1)

    def __init__(self, pod: Json, knobs: Knobs, journal: Path, gpus: str | None = "8") -> None:
        allocatable = {} if gpus is None else {"nvidia.com/gpu": gpus}
        self.fake = FakeApi(pod, {"status": {"allocatable": allocatable}})
        addresses = Addresses(NETWORK)
        for _ in range(next(self._hosts)):
            addresses.allocate()
        self.journal = journal
        node = Node(self.fake.api(), knobs, ImageStore(), addresses, Journal(journal))
        self.worker = PodWorker(node, pod)
        self.life = asyncio.create_task(self.worker.run())

    async def until(self, ask: Callable[[], Any]) -> Any:
        async with asyncio.timeout(DEADLINE_S):
            while not (answer := ask()):
                await asyncio.sleep(0.005)
        return answer

    async def ready(self) -> str:
        """Waits for readiness; the base URL of the server."""
        await self.until(lambda: self.condition("Ready") == "True")
        return f"http://127{self.fake.pod['status']['podIP'].removeprefix('10')}:8000"

    def condition(self, kind: str) -> str | None:
        conditions = self.fake.pod["status"].get("conditions", ())
        return next((each["status"] for each in conditions if each["type"] == kind), None)

    def container(self) -> Json:
        statuses = self.fake.pod["status"].get("containerStatuses")
        return statuses[0] if statuses else {"state": {}}

    async def delete(self, grace: float) -> None:
        """As the API server marks a pod; returns once the worker is done."""
        meta = self.fake.pod["metadata"] | {"deletionTimestamp": "now", "deletionGracePeriodSeconds": grace}
        self.worker.update({**self.fake.pod, "metadata": meta})
        async with asyncio.timeout(DEADLINE_S):
            await self.life

    def exits(self) -> list[Json]:
        lines = [json.loads(line) for line in self.journal.read_text().splitlines()]
        return [line for line in lines if line["event"] == "exited"]


def counts(line: Json) -> dict[str, int]:
    return {name: line[name] for name in ("finished", "aborted", "lost", "cancelled") if line[name]}


def play(
    pod: Json,
    journal: Path,
    act: Callable[[Scenario], Awaitable[None]],
    knobs: Knobs = FAST,
    gpus: str | None = "8",
) -> Scenario:
    async def run() -> Scenario:
        scenario = Scenario(pod, knobs, journal, gpus)
        await act(scenario)
        if not scenario.life.done():
            await scenario.delete(0.0)
        return scenario

    return asyncio.run(run())


async def complete(session: aiohttp.ClientSession, url: str, tokens: int, **more: Any) -> Json:
    body = {"model": "m", "prompt_tokens": 10, "max_tokens": tokens, **more}
    async with session.post(f"{url}/v1/completions", json=body) as answer:
        return {"status": answer.status, **await answer.json()}
