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
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[([^\]]+)\]")


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
    """The value at a path of managed fields, such as ``.spec.containers[name="vllm"].image``; None if absent."""
    for name, index, key in _STEP.findall(path):
        if name:
            obj = obj.get(name) if isinstance(obj, Mapping) else None
        elif index:
            obj = obj[int(index)] if isinstance(obj, list) and int(index) < len(obj) else None
        else:
            obj = _entry(obj, key)
    return obj


def _entry(entries: Any, key: str) -> Any:
    """The entry of a list that matches ``name="vllm"`` or ``containerPort=8000,protocol="TCP"``."""
    wanted = {part.split("=", 1)[0]: part.split("=", 1)[-1].strip('"') for part in key.split(",")}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and all(str(entry.get(name)) == value for name, value in wanted.items()):
            return entry
    return None
