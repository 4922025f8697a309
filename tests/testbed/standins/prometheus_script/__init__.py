# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Prometheus that answers each query with what a test tells it to, wrong answers and silence too."""

from __future__ import annotations

from testbed.standins.prometheus_script.answers import (
    EMPTY,
    HTML,
    HUGE,
    INF,
    NAN,
    Answer,
    failure,
    late,
    series,
    value,
)
from testbed.standins.prometheus_script.server import Asked, ScriptedPrometheus

__all__ = [
    "EMPTY",
    "HTML",
    "HUGE",
    "INF",
    "NAN",
    "Answer",
    "Asked",
    "ScriptedPrometheus",
    "failure",
    "late",
    "series",
    "value",
]
