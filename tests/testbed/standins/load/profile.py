# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests arrive when."""

from __future__ import annotations

import csv
import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import sqrt
from pathlib import Path
from typing import Any

import yaml

from ..durations import seconds


@dataclass(frozen=True)
class Segment:
    """`duration` seconds in which the rate goes in a straight line from `start` to `end` requests a second."""

    duration: float
    start: float
    end: float

    def requests(self, elapsed: float) -> float:
        """Expected requests in the first so many seconds."""
        return elapsed * (self.start + (self.end - self.start) * elapsed / self.duration / 2)

    def elapsed(self, requests: float) -> float:
        """The inverse of `requests`."""
        slope = (self.end - self.start) / self.duration
        # Of the two forms of the root the one that stays exact when the slope goes to zero.
        return 2 * requests / (self.start + sqrt(max(0.0, self.start**2 + 2 * slope * requests)))


class LoadProfile:
    """A piecewise linear rate; ValueError for an empty one, a negative rate, or no duration."""

    def __init__(self, segments: Iterable[Segment]) -> None:
        self._segments = list(segments)
        if not self._segments or any(s.duration <= 0 or min(s.start, s.end) < 0 for s in self._segments):
            raise ValueError("a profile needs segments with a duration above 0 and rates of at least 0")
        totals = [segment.requests(segment.duration) for segment in self._segments]
        self._counts = [0.0, *accumulate(totals)]
        self._starts = [0.0, *accumulate(segment.duration for segment in self._segments)]

    @classmethod
    def read(cls, path: Path) -> LoadProfile:
        """From a `.csv` file of `seconds,rate` rows, else from YAML; ValueError says what cannot be read.

        A CSV row holds until the next one, the last as long as the one before it. A YAML file is a list of
        `{rate: 2, for: 30s}` (a step) and `{rate: 2, to: 20, for: 1m}` (a ramp).
        """
        if path.suffix == ".csv":
            with path.open(newline="") as file:
                return cls.from_rows(csv.reader(file))
        return cls.from_steps(yaml.safe_load(path.read_text()))

    @classmethod
    def from_rows(cls, rows: Iterable[list[str]]) -> LoadProfile:
        points = [(float(row[0]), float(row[1])) for row in rows if row and row[0][:1].isdigit()]
        if len(points) < 2:
            raise ValueError("a profile in CSV needs at least two rows of seconds,rate")
        widths = [after[0] - before[0] for before, after in pairwise(points)]
        return cls(Segment(width, rate, rate) for width, (_, rate) in zip([*widths, widths[-1]], points, strict=True))

    @classmethod
    def from_steps(cls, steps: Iterable[dict[str, Any]]) -> LoadProfile:
        try:
            return cls(_segment(step) for step in steps)
        except (KeyError, TypeError) as error:
            raise ValueError(f"a profile is a list of {{rate, for}} or {{rate, to, for}}: {error!r}") from None

    @property
    def duration(self) -> float:
        return self._starts[-1]

    @property
    def requests(self) -> float:
        """Expected requests in all."""
        return self._counts[-1]

    def rate(self, elapsed: float) -> float:
        """Requests a second after so many seconds; 0 outside of the profile."""
        if not 0 <= elapsed < self.duration:
            return 0.0
        index = bisect_right(self._starts, elapsed) - 1
        segment = self._segments[index]
        return segment.start + (segment.end - segment.start) * (elapsed - self._starts[index]) / segment.duration

    def time_of(self, requests: float) -> float:
        """Seconds after which so many requests are expected to have arrived, for 0 < `requests` <= all."""
        # Left of the first equal count: a pause adds no requests, so that nothing falls into it.
        index = bisect_left(self._counts, requests) - 1
        return self._starts[index] + self._segments[index].elapsed(requests - self._counts[index])

    def arrivals(self, seed: int, *, even: bool = False) -> Iterator[float]:
        """Arrival times in seconds: a Poisson process of this rate, or evenly spread over the expected count."""
        draws = random.Random(f"{seed}/arrivals")
        due = 0.5 if even else draws.expovariate(1.0)
        while due <= self.requests:
            yield self.time_of(due)
            due += 1.0 if even else draws.expovariate(1.0)


def _segment(step: dict[str, Any]) -> Segment:
    rate = float(step["rate"])
    return Segment(seconds(str(step["for"])), rate, float(step.get("to", rate)))
