# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One vLLM server process: start-up stages, serving, and the two signals that end it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from . import arguments
from .engine import Limits, Speed
from .journal import Counts
from .knobs import Knobs
from .live_engine import LiveEngine
from .metrics import Exposition
from .server import Server

SIGKILLED = 137
SIGTERMED = 143
_REFUSED_ARGUMENTS = 2


class VllmProcess:
    """`exited` resolves to the exit code. Nothing listens before the engine is up, as in vLLM."""

    def __init__(self, words: Sequence[str], knobs: Knobs, host: str, has_gpu: bool) -> None:
        """`words` is the command line, `host` the address to listen on."""
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._words = words
        self._knobs = knobs
        self._host = host
        self._has_gpu = has_gpu
        self._engine: LiveEngine | None = None
        self._server: Server | None = None
        self._port = 0
        self._shutdown_timeout_s = 0
        self._boot = asyncio.create_task(self._start_up())

    @property
    def counts(self) -> Counts:
        return Counts() if self._server is None else self._server.counts

    def probe(self, path: str, port: int) -> bool:
        """Whether a GET of the kubelet is answered with success."""
        return self._server is not None and port == self._port and self._server.probe(path)

    async def terminate(self) -> None:
        """SIGTERM (vLLM 0.18 and later): drain for at most `--shutdown-timeout`, abort the rest, tear down, exit 0.

        While it drains new requests are accepted and aborted, and `/health` stays 200. A process that still loads
        dies at once.
        """
        server, engine = self._server, self._engine
        if server is None or engine is None:
            self._boot.cancel()
            self._exit(SIGTERMED)
            return
        engine.drain()
        await server.answered(self._shutdown_timeout_s)
        engine.abort_all()
        if server.hangs:
            return
        server.dead = True
        await asyncio.sleep(self._knobs.teardown)
        await server.stop()
        self._exit(0)

    async def kill(self) -> None:
        """SIGKILL: every connection is cut."""
        self._boot.cancel()
        if self._server is not None and not self.exited.done():
            await self._server.cut()
        self._exit(SIGKILLED)

    async def _start_up(self) -> None:
        """Exits as vLLM does: 2 for flags it cannot parse, 1 without a GPU or with too small a KV cache."""
        try:
            parsed = arguments.parse(self._words)
        except arguments.ArgumentError as error:
            logging.warning("%s", error)
            self._exit(_REFUSED_ARGUMENTS)
            return
        await asyncio.sleep(self._knobs.load)
        if not self._has_gpu:
            self._exit(1)
            return
        await asyncio.sleep(self._knobs.compile + self._knobs.warmup)
        try:
            engine = LiveEngine(self._limits(parsed), self._speed())
        except ValueError as error:
            logging.warning("%s", error)
            self._exit(1)
            return
        await self._serve(engine, parsed)

    async def _serve(self, engine: LiveEngine, parsed: arguments.Arguments) -> None:
        name = parsed.served_model_name
        exposition = Exposition(engine.current(), name, time.time(), parsed.num_gpu_blocks_override)
        server = Server(engine, exposition, name, self._knobs.on_abort == "hang")
        await server.start(self._host, parsed.port)
        self._port, self._shutdown_timeout_s = parsed.port, parsed.shutdown_timeout_s
        self._engine, self._server = engine, server

    def _limits(self, parsed: arguments.Arguments) -> Limits:
        return Limits(
            max_num_seqs=parsed.max_num_seqs,
            max_model_len=parsed.max_model_len or self._knobs.max_model_len,
            num_gpu_blocks=parsed.num_gpu_blocks_override or self._knobs.kv_tokens // parsed.block_size,
            block_size=parsed.block_size,
        )

    def _speed(self) -> Speed:
        return Speed(self._knobs.prefill_tokens_per_s, self._knobs.step, self._knobs.step_per_sequence)

    def _exit(self, code: int) -> None:
        if not self.exited.done():
            self.exited.set_result(code)
