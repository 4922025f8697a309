# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image pulls, one per node and image, and the addresses of pods."""

from __future__ import annotations

import asyncio
import itertools

# vllm/vllm-openai, rounded.
IMAGE_BYTES = 9_000_000_000


class ImageStore:
    """Which node holds which image; two pods that want the same image wait for the same pull."""

    def __init__(self) -> None:
        self._pulls: dict[tuple[str, str], asyncio.Task[None]] = {}

    def has(self, node: str, image: str) -> bool:
        pull = self._pulls.get((node, image))
        return pull is not None and pull.done()

    async def pull(self, node: str, image: str, duration_s: float) -> None:
        """Joins a pull under way; one that its pod no longer waits for goes on."""
        key = (node, image)
        if key not in self._pulls:
            self._pulls[key] = asyncio.create_task(asyncio.sleep(duration_s))
        await asyncio.shield(self._pulls[key])


class Addresses:
    """Addresses 10.A.B.C of a pod network `127.A`: pods listen on 127.A.B.C, which needs no set-up on Linux."""

    def __init__(self, network: str) -> None:
        loopback, _, second = network.partition(".")
        if loopback != "127" or not second.isdigit():
            raise ValueError(f"network {network!r} is not of the form 127.A")
        self._second = second
        self._used: set[str] = set()
        self._next = itertools.cycle(range(1, 255 * 254 + 1))

    def reserve(self, ip: str) -> None:
        self._used.add(ip)

    def allocate(self) -> str:
        """The address longest unused, so that no client of a dead pod meets its successor."""
        for number in self._next:
            ip = f"10.{self._second}.{number // 254}.{number % 254 + 1}"
            if ip not in self._used:
                self._used.add(ip)
                return ip
        raise AssertionError("itertools.cycle never ends")

    def release(self, ip: str) -> None:
        self._used.discard(ip)


def listen_address(pod_ip: str) -> str:
    return "127" + pod_ip.removeprefix("10")
