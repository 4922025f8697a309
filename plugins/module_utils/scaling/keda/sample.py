# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The value that KEDA makes of what a source answered, and whether it counts as active.

Rules of KEDA v2.20.2 (pkg/scalers/prometheus_scaler.go and scaler.go), in their order: errors, several elements, none,
NaN and infinity. Activity is that of the value before it is rounded, and negative values do count there.
"""

from __future__ import annotations

import math

from .types import Reading, Sample, Trigger


def quantize(value: float) -> int:
    """A number in thousandths as KEDA writes it into a quantity: three decimals, and nothing below 0."""
    if not math.isfinite(value) or value < 0:
        return 0
    return int(f"{value:.3f}".replace(".", ""))


def approximate(thousandths: int) -> float:
    """``Quantity.AsApproximateFloat64`` of it, which multiplies by 1e-3 and so misses the nearest float at times."""
    return thousandths * 1e-3


def sample(trigger: Trigger, reading: Reading) -> Sample:
    """What a trigger makes of a reading. A type other than prometheus hands on the one value that it is given."""
    if reading.error:
        return Sample(None, error=reading.error)
    if len(reading.values) > 1:
        return Sample(None, error=f"the query returned {len(reading.values)} series, and KEDA takes one")
    value = reading.values[0] if reading.values else math.nan
    if trigger.query is not None and not math.isfinite(value):
        if not trigger.ignore_null:
            return Sample(
                None, error=f"the query returned {value}" if reading.values else "the query returned no series"
            )
        value = 0.0
    elif not reading.values:
        return Sample(None, error="no value")
    return Sample(quantize(value), active=value > trigger.activation)
