# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replay can be told, and the lengths it draws."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import log

BALANCERS = ("least-outstanding", "round-robin")
_LENGTHS = re.compile(r"(\d+)|(\d+)\.\.(\d+)|lognormal:(\d+):([\d.]+):(\d+)")


@dataclass(frozen=True)
class LoadOptions:
    """Times in seconds.

    `prompt_tokens` and `output_tokens` are `512`, `100..800` (uniform) or `lognormal:MEDIAN:SIGMA:MOST`.
    `endpoint_lag` is how long after a change of readiness traffic follows it, as kube-proxy does. Without a ready pod
    a request counts as lost, as one to a Service without endpoints; with `wait_for_pod` it waits for one.
    """

    seed: int = 0
    even: bool = False
    prompt_tokens: str = "512"
    output_tokens: str = "128"
    balance: str = BALANCERS[0]
    endpoint_lag: float = 0.0
    wait_for_pod: bool = False
    timeout: float = 300.0

    def __post_init__(self) -> None:
        if self.balance not in BALANCERS:
            raise ValueError(f"balance {self.balance!r} is none of {', '.join(BALANCERS)}")
        for text in (self.prompt_tokens, self.output_tokens):
            next(lengths(text, random.Random()))


def lengths(text: str, draws: random.Random) -> Iterator[int]:
    """Token counts for ever; ValueError when the distribution cannot be read."""
    match = _LENGTHS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r}: want N, LOW..HIGH or lognormal:MEDIAN:SIGMA:MOST")
    fixed, low, high, median, sigma, most = match.groups()
    while True:
        if fixed:
            yield int(fixed)
        elif low:
            yield draws.randint(int(low), int(high))
        else:
            yield min(int(most), max(1, round(draws.lognormvariate(log(int(median)), float(sigma)))))
