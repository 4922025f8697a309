# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a change as the annotation of a node holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import Any, Optional

from .change import RECORD_ANNOTATION, Json, Phase, Record, Target

_WRITES = (Phase.FENCE, Phase.RELABEL, Phase.HELD)


def instant(text: str) -> datetime:
    """A time as the API server and instant_text() write it. Raises ValueError."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def instant_text(moment: datetime) -> str:
    """A time in UTC in whole seconds, as the API server writes it."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def annotation_of(record: Record) -> str:
    """The value of RECORD_ANNOTATION that record_of() reads back."""
    return json.dumps(asdict(record), separators=(",", ":"), sort_keys=True)


def record_of(node: Json) -> Optional[Record]:
    """What the node says of a change, or None where none is under way. Raises ValueError where it cannot be read."""
    text = (node["metadata"].get("annotations") or {}).get(RECORD_ANNOTATION)
    if text is None:
        return None
    try:
        return _checked(json.loads(text))
    except (KeyError, TypeError, ValueError) as problem:
        raise ValueError(f"{type(problem).__name__}: {problem}") from problem


def moved(record: Record, phase: Phase, now: datetime, **changes: Any) -> Record:
    """The record of a phase that begins now."""
    return replace(record, phase=phase, phase_at=instant_text(now), **changes)


def _checked(data: Any) -> Record:
    target = Target(_text(data["target"]["config"]), _counts(data["target"]["resources"]))
    record = Record(**{**data, "phase": Phase(data["phase"]), "target": target, "operands": tuple(data["operands"])})
    if record.phase not in _WRITES:
        raise ValueError(f"phase {record.phase.value} is none that is recorded")
    for moment in (record.started_at, record.phase_at):
        instant(moment)
    for text in (record.product, record.reason, record.manager, *record.operands):
        _text(text)
    for optional in (record.former_config, record.former_do_not_disrupt):
        if optional is not None:
            _text(optional)
    if not (isinstance(record.was_cordoned, bool) and isinstance(record.back, bool)):
        raise ValueError("was_cordoned and back are true or false")
    return replace(record, former_resources=_counts(record.former_resources))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return value


def _counts(value: Any) -> Mapping[str, int]:
    if not isinstance(value, dict) or not all(isinstance(count, int) for count in value.values()):
        raise ValueError(f"{value!r} are not counts of resources")
    return value
