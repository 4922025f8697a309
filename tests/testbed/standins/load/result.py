# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of a replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Any

_QUANTILES = (50, 90, 95, 99, 100)


@dataclass(frozen=True)
class Second:
    """The state at the end of a second since the start; all counts but `in_flight` and `pods` are from the start on."""

    second: int
    sent: int
    finished: int
    aborted: int
    lost: int
    in_flight: int
    pods: int


@dataclass
class LoadResult:
    """Every request sent is finished (answered in full), aborted (answered by vLLM with finish reason abort) or lost.

    Latencies in seconds, of finished requests, as the client measured them; the time to the first token includes
    a wait for a pod. `reasons` says why requests were lost.
    """

    started: str
    sent: int = 0
    finished: int = 0
    aborted: int = 0
    lost: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    ttft: list[float] = field(default_factory=list)
    e2e: list[float] = field(default_factory=list)
    timeline: list[Second] = field(default_factory=list)

    @property
    def in_flight(self) -> int:
        return self.sent - self.finished - self.aborted - self.lost

    def tick(self, second: int, pods: int) -> None:
        counts = (self.sent, self.finished, self.aborted, self.lost, self.in_flight)
        self.timeline.append(Second(second, *counts, pods))

    def as_json(self) -> dict[str, Any]:
        return {
            "started": self.started,
            "sent": self.sent,
            "finished": self.finished,
            "aborted": self.aborted,
            "lost": self.lost,
            "reasons": dict(self.reasons),
            "ttft_s": percentiles(self.ttft),
            "e2e_s": percentiles(self.e2e),
            "timeline": [asdict(second) for second in self.timeline],
        }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """`p50` ... `p100` by nearest rank, rounded to 0.1 ms; empty without values."""
    ordered = sorted(values)
    ranks = {quantile: ceil(quantile / 100 * len(ordered)) - 1 for quantile in _QUANTILES}
    return {f"p{quantile}": round(ordered[rank], 4) for quantile, rank in ranks.items()} if ordered else {}
