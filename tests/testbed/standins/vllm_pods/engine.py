# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of vLLM's scheduler and worker that costs a few events per request, however many tokens it makes.

Continuous batching: every decoding sequence gains one token per engine step, and a step takes longer the more
sequences share it. Between two events (a prefill ends, a sequence finishes, the KV cache fills up) the batch is
constant, so progress is a straight line in `steps`, and the next event can be computed instead of awaited.

Taken from vLLM (v1 scheduler, 0.32): first come first served with head-of-line blocking, at most `max_num_seqs`
running, a waiting request admitted once its whole prompt fits the free KV cache, and the newest running sequence
preempted (its cache dropped, to be recomputed later, at the head of the queue) when a step finds no free block.
Simplified: prefills run one after the other at full speed and do not slow the decoding beside them.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil

from .stats import EngineStats

_EPSILON = 1e-6


@dataclass(frozen=True)
class Limits:
    """What bounds the batch; KV cache sizes in tokens."""

    max_num_seqs: int = 256
    max_model_len: int = 8192
    num_gpu_blocks: int = 32768
    block_size: int = 16

    @property
    def kv_tokens(self) -> int:
        return self.num_gpu_blocks * self.block_size


@dataclass(frozen=True)
class Speed:
    """What a step costs: a fixed part and one part per sequence in it."""

    prefill_tokens_per_s: float = 20_000.0
    step_s: float = 0.02
    step_per_sequence_s: float = 0.0002

    def step(self, sequences: int) -> float:
        return self.step_s + self.step_per_sequence_s * sequences


def _ignore() -> None:
    pass


@dataclass(eq=False)
class Request:
    """One completion request and what became of it; times are those of the engine's clock, in seconds."""

    prompt_tokens: int
    max_tokens: int
    on_first_token: Callable[[], None] = _ignore
    on_finish: Callable[[], None] = _ignore
    arrived: float = 0.0
    scheduled: float | None = None
    first_token: float | None = None
    finished: float | None = None
    finish_reason: str | None = None
    generated: int = 0
    preemptions: int = 0
    # Decoding: `generated` counts up to step `_joined`, later tokens follow from the engine's step count.
    _joined: float = field(default=0.0, repr=False)

    @property
    def kv_tokens(self) -> int:
        return self.prompt_tokens + self.generated


class Engine:
    """Feed it with `submit` and `cancel`; call `advance` at `next_event` at the latest."""

    def __init__(self, limits: Limits, speed: Speed, stats: EngineStats, now: float = 0.0) -> None:
        if limits.kv_tokens < limits.max_model_len:
            raise ValueError(f"KV cache of {limits.kv_tokens} tokens is smaller than one request of max_model_len")
        self.limits = limits
        self.speed = speed
        self.stats = stats
        self.draining = False
        self._now = now
        self._steps = 0.0
        self._order = itertools.count()
        self._waiting: deque[Request] = deque()
        self._prefilling: dict[Request, float] = {}
        self._decoding: dict[Request, None] = {}
        self._finishes: list[tuple[float, int, Request]] = []
        self._prefill_free_at = now
        # Tokens in the KV cache at step 0 of every decoding sequence, and those of the prefills.
        self._kv_offset = 0.0
        self._kv_prefills = 0

    @property
    def running(self) -> int:
        return len(self._prefilling) + len(self._decoding)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def kv_usage(self) -> float:
        """Share of blocks in use, 0 to 1; one block of the pool is never handed out (seen in vLLM 0.32: 4/8191)."""
        tokens = [request.kv_tokens for request in self._prefilling]
        tokens += [request.kv_tokens + int(self._steps - request._joined) for request in self._decoding]
        blocks = sum(ceil(count / self.limits.block_size) for count in tokens)
        return min(1.0, blocks / (self.limits.num_gpu_blocks - 1))

    def submit(self, request: Request, now: float) -> None:
        """Queue a request; one that arrives while the engine drains is aborted at once."""
        self.advance(now)
        request.arrived = now
        if self.draining:
            self._finish(request, "abort")
            return
        self._waiting.append(request)
        self._admit()

    def cancel(self, request: Request, now: float) -> None:
        """Drop a request whose client went away."""
        self.advance(now)
        if request.finish_reason is None:
            self._remove(request)
            self._finish(request, "abort")
            self._admit()

    def abort_all(self, now: float) -> None:
        """End every request with what it has."""
        self.advance(now)
        for request in (*self._prefilling, *self._decoding, *self._waiting):
            self._remove(request)
            self._finish(request, "abort")

    def next_event(self) -> float | None:
        """When the state changes next without outside help; None while idle."""
        events = list(itertools.islice(self._prefilling.values(), 1))
        if self._decoding:
            step_s = self.speed.step(len(self._decoding))
            events.append(self._now + (self._next_finish() - self._steps) * step_s)
            events.append(self._now + self._kv_free() / len(self._decoding) * step_s)
        return max(self._now, min(events)) if events else None

    def advance(self, now: float) -> None:
        """Play everything that happens up to `now`."""
        while (event := self.next_event()) is not None and event <= now:
            self._move(event)
            self._finish_decodes()
            self._finish_prefills()
            if self._decoding and self._kv_free() <= _EPSILON:
                self._preempt()
            self._admit()
        self._move(now)

    def _move(self, now: float) -> None:
        if self._decoding:
            step_s = self.speed.step(len(self._decoding))
            steps = (now - self._now) / step_s
            self._steps += steps
            self.stats.decoded(len(self._decoding), steps, step_s)
        self._now = max(self._now, now)

    def _kv_free(self) -> float:
        used = self._kv_offset + len(self._decoding) * self._steps + self._kv_prefills
        return self.limits.kv_tokens - used

    def _next_finish(self) -> float:
        while self._finishes[0][2] not in self._decoding or self._finishes[0][0] != self._due(self._finishes[0][2]):
            heapq.heappop(self._finishes)
        return self._finishes[0][0]

    @staticmethod
    def _due(request: Request) -> float:
        return request._joined + request.max_tokens - request.generated

    def _finish_decodes(self) -> None:
        while self._decoding and self._next_finish() <= self._steps + _EPSILON:
            request = heapq.heappop(self._finishes)[2]
            self._remove(request)
            self._finish(request, "length")

    def _finish_prefills(self) -> None:
        for request in [request for request, end in self._prefilling.items() if end <= self._now + _EPSILON]:
            self._remove(request)
            self.stats.prefilled()
            request.generated += 1
            if request.first_token is None:
                request.first_token = self._now
                self.stats.prefilled_tokens_total += request.prompt_tokens
                self.stats.first_token.observe(self._now - request.arrived)
                request.on_first_token()
            if request.generated >= request.max_tokens:
                self._finish(request, "length")
            else:
                self._decode(request)

    def _decode(self, request: Request) -> None:
        request._joined = self._steps
        self._decoding[request] = None
        self._kv_offset += request.kv_tokens - self._steps
        heapq.heappush(self._finishes, (self._due(request), next(self._order), request))

    def _admit(self) -> None:
        while self._waiting and self.running < self.limits.max_num_seqs:
            request = self._waiting[0]
            # Room for one more step of the others: else a preempted sequence would come straight back.
            if request.kv_tokens + len(self._decoding) > self._kv_free():
                return
            self._waiting.popleft()
            if request.scheduled is None:
                request.scheduled = self._now
            cost = request.kv_tokens / self.speed.prefill_tokens_per_s
            self._prefill_free_at = max(self._prefill_free_at, self._now) + cost
            self._prefilling[request] = self._prefill_free_at
            self._kv_prefills += request.kv_tokens

    def _preempt(self) -> None:
        newest = next(reversed(self._prefilling or self._decoding))
        self._remove(newest)
        newest.preemptions += 1
        self.stats.preemptions += 1
        self._waiting.appendleft(newest)

    def _remove(self, request: Request) -> None:
        """Take a request out of whichever place it is in, its tokens so far settled."""
        if request in self._prefilling:
            del self._prefilling[request]
            self._kv_prefills -= request.kv_tokens
        elif request in self._decoding:
            del self._decoding[request]
            self._kv_offset -= request.kv_tokens - request._joined
            steps = self._steps - request._joined
            request.generated += int(steps + _EPSILON)
            self.stats.torn(steps - int(steps + _EPSILON))
        else:
            self._waiting.remove(request)

    def _finish(self, request: Request, reason: str) -> None:
        request.finish_reason = reason
        request.finished = self._now
        self.stats.request_finished(request)
        request.on_finish()
