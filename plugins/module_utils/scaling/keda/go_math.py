# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as Go computes them on amd64, where Python would raise, or round another way."""

from __future__ import annotations

import math
from typing import Optional

_INT64 = 1 << 63


def wrapped(value: int) -> int:
    """An integer as an int64 holds it."""
    return (value + _INT64) % (2 * _INT64) - _INT64


def to_int64(value: float) -> int:
    """``int64(value)``: truncated; what does not fit becomes the smallest int64."""
    return int(value) if -_INT64 <= value < _INT64 else -_INT64


def divide(left: float, right: float) -> float:
    """IEEE division."""
    if right:
        return left / right
    if left == 0 or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def modulo(left: int, right: int) -> int:
    """What a division towards zero leaves. Raises ZeroDivisionError."""
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def rounded(value: float) -> float:
    """``math.Round``: half away from zero."""
    if not math.isfinite(value):
        return value
    whole = float(math.trunc(value))
    return math.copysign(whole + math.copysign(1.0, value) if abs(value - whole) >= 0.5 else whole, value)


def ceiling(value: float) -> float:
    """``math.Ceil``."""
    return math.copysign(math.ceil(value), value) if math.isfinite(value) else value


def floored(value: float) -> float:
    """``math.Floor``."""
    return math.copysign(math.floor(value), value) if math.isfinite(value) else value


def power(x: float, y: float) -> float:
    """``math.Pow`` of Go 1.27 (src/math/pow.go): it squares and multiplies, so its last bit is not always that of C.

    With an exponent that is not whole the last bit may be another than Go's, whose exponential is its own.
    """
    special = _special_power(x, y)
    if special is not None:
        return special
    fraction, whole = math.modf(abs(y))
    if fraction and x < 0:
        return math.nan
    if whole >= _INT64:
        return 1.0 if x == -1 else 0.0 if (abs(x) < 1) == (y > 0) else math.inf
    result = 1.0
    if fraction:
        if fraction > 0.5:
            fraction, whole = fraction - 1, whole + 1
        result = math.exp(fraction * math.log(x))
    result, exponent = _raised(result, x, int(whole))
    if y < 0:
        result, exponent = 1 / result, -exponent
    try:
        return math.ldexp(result, exponent)
    except OverflowError:
        return math.copysign(math.inf, result)


def _raised(result: float, x: float, times: int) -> tuple[float, int]:
    """``result`` times x to a whole power, as fraction and exponent of two."""
    exponent = 0
    base, base_exponent = math.frexp(x)
    while times:
        if abs(base_exponent) > 1 << 12:
            return result, exponent + base_exponent
        if times & 1:
            result, exponent = result * base, exponent + base_exponent
        base, base_exponent = base * base, base_exponent * 2
        if base < 0.5:
            base, base_exponent = base + base, base_exponent - 1
        times >>= 1
    return result, exponent


def _special_power(x: float, y: float) -> Optional[float]:
    if y == 0 or x == 1:
        return 1.0
    if y == 1 or math.isnan(x) or math.isnan(y):
        return x if y == 1 else math.nan
    if x == 0:
        odd = math.isfinite(y) and abs(math.fmod(y, 2)) == 1
        zero_or_infinite = 0.0 if y > 0 else math.inf
        return math.copysign(zero_or_infinite, x) if odd else zero_or_infinite
    if math.isinf(y):
        return 1.0 if x == -1 else 0.0 if (abs(x) < 1) == (y > 0) else math.inf
    if math.isinf(x):
        return power(-0.0, -y) if x < 0 else 0.0 if y < 0 else math.inf
    if abs(y) == 0.5:
        root = math.sqrt(x) if x > 0 else math.nan
        return root if y > 0 else 1 / root
    return None
