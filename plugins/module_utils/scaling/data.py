# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions as data: what a module returns and a filter hands on.

Points in time are texts in UTC, enums their values, and numbers that JSON cannot hold are null. Fractions are rounded
to what a person can mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timezone
from enum import Enum
from math import isfinite
from typing import Any, Optional

from .decision import Decision
from .hpa.types import SECOND
from .replay import Course

_DECIMALS = 6
_TIMES = ("until", "next_change", "at")


def timestamp(at: int) -> str:
    """A point in time as the Kubernetes API writes it."""
    return datetime.fromtimestamp(at // SECOND, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def decision_data(decision: Decision) -> dict[str, Any]:
    """A decision, without the name of its target."""
    data = _plain(decision)
    return {key: value for key, value in data.items() if key not in ("namespace", "name")}


def course_data(course: Course) -> dict[str, Any]:
    """What a replay decided, with units in the names."""
    return {
        "replica_hours": round(course.replica_seconds / 3600, 2),
        "changes": len(course.turns),
        "direction_flips": course.flips,
        "at_max_s": course.at_max,
        "below_demand_s": course.below,
        "no_data_s": course.no_data,
        "lowest": course.lowest,
        "highest": course.highest,
        "timeline": [_plain(turn) for turn in course.turns],
    }


def _plain(value: Any, name: str = "") -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, int) and not isinstance(value, bool) and name in _TIMES:
        return timestamp(value)
    if isinstance(value, float):
        return round(value, _DECIMALS) if isfinite(value) else None
    known = _named(value)
    if known is not None:
        return {key: _plain(entry, key) for key, entry in known.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _named(value: Any) -> Optional[Mapping[str, Any]]:
    """The fields of a record, or None for anything else."""
    if is_dataclass(value):
        return {entry.name: getattr(value, entry.name) for entry in fields(value)}
    return value._asdict() if hasattr(value, "_asdict") else None
