# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods that traffic can go to."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from testbed.api import Json

MODEL_LABEL = "gpufleet.io/model"


@dataclass(eq=False)
class Target:
    """One ready pod; `outstanding` requests are on their way to it or in it."""

    url: str
    outstanding: int = 0
    # Place in the turn of equals.
    turn: int = 0


def url_of(pod: Json) -> str | None:
    """Where a pod takes requests; None when it is not Ready, or terminating."""
    status = pod.get("status", {})
    conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
    if "deletionTimestamp" in pod["metadata"] or conditions.get("Ready") != "True" or "podIP" not in status:
        return None
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports", ())]
    named = {port.get("name"): port["containerPort"] for port in reversed(ports)}
    port = named.get("http") or (ports[0]["containerPort"] if ports else 8000)
    # The pods of the bed listen on the loopback address of the same number.
    return f"http://127{status['podIP'].removeprefix('10')}:{port}"


class Targets:
    """Follows pods, late by `lag` seconds, and says which is next."""

    def __init__(self, balance: str, lag: float) -> None:
        self._balance = balance
        self._lag = lag
        self._targets: dict[str, Target] = {}
        self._turns = itertools.count(1)
        self._any = asyncio.Event()

    def __len__(self) -> int:
        return len(self._targets)

    def start(self, pods: Iterable[Json]) -> None:
        """Begin with the pods that are there."""
        for pod in pods:
            self._set(pod["metadata"]["uid"], url_of(pod))

    async def follow(self, pods: AsyncIterator[tuple[str, Json]]) -> None:
        loop = asyncio.get_running_loop()
        async for kind, pod in pods:
            url = None if kind == "DELETED" else url_of(pod)
            loop.call_later(self._lag, self._set, pod["metadata"]["uid"], url)

    def _set(self, uid: str, url: str | None) -> None:
        if url is None:
            self._targets.pop(uid, None)
        elif uid not in self._targets:
            self._targets[uid] = Target(url)
        if self._targets:
            self._any.set()
        else:
            self._any.clear()

    def pick(self) -> Target | None:
        """The next one in turn, of those with the fewest outstanding requests unless balancing is round-robin."""
        least = self._balance == "least-outstanding"
        chosen = min(self._targets.values(), key=lambda each: (each.outstanding * least, each.turn), default=None)
        if chosen is not None:
            chosen.turn = next(self._turns)
        return chosen

    async def wait(self) -> Target:
        while (target := self.pick()) is None:
            await self._any.wait()
        return target
