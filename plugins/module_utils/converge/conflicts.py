# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields that another field manager owns: who, and with which value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..findings import Finding, Severity
from ..objects.meta import Ref

_MANAGER = re.compile(r'conflict with "([^"]*)"')
#: A step into a list, and the keys inside one: sigs.k8s.io/structured-merge-diff v6 fieldpath/element.go.
_STEP = re.compile(r'\[((?:"(?:\\.|[^"\\])*"|[^"\]])*)\]')
_KEY = re.compile(r'(\w+)=("(?:\\.|[^"\\])*"|[^,]+)')


def conflict_findings(
    ref: Ref, status: Mapping[str, Any], wanted: Mapping[str, Any], live: Mapping[str, Any]
) -> list[Finding]:
    """One finding a field, from the Status of a refused server-side apply (409, FieldManagerConflict).

    Every finding names the object, the field, its owner and both values.
    """
    findings = []
    for cause in (status.get("details") or {}).get("causes") or []:
        path = str(cause.get("field", ""))
        owner = _MANAGER.search(str(cause.get("message", "")))
        message = (
            f"{owner.group(1) if owner else 'another manager'} owns it with value {value_at(live, path)!r}, "
            f"wanted is {value_at(wanted, path)!r}"
        )
        fix = "Declare the live value, or take the field over with gpufleet_force_conflicts=true."
        findings.append(Finding("conflict", Severity.ERROR, message, object=str(ref), field=path.lstrip("."), fix=fix))
    return findings


def value_at(obj: Any, path: str) -> Any:
    """The value at a path of managed fields, such as ``.spec.containers[name="vllm"].image``; None if absent.

    Keys of labels and annotations hold dots themselves, so the longest key that fits is the one that is meant.
    """
    while path and obj is not None:
        if path.startswith("."):
            key = _key(obj, path[1:])
            obj, path = (obj[key], path[1 + len(key) :]) if key else (None, "")
        else:
            step = _STEP.match(path)
            obj, path = (_entry(obj, step.group(1)), path[step.end() :]) if step else (None, "")
    return obj


def _key(obj: Any, path: str) -> str:
    keys = (str(key) for key in obj) if isinstance(obj, Mapping) else ()
    return max((key for key in keys if path == key or path.startswith((f"{key}.", f"{key}["))), key=len, default="")


def _entry(entries: Any, step: str) -> Any:
    """The entry of a list that matches ``0``, ``name="vllm"`` or ``containerPort=8000,protocol="TCP"``."""
    if not isinstance(entries, list):
        return None
    if step.isdecimal():
        return entries[int(step)] if int(step) < len(entries) else None
    wanted = [(name, value.strip('"')) for name, value in _KEY.findall(step)]
    for entry in entries if wanted else ():
        if isinstance(entry, Mapping) and all(str(entry.get(name)) == value for name, value in wanted):
            return entry
    return None
