# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends the requests: an open loop, so that slow answers do not slow the arrivals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp

from testbed.api import Api, resource_path

from .. import timestamps
from ..watching import changes
from .options import LoadOptions, lengths
from .profile import LoadProfile
from .result import LoadResult
from .targets import MODEL_LABEL, Target, Targets

# A stream's last line carries the text of nearly all its tokens.
_LINE_LIMIT = 2**22


def run_load(
    api: Api,
    namespace: str,
    model: str,
    profile: LoadProfile,
    options: LoadOptions | None = None,
    stop: threading.Event | None = None,
) -> LoadResult:
    """Replay the profile and return when every request has ended. Runs in the calling thread.

    `model` is the value of the pod label gpufleet.io/model and the served model name. Once `stop` is set nothing more
    is sent.
    """
    return asyncio.run(_Replay(api, namespace, model, options or LoadOptions()).run(profile, stop))


class _Replay:
    def __init__(self, api: Api, namespace: str, model: str, options: LoadOptions) -> None:
        self._api = api
        self._namespace = namespace
        self._model = model
        self._options = options
        self._targets = Targets(options.balance, options.endpoint_lag)
        self._result = LoadResult(timestamps.now_micro())

    async def run(self, profile: LoadProfile, stop: threading.Event | None) -> LoadResult:
        path = resource_path("v1", "pods", self._namespace)
        query = {"labelSelector": f"{MODEL_LABEL}={self._model}"}
        self._targets.start(await asyncio.to_thread(self._api.list, path, query))
        follower = asyncio.create_task(self._targets.follow(changes(self._api, path, query)))
        ticker = asyncio.create_task(self._tick())
        timeout = aiohttp.ClientTimeout(total=self._options.timeout)
        # One connection a request: a Service balances connections, not requests.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=_LINE_LIMIT) as session,
            asyncio.TaskGroup() as requests,
        ):
            async for body in self._due(profile, stop):
                if follower.done():
                    follower.result()
                self._result.sent += 1
                requests.create_task(self._send(session, body))
        follower.cancel()
        ticker.cancel()
        self._result.tick(len(self._result.timeline) + 1, len(self._targets))
        return self._result

    async def _due(self, profile: LoadProfile, stop: threading.Event | None) -> AsyncIterator[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        arrivals = profile.arrivals(self._options.seed, even=self._options.even)
        for arrival, body in zip(arrivals, self._bodies(), strict=False):
            while (pause := began + arrival - loop.time()) > 0 and not (stop and stop.is_set()):
                await asyncio.sleep(min(pause, 0.5))
            if stop and stop.is_set():
                return
            yield body

    def _bodies(self) -> Iterator[dict[str, Any]]:
        seed = self._options.seed
        prompts = lengths(self._options.prompt_tokens, random.Random(f"{seed}/prompts"))
        outputs = lengths(self._options.output_tokens, random.Random(f"{seed}/outputs"))
        for prompt, output in zip(prompts, outputs, strict=True):
            yield {"model": self._model, "prompt_tokens": prompt, "max_tokens": output, "stream": True}

    async def _send(self, session: aiohttp.ClientSession, body: dict[str, Any]) -> None:
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._options.timeout):
                target = await self._targets.wait() if self._options.wait_for_pod else self._targets.pick()
                if target is None:
                    self._lose("no ready pod")
                    return
                target.outstanding += 1
                try:
                    await self._stream(session, target, body, began)
                finally:
                    target.outstanding -= 1
        except TimeoutError:
            self._lose("timeout")
        except aiohttp.ClientError as error:
            self._lose(type(error).__name__)

    async def _stream(self, session: aiohttp.ClientSession, target: Target, body: dict[str, Any], began: float) -> None:
        loop = asyncio.get_running_loop()
        first_token: float | None = None
        reason = None
        async with session.post(f"{target.url}/v1/completions", json=body) as answer:
            if answer.status != 200:
                self._lose(f"HTTP {answer.status}")
                return
            async for line in answer.content:
                if not line.startswith(b"data: {"):
                    continue
                choice = json.loads(line[6:])["choices"][0]
                reason = choice["finish_reason"]
                if choice["text"] and first_token is None:
                    first_token = loop.time()
        if reason is None:
            self._lose("truncated")
        elif reason == "abort":
            self._result.aborted += 1
        else:
            self._result.finished += 1
            self._result.e2e.append(loop.time() - began)
            self._result.ttft.append((first_token or loop.time()) - began)

    def _lose(self, reason: str) -> None:
        self._result.lost += 1
        self._result.reasons[reason] += 1

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                second = len(self._result.timeline) + 1
                await asyncio.sleep(began + second - loop.time())
                self._result.tick(second, len(self._targets))
