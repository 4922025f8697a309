# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine model on the event loop's clock: one timer, armed for the next event."""

from __future__ import annotations

import asyncio

from .engine import Engine, Limits, Request, Speed
from .stats import EngineStats


class Ticket:
    """A submitted request and the two moments that its client waits for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, prompt_tokens: int, max_tokens: int) -> None:
        self.first_token: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()
        self.request = Request(prompt_tokens, max_tokens, self._on_first_token, self._on_finish)

    def _on_first_token(self) -> None:
        self.first_token.set_result(None)

    def _on_finish(self) -> None:
        if not self.first_token.done():
            self.first_token.set_result(None)
        self.done.set_result(None)


class LiveEngine:
    def __init__(self, limits: Limits, speed: Speed) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._engine = Engine(limits, speed, EngineStats(limits.max_model_len), self._loop.time())

    @property
    def limits(self) -> Limits:
        return self._engine.limits

    def current(self) -> Engine:
        """The engine, played up to now."""
        self._engine.advance(self._loop.time())
        return self._engine

    def submit(self, prompt_tokens: int, max_tokens: int) -> Ticket:
        ticket = Ticket(self._loop, prompt_tokens, max_tokens)
        self._engine.submit(ticket.request, self._loop.time())
        self._arm()
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        self._engine.cancel(ticket.request, self._loop.time())
        self._arm()

    def drain(self) -> None:
        """From now on abort whatever arrives."""
        self._engine.draining = True

    def abort_all(self) -> None:
        self._engine.abort_all(self._loop.time())
        self._arm()

    def stop(self) -> None:
        """Nothing happens from now on; who waits for a ticket waits for ever."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        event = self._engine.next_event()
        self._timer = None if event is None else self._loop.call_at(event, self._on_event)

    def _on_event(self) -> None:
        # The loop may call a timer up to one clock tick early: then it is simply armed again.
        self._engine.advance(self._loop.time())
        self._arm()
