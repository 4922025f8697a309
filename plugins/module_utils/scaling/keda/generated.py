# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HPA that KEDA makes of a ScaledObject (controllers/keda/hpa.go of KEDA v2.20.2)."""

from __future__ import annotations

from typing import Optional

from ..hpa.defaults import DEFAULT
from ..hpa.types import Behavior, Hpa, Metric, SelectPolicy
from .serve import COMPOSITE
from .types import ScaledObject


def to_hpa(scaled: ScaledObject) -> Hpa:
    """Its HPA, with what the API server fills in. It never has a minimum below 1: 0 is KEDA's own."""
    metrics = tuple(Metric(trigger.metric, trigger.metric_type, trigger.target) for trigger in scaled.triggers)
    if scaled.modifiers is not None:
        metrics = (Metric(COMPOSITE, scaled.modifiers.metric_type, scaled.modifiers.target),)
    return Hpa(max(scaled.min, 1), scaled.max, metrics, _behavior(scaled))


def _behavior(scaled: ScaledObject) -> Optional[Behavior]:
    """A pause of one direction is written into the behaviour, which is there from then on, with all its defaults."""
    pauses = scaled.pauses
    if not (pauses.scale_in or pauses.scale_out):
        return scaled.behavior
    behavior = scaled.behavior or DEFAULT
    if pauses.scale_out:
        behavior = behavior._replace(up=behavior.up._replace(select=SelectPolicy.DISABLED))
    if pauses.scale_in:
        behavior = behavior._replace(down=behavior.down._replace(select=SelectPolicy.DISABLED))
    return behavior
