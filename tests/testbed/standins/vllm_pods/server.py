# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vLLM's HTTP server, as far as clients, probes and Prometheus use it.

`/v1/completions` takes, beside a prompt, `prompt_tokens: N` in its place, so that load need not ship real text. A
stream carries its first token in one chunk and the rest in the last one; the times of both are those of the model.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from math import ceil
from typing import Any

from aiohttp import web

from .journal import Counts
from .live_engine import LiveEngine, Ticket
from .metrics import CONTENT_TYPE, Exposition

_CHARACTERS_PER_TOKEN = 4
_TOKEN = " a"
# vLLM's default for completions.
_DEFAULT_MAX_TOKENS = 16
_FLUSH_S = 1.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RequestError(Exception):
    """A request that vLLM answers with this status and an error object."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class Server:
    """Serves one engine on `host`:`port`; `counts` says how its completion requests ended."""

    def __init__(self, engine: LiveEngine, exposition: Exposition, model: str, hang_on_abort: bool) -> None:
        self.counts = Counts()
        self.dead = False
        self._engine = engine
        self._exposition = exposition
        self._model = model
        self._hang_on_abort = hang_on_abort
        self._in_flight: set[Ticket] = set()
        self._cut = False
        self._routes: dict[str, tuple[str, Handler]] = {
            "/health": ("GET", self._health),
            "/ping": ("GET", self._health),
            "/metrics": ("GET", self._metrics),
            "/v1/models": ("GET", self._models),
            "/v1/completions": ("POST", self._completions),
            # Not vLLM's: lets a test read the counts of a pod that still lives.
            "/testbed/counts": ("GET", self._counts),
        }
        app = web.Application()
        app.add_routes(web.route(method, path, handler) for path, (method, handler) in self._routes.items())
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=_FLUSH_S)

    async def start(self, host: str, port: int) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, backlog=1024).start()

    async def stop(self) -> None:
        """Close the listener and what is still open, as uvicorn does once told to end."""
        await self._runner.cleanup()

    async def cut(self) -> None:
        """Drop every connection where it stands, as the death of the process does; what was in flight is lost."""
        self._cut = True
        self.counts.lost += len(self._in_flight)
        if self._runner.server is not None:
            for connection in self._runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
        self._engine.stop()
        await self._runner.cleanup()

    def probe(self, path: str) -> bool:
        """What a GET of the kubelet would find."""
        return not self.dead and self._routes.get(path, ("", None))[0] == "GET"

    async def answered(self, timeout_s: float) -> None:
        """Until nothing is in flight, or the time is over."""
        waited = [ticket.done for ticket in self._in_flight if not ticket.done.done()]
        if waited:
            await asyncio.wait(waited, timeout=timeout_s)

    @property
    def hangs(self) -> bool:
        """Whether a client waits for an answer that never comes."""
        return self._hang_on_abort and any(ticket.request.finish_reason == "abort" for ticket in self._in_flight)

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(status=503 if self.dead else 200)

    async def _metrics(self, _: web.Request) -> web.Response:
        self._engine.current()
        text = self._exposition.render()
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _models(self, _: web.Request) -> web.Response:
        card = {"id": self._model, "object": "model", "owned_by": "vllm", "root": self._model, "parent": None}
        limits = self._engine.limits
        return web.json_response({"object": "list", "data": [{**card, "max_model_len": limits.max_model_len}]})

    async def _counts(self, _: web.Request) -> web.Response:
        return web.json_response(self.counts.as_dict())

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await request.json()
            prompt_tokens, max_tokens = self._sizes(body)
        except RequestError as error:
            return _error(error)
        except ValueError as error:
            return _error(RequestError(400, "BadRequestError", str(error)))
        if self.dead:
            return _error(RequestError(500, "InternalServerError", "EngineCore is dead"))
        ticket = self._engine.submit(prompt_tokens, max_tokens)
        self._in_flight.add(ticket)
        try:
            answer = await (self._stream(request, ticket, body) if body.get("stream") else self._whole(ticket))
            self._count(ticket)
            return answer
        except (asyncio.CancelledError, ConnectionError):
            if not self._cut:
                self.counts.cancelled += 1
                self._engine.cancel(ticket)
            raise
        finally:
            self._in_flight.discard(ticket)

    def _sizes(self, body: dict[str, Any]) -> tuple[int, int]:
        """Prompt tokens and max_tokens of a request; RequestError as vLLM refuses it."""
        if body.get("model", self._model) != self._model:
            raise RequestError(404, "NotFoundError", f"The model `{body['model']}` does not exist.")
        prompt = body.get("prompt", "")
        prompt_tokens = int(body.get("prompt_tokens", 0)) or (
            ceil(len(prompt) / _CHARACTERS_PER_TOKEN) if isinstance(prompt, str) else len(prompt)
        )
        max_tokens = int(body.get("max_tokens", _DEFAULT_MAX_TOKENS))
        if prompt_tokens < 1 or max_tokens < 1:
            raise RequestError(400, "BadRequestError", "the prompt and max_tokens must not be empty")
        context = self._engine.limits.max_model_len
        if prompt_tokens + max_tokens > context:
            message = f"maximum context length is {context} tokens: {prompt_tokens} in the prompt, {max_tokens} wanted"
            raise RequestError(400, "BadRequestError", message)
        return prompt_tokens, max_tokens

    async def _ended(self, ticket: Ticket) -> None:
        await ticket.done
        if ticket.request.finish_reason == "abort" and self._hang_on_abort:
            await asyncio.Event().wait()

    async def _whole(self, ticket: Ticket) -> web.Response:
        await self._ended(ticket)
        # Measured on vLLM 0.32: an abort answers 200 without a single token, whatever was generated before.
        tokens = 0 if ticket.request.finish_reason == "abort" else ticket.request.generated
        return web.json_response({**self._completion(ticket, tokens), "usage": _usage(ticket, tokens)})

    async def _stream(self, request: web.Request, ticket: Ticket, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        await ticket.first_token
        first = 1 if ticket.request.generated else 0
        if first and not ticket.done.done():
            await response.write(_event({**self._completion(ticket, 1), "usage": None}))
        else:
            first = 0
        await self._ended(ticket)
        last = self._completion(ticket, ticket.request.generated - first)
        if (body.get("stream_options") or {}).get("include_usage"):
            last["usage"] = _usage(ticket, ticket.request.generated)
        await response.write(_event(last) + b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    def _completion(self, ticket: Ticket, tokens: int) -> dict[str, Any]:
        choice = {"index": 0, "text": _TOKEN * tokens, "logprobs": None, "stop_reason": None}
        return {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": self._model,
            "choices": [{**choice, "finish_reason": ticket.request.finish_reason}],
        }

    def _count(self, ticket: Ticket) -> None:
        if ticket.request.finish_reason == "abort":
            self.counts.aborted += 1
        else:
            self.counts.finished += 1


def _usage(ticket: Ticket, tokens: int) -> dict[str, int]:
    prompt = ticket.request.prompt_tokens
    return {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}


def _event(payload: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def _error(error: RequestError) -> web.Response:
    body = {"message": str(error), "type": error.kind, "param": None, "code": error.status}
    return web.json_response({"error": body}, status=error.status)
