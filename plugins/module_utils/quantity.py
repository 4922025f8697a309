# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantities as Kubernetes writes them (``16Gi``, ``500m``) and durations as Go writes them (``1h30m``).

Grammar from k8s.io/apimachinery v0.35 ``pkg/api/resource/quantity.go`` and Go's ``time.ParseDuration``; durations
are limited to whole seconds, the finest that the Kubernetes fields we fill can hold.
"""

from __future__ import annotations

import re
from decimal import Decimal

_SUFFIXES: dict[str, Decimal] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
#: Digits are bounded far above what fits a field, so that no number can overflow here.
_NUMBER = r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})"
_QUANTITY = re.compile(rf"({_NUMBER})([eE][+-]?[0-9]{{1,2}}|[numkMGTPE]|[KMGTPE]i)?")
_DURATION = re.compile(r"(?:([0-9]{1,12})h)?(?:([0-9]{1,12})m)?(?:([0-9]{1,12})s)?")


def parse_quantity(text: str) -> Decimal:
    """The number that a Kubernetes quantity stands for. Raises ValueError."""
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ValueError("not a Kubernetes quantity")
    number, suffix = Decimal(match.group(1)), match.group(2) or ""
    if suffix[:1] in ("e", "E") and len(suffix) > 1 and suffix != "Ei":
        return number * Decimal("1" + suffix)
    return number * _SUFFIXES[suffix]


def parse_duration(text: str) -> int:
    """Whole seconds of a Go duration in hours, minutes and seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if not match or not text:
        raise ValueError("not a duration")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def format_duration(seconds: int) -> str:
    """The shortest Go duration of whole seconds; the inverse of parse_duration."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
