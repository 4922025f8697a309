# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus may answer, as values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

_HTML = "<!doctype html><html><body><h1>Sign in to continue</h1></body></html>"
#: Series of the answer that nobody expects; each is about 400 bytes of JSON.
_HUGE = 20_000


@dataclass(frozen=True)
class Answer:
    """``series`` has the value of each series. With an ``error`` that is the whole body, under ``status``.

    ``delay_s`` passes before the first byte; ``padding`` is the length of a label that each series carries.
    """

    name: str
    series: tuple[float, ...] = ()
    status: int = 200
    error: str | None = None
    padding: int = 0
    delay_s: float = 0.0


def vector(answer: Answer, now: float) -> bytes:
    """The body of the answer to an instant query at ``now``, in seconds since the epoch."""
    if answer.error is not None:
        return answer.error.encode()
    summed = len(answer.series) == 1
    result = [
        {"metric": {} if summed else _labels(index, answer.padding), "value": [now, _written(number)]}
        for index, number in enumerate(answer.series)
    ]
    return _success("vector", result)


def matrix(samples: Sequence[tuple[float, Answer]]) -> bytes:
    """The body of the answer to a range query: one series, with gaps where what was in force is no single value."""
    values = [[point, _written(answer.series[0])] for point, answer in samples if len(answer.series) == 1]
    return _success("matrix", [{"metric": {}, "values": values}] if values else [])


def _labels(index: int, padding: int) -> dict[str, str]:
    return {"pod": f"pod-{index}", "note": "x" * padding}


def _success(kind: str, result: Sequence[object]) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


def _written(number: float) -> str:
    """Prometheus writes +Inf, -Inf and NaN."""
    return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(str(number), repr(number))


def value(number: float) -> Answer:
    """One series, as KEDA wants it."""
    return Answer(f"{number:g}", (number,))


def series(*numbers: float) -> Answer:
    """Several, as a query without sum() gives them."""
    return Answer(f"{len(numbers)} series", numbers)


def failure(status: int) -> Answer:
    """An error in Prometheus' own form."""
    content = {"status": "error", "errorType": "internal", "error": "told to fail"}
    return Answer(f"HTTP {status}", status=status, error=json.dumps(content))


def late(answer: Answer, delay_s: float) -> Answer:
    """The same after a while."""
    return replace(answer, name=f"{answer.name} after {delay_s:g} s", delay_s=delay_s)


NAN = Answer("NaN", (float("nan"),))
INF = Answer("Inf", (float("inf"),))
EMPTY = Answer("empty")
#: What a proxy that wants a login puts in front of it.
HTML = Answer("HTML", error=_HTML)
HUGE = Answer("huge", (1.0,) * _HUGE, padding=340)
