# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as Go and Kubernetes write them."""

from __future__ import annotations

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|h|m|s)")


def seconds(text: str) -> float:
    """Seconds in a duration such as `1h30m`, `250ms` or `0`; ValueError names what is not one."""
    if text == "0":
        return 0.0
    if not re.fullmatch(f"(?:{_PART.pattern})+", text):
        raise ValueError(f"{text!r} is not a duration; write it as in 90s, 1m30s or 250ms")
    return sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text))
