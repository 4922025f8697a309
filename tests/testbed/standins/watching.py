# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the bed's blocking REST client into an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

import requests

from testbed.api import Api, ApiError, Json, Query

T = TypeVar("T")
_RETRY_S = 0.5


async def changes(api: Api, path: str, query: Query | None = None) -> AsyncIterator[tuple[str, Json]]:
    """(ADDED | MODIFIED | DELETED, object) for ever, as `Api.watch`; raises what ends that."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[str, Json] | Exception] = asyncio.Queue()

    def pump() -> None:
        # The loop is closed when the program ends while this thread still waits for a change.
        with contextlib.suppress(RuntimeError):
            try:
                for change in _watch(api, path, query):
                    loop.call_soon_threadsafe(queue.put_nowait, change)
            except Exception as error:
                loop.call_soon_threadsafe(queue.put_nowait, error)

    threading.Thread(target=pump, name=f"watch {path}", daemon=True).start()
    while True:
        item = await queue.get()
        if isinstance(item, Exception):
            raise item
        yield item


def _watch(api: Api, path: str, query: Query | None) -> Iterator[tuple[str, Json]]:
    """`Api.watch`, started again while the API server still sets up the storage of a new resource type (429)."""
    while True:
        try:
            yield from api.watch(path, query)
        except ApiError as error:
            if error.status != 429:
                raise
        time.sleep(_RETRY_S)


async def write(call: Callable[[], T]) -> T | None:
    """The result of a blocking write, repeated while the API server is away; None when the object is gone."""
    while True:
        try:
            return await asyncio.to_thread(call)
        except ApiError as error:
            if error.status == 404:
                return None
            if error.status != 429 and error.status < 500:
                raise
        except requests.RequestException:
            pass
        await asyncio.sleep(_RETRY_S)
