# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a node's GPUs register with the kubelet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..durations import seconds

_STEP = re.compile(r"(?P<healthy>\d+|all)(?:/(?P<registered>\d+|all))?@(?P<after>\w+(?:\.\w+)?)")


@dataclass(frozen=True)
class Devices:
    """What the device plugin reports: `registered` becomes capacity, `healthy` allocatable."""

    healthy: int
    registered: int


@dataclass(frozen=True)
class Step:
    """From `after` seconds on; a count of None stands for all GPUs of the node."""

    after: float
    healthy: int | None
    registered: int | None


@dataclass(frozen=True)
class Schedule:
    steps: Sequence[Step]

    def devices(self, elapsed: float, gpus: int) -> Devices | None:
        """What is registered after so many seconds on a node with so many GPUs; None before the first step."""
        reached = [step for step in self.steps if step.after <= elapsed]
        if not reached:
            return None
        last = reached[-1]
        healthy, registered = (gpus if n is None else n for n in (last.healthy, last.registered))
        return Devices(healthy, registered)

    def next_step(self, elapsed: float) -> float | None:
        """Seconds to the next change, None after the last."""
        return min((step.after - elapsed for step in self.steps if step.after > elapsed), default=None)


def parse(text: str) -> Schedule:
    """A schedule from steps such as `1@2s,all@4s`; `7/8@2s` registers eight GPUs of which one is unhealthy.

    ValueError when a step cannot be read or comes before its predecessor.
    """
    steps = [_step(part.strip()) for part in text.split(",")]
    if [step.after for step in steps] != sorted(step.after for step in steps):
        raise ValueError(f"bring-up {text!r}: the steps are not in order of time")
    return Schedule(steps)


def _step(text: str) -> Step:
    match = _STEP.fullmatch(text)
    if match is None:
        raise ValueError(f"bring-up step {text!r}: want COUNT@TIME or HEALTHY/REGISTERED@TIME, as in 1@2s or all@4s")
    healthy = _count(match["healthy"])
    registered = healthy if match["registered"] is None else _count(match["registered"])
    return Step(seconds(match["after"]), healthy, registered)


def _count(text: str) -> int | None:
    return None if text == "all" else int(text)
