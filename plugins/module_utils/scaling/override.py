# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A decision of a person that stands in for the declared bounds of a model until it ends.

It is one annotation of a ScaledObject and nothing else. Who decides writes that, under any field manager. The bounds in
the spec follow from it, and only an apply of the collection writes those: so they never change owners.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from typing import Any, Optional

from ..findings import Finding, Severity
from ..fleet.fields import INVALID, FieldType, Problems, Record, Text, declare, integer

ANNOTATION = "gpufleet.io/override"
#: Where findings say that it is.
FIELD = f"metadata.annotations.{ANNOTATION}"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
#: One line that any terminal and encoding can show.
LINE = Text(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,500}", "a text of one line, at most 500 characters")


class Instant(FieldType):
    """A time in UTC as RFC 3339 writes it, in whole seconds."""

    def describe(self) -> str:
        return "a time in UTC such as 2026-12-24T18:00:00Z"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        try:
            written = _TIME.fullmatch(value) and datetime.fromisoformat(value[:-1])
        except (TypeError, ValueError):
            written = None
        if not written:
            return self.reject(value, path, problems, "Write it as date -u +%FT%TZ does.")
        return written.replace(tzinfo=timezone.utc)


def instant_text(instant: datetime) -> str:
    """A time in UTC as Instant reads it."""
    return instant.isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Override:
    """Bounds that hold instead of the declared ones before ``until``."""

    min: int = declare(integer(1, 10000), "Fewest replicas.")
    max: int = declare(integer(1, 10000), "Most replicas.")
    until: datetime = declare(Instant(), "When it ends.")
    who: str = declare(LINE, "Who decided.")
    why: str = declare(LINE, "Why.")

    def active(self, now: datetime) -> bool:
        """Whether it holds; ``now`` has a time zone."""
        return now < self.until

    @property
    def end(self) -> str:
        """``until`` as it is written."""
        return instant_text(self.until)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**{entry.name: getattr(self, entry.name) for entry in fields(self)}, "until": self.end}

    @property
    def text(self) -> str:
        """The value of the annotation that records it; override_of() reads it back."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def __str__(self) -> str:
        return f"override by {self.who} until {self.end}: min {self.min}, max {self.max} ({self.why})"


class Bounds(Record):
    """An Override whose bounds fit together."""

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        override = super().parse(value, path, problems)
        if override is INVALID or override.min <= override.max:
            return override
        return problems.add(f"{path}.min", f"is {override.min}, above max {override.max}", "Raise max or lower min.")


OVERRIDE = Bounds(Override)


def recorded_in(scaled: Mapping[str, Any]) -> Optional[str]:
    """The annotation of a ScaledObject as it is written; None where there is none."""
    text = (scaled["metadata"].get("annotations") or {}).get(ANNOTATION)
    return None if text is None else str(text)


def override_of(scaled: Mapping[str, Any]) -> tuple[Optional[Override], list[Finding]]:
    """The override that a ScaledObject carries, or warnings that say what is wrong with it; neither where it has none.

    Warnings leave ``object`` empty.
    """
    text = recorded_in(scaled)
    if text is None:
        return None, []
    problems = Problems()
    override = _parse(text, problems)
    return override, [_warning(finding) for finding in problems.findings]


def override_in(text: Optional[str]) -> Optional[Override]:
    """The override that an annotation records; None where it records none that can be read."""
    return None if text is None else _parse(text, Problems())


def _parse(text: str, problems: Problems) -> Optional[Override]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = text
    if not isinstance(content, Mapping):
        OVERRIDE.reject(text, FIELD, problems, "Write it as JSON.")
        return None
    override = OVERRIDE.parse(content, FIELD, problems)
    return None if override is INVALID else override


def _warning(finding: Finding) -> Finding:
    fix = f"{finding.fix} Until then the declared bounds hold.".strip()
    return replace(finding, id="override-invalid", severity=Severity.WARNING, fix=fix)
