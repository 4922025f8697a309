# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between two states of an object, as far as a declaration can mean it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

#: Written by the API server; never part of what is declared.
_SERVER_FIELDS = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")
#: What a Secret is there for.
_CONTENT = ("data", "stringData")
_HIDDEN = "(not shown)"

State = Optional[Mapping[str, Any]]


@dataclass(frozen=True)
class FieldChange:
    """One field that differs; None stands for absent. ``field`` is a dotted path with list indices."""

    field: str
    before: Any
    after: Any

    def to_dict(self) -> dict[str, Any]:
        """The change as results carry it."""
        return {"field": self.field, "before": self.before, "after": self.after}


def declared_part(obj: State) -> dict[str, Any]:
    """An object without status, bookkeeping of the server and the content of Secrets."""
    part = _without_bookkeeping(obj)
    if part.get("kind") == "Secret":
        part.update({key: dict.fromkeys(part[key], _HIDDEN) for key in _CONTENT if part.get(key)})
    return part


def _without_bookkeeping(obj: State) -> dict[str, Any]:
    if obj is None:
        return {}
    metadata = {key: value for key, value in obj.get("metadata", {}).items() if key not in _SERVER_FIELDS}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def changes(before: State, after: State) -> list[FieldChange]:
    """Fields that differ, leaves only, in a stable order. Of a Secret they are named, and their values hidden."""
    found = _walk(_without_bookkeeping(before), _without_bookkeeping(after), "")
    secret = "Secret" in ((before or {}).get("kind"), (after or {}).get("kind"))
    return [_hidden(change) if secret and change.field.startswith(_CONTENT) else change for change in found]


def _hidden(change: FieldChange) -> FieldChange:
    before, after = (None if value is None else _HIDDEN for value in (change.before, change.after))
    return FieldChange(change.field, before, after)


def _walk(before: Any, after: Any, path: str) -> Iterator[FieldChange]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _walk(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old, new = (side[index] if index < len(side) else None for side in (before, after))
            yield from _walk(old, new, f"{path}[{index}]")
    elif before != after:
        yield FieldChange(path, before, after)
