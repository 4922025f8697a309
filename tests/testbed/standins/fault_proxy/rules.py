# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which calls are broken, and how."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """One request as the client sent it. ``number`` counts all of them from 1; ``target`` is path and query."""

    number: int
    verb: str
    target: str


@dataclass(frozen=True)
class Answer:
    """The proxy answers itself, with a Status object and on request with Retry-After; the server hears nothing."""

    status: int
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Delay:
    """The request waits before it goes on to the server."""

    seconds: float


@dataclass(frozen=True)
class Reset:
    """The client's connection is reset, before the server hears of the request or after it has ``reached`` it."""

    reached: bool


@dataclass(frozen=True)
class Truncate:
    """Only the first ``keep`` bytes of the body arrive; ``told`` is whether the headers still promise the rest."""

    keep: int
    told: bool = True


@dataclass(frozen=True)
class Hook:
    """``action`` runs before the server hears of the request, or when it has ``reached`` it and the answer is held.

    A client that ``action`` has ended is as one that died before it sent the request, or before it got the answer.
    """

    action: Callable[[], object]
    reached: bool = False


Fault = Answer | Delay | Reset | Truncate | Hook


@dataclass(frozen=True)
class Rule:
    """Breaks matching calls from the ``first`` on, ``times`` of them.

    ``verb`` is an HTTP method, any if empty. ``path`` is a regular expression, searched in the call's target.
    """

    fault: Fault
    verb: str = ""
    path: str = ""
    first: int = 1
    times: int = 1

    def matches(self, call: Call) -> bool:
        return self.verb in ("", call.verb) and re.search(self.path, call.target) is not None


class Rules:
    """The rules in force, and every call so far. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._matched: dict[int, int] = {}
        self._rules: list[Rule] = []

    @property
    def calls(self) -> list[Call]:
        with self._lock:
            return list(self._calls)

    def add(self, rule: Rule) -> None:
        """Put a rule in force; what it counts starts now. Of several that break one call the oldest does."""
        with self._lock:
            self._matched[len(self._rules)] = 0
            self._rules.append(rule)

    def take(self, verb: str, target: str) -> Fault | None:
        """Count a call, and say how to break it."""
        with self._lock:
            call = Call(len(self._calls) + 1, verb, target)
            self._calls.append(call)
            due = [rule.fault for index, rule in enumerate(self._rules) if self._is_due(index, rule, call)]
            return due[0] if due else None

    def _is_due(self, index: int, rule: Rule, call: Call) -> bool:
        if not rule.matches(call):
            return False
        self._matched[index] += 1
        return rule.first <= self._matched[index] < rule.first + rule.times
