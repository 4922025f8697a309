# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one vLLM engine counts, with the bucket bounds of vLLM 0.32.0 (read from a captured `/metrics`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .histogram import Histogram

if TYPE_CHECKING:
    from .engine import Request

_SECONDS = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0)
LATENCY_S = (*_SECONDS, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0)
_COMMON = (0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
FIRST_TOKEN_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, *_COMMON, 160.0, 640.0, 2560.0)
_TENTHS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4)
PER_TOKEN_S = (*_TENTHS, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
STEP_TOKENS = tuple(float(2**n) for n in (0, *range(3, 15)))
PREEMPTIONS = (1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0)
PARALLEL_SAMPLES = (1.0, 2.0, 5.0, 10.0, 20.0)
FINISH_REASONS = ("stop", "length", "abort", "error", "repetition")


def request_tokens(max_model_len: int) -> tuple[float, ...]:
    """Bounds 1, 2, 5, 10 ... up to the context length, as vLLM builds them for token counts."""
    bounds = (float(mantissa * 10**exponent) for exponent in range(12) for mantissa in (1, 2, 5))
    return tuple(bound for bound in bounds if bound <= max_model_len)


class EngineStats:
    """Counters and histograms of one engine life; times in seconds."""

    def __init__(self, max_model_len: int) -> None:
        tokens = request_tokens(max_model_len)
        self.preemptions = 0
        self.finished = dict.fromkeys(FINISH_REASONS, 0)
        self.prompt_tokens = Histogram(tokens)
        self.generation_tokens = Histogram(tokens)
        self.max_generation_tokens = Histogram(tokens)
        self.max_tokens = Histogram(tokens)
        self.prefill_tokens = Histogram(tokens)
        self.parallel_samples = Histogram(PARALLEL_SAMPLES)
        self.request_preemptions = Histogram(PREEMPTIONS)
        self.first_token = Histogram(FIRST_TOKEN_S)
        self.inter_token = Histogram(PER_TOKEN_S)
        self.per_output_token = Histogram(PER_TOKEN_S)
        self.e2e = Histogram(LATENCY_S)
        self.queue = Histogram(LATENCY_S)
        self.inference = Histogram(LATENCY_S)
        self.prefill = Histogram(LATENCY_S)
        self.decode = Histogram(LATENCY_S)
        self.step_tokens = Histogram(STEP_TOKENS)
        self.prefilled_tokens_total = 0
        self._generated = 0.0
        self._tokens_due = 0.0
        self._steps_due = 0.0

    @property
    def generated_tokens_total(self) -> int:
        # The sum of many fractions of a step ends a hair below the whole number it stands for.
        return int(self._generated + 1e-6)

    def prefilled(self) -> None:
        """A prefill ended, and with it came one token."""
        self._generated += 1

    def torn(self, part: float) -> None:
        """A sequence left the batch in the middle of a step: that part of a token never came to be."""
        self._generated -= part

    def decoded(self, sequences: int, steps: float, step_s: float) -> None:
        """So many sequences went on by a (fractional) number of engine steps of equal length."""
        self._generated += sequences * steps
        self._tokens_due += sequences * steps
        self._steps_due += steps
        tokens, whole_steps = int(self._tokens_due), int(self._steps_due)
        self._tokens_due -= tokens
        self._steps_due -= whole_steps
        self.inter_token.observe(step_s, tokens)
        self.step_tokens.observe(float(sequences), whole_steps)

    def request_finished(self, request: Request) -> None:
        """Record a request that ended; vLLM observes latencies at this point, not while the request runs."""
        assert request.finished is not None and request.finish_reason is not None
        self.finished[request.finish_reason] += 1
        scheduled = request.finished if request.scheduled is None else request.scheduled
        first_token = request.finished if request.first_token is None else request.first_token
        decode_s = request.finished - first_token
        self.e2e.observe(request.finished - request.arrived)
        self.queue.observe(scheduled - request.arrived)
        self.inference.observe(request.finished - scheduled)
        self.prefill.observe(first_token - scheduled)
        self.decode.observe(decode_s)
        self.per_output_token.observe(decode_s / (request.generated - 1) if request.generated > 1 else 0.0)
        self.prompt_tokens.observe(request.prompt_tokens)
        self.prefill_tokens.observe(request.prompt_tokens)
        self.generation_tokens.observe(request.generated)
        self.max_generation_tokens.observe(request.max_tokens)
        self.max_tokens.observe(request.max_tokens)
        self.parallel_samples.observe(1)
        self.request_preemptions.observe(request.preemptions)
