# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo has seen, and whether it kept what the collection promises."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from testbed.standins.load import LoadResult
from testbed.standins.load.result import percentiles
from testbed.timeline import Sample, Watched


@dataclass(frozen=True)
class Phase:
    """A part of the demo; ``start`` and ``end`` in seconds since the epoch."""

    name: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


class Phases(list[Phase]):
    """The phases so far, each announced when it begins."""

    @contextmanager
    def phase(self, name: str, about: str) -> Iterator[None]:
        print(f"\n== {len(self) + 1}. {about}", flush=True)
        start = time.time()
        yield
        self.append(Phase(name, start, time.time()))


@dataclass
class Record:
    """``samples`` are from the start of the first site.yml to the end of the second, which ``changed`` is of."""

    model: Watched
    load: LoadResult
    phases: list[Phase]
    samples: list[Sample]
    at_rest: bool
    changed: int
    arrivals: list[tuple[float, int]] = field(init=False)

    def __post_init__(self) -> None:
        """``arrivals``: (seconds since the epoch, requests sent in the second that ends then)."""
        began = datetime.fromisoformat(self.load.started).timestamp()
        seconds = pairwise((0, *(second.sent for second in self.load.timeline)))
        self.arrivals = [(began + index, after - before) for index, (before, after) in enumerate(seconds, start=1)]

    @property
    def peak_replicas(self) -> int:
        return max(sample.ready for sample in self.samples)

    @property
    def peak_nodes(self) -> int:
        return max(sample.nodes for sample in self.samples)

    @property
    def node_seconds(self) -> float:
        """Seconds for which GPU nodes were there, summed over nodes."""
        return sum(before.nodes * (after.at - before.at) for before, after in pairwise(self.samples))

    @property
    def promises(self) -> dict[str, bool]:
        """What has to be true of every demo, and whether it was."""
        load, low = self.load, self.model.minimum
        return {
            "every request was answered in full": load.finished == load.sent > 0,
            "the fleet grew": self.peak_replicas > low and self.peak_nodes > self.model.nodes(low),
            "it shrank back to its minimum, and the nodes left": self.at_rest,
            "the second site.yml changed nothing": self.changed == 0,
        }

    def table(self) -> str:
        """The figures and the promises, a line each."""
        load, ttft = self.load, percentiles(self.load.ttft)
        rows = {
            "requests": f"{load.sent} sent, {load.finished} finished, {load.aborted} aborted, {load.lost} lost",
            "time to first token": f"p50 {ttft['p50']:.2f} s, p95 {ttft['p95']:.2f} s" if ttft else "none",
            "peak": f"{self.peak_replicas} replicas on {self.peak_nodes} GPU nodes",
            "GPU nodes in use": f"{self.node_seconds:.0f} node-seconds",
            "second site.yml": f"changed={self.changed}",
            **{f"seconds: {phase.name}": f"{phase.seconds:.0f}" for phase in self.phases},
        }
        lines = [f"  {name:<28} {text}" for name, text in rows.items()]
        kept = [f"  {'kept' if kept else 'BROKEN':<28} {promise}" for promise, kept in self.promises.items()]
        return "\n".join([*lines, "", *kept])
