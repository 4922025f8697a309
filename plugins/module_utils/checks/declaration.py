# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a valid declaration still deserves to be told about."""

from __future__ import annotations

from ..findings import Finding, Severity
from ..fleet.types import Fleet


def declaration_findings(fleet: Fleet) -> list[Finding]:
    """Warnings about choices that cost money or availability."""
    findings = []
    for index, model in enumerate(fleet.models):
        path, fallback = f"gpufleet_models[{index}]", model.scaling.fallback.replicas
        low, high = model.replicas.bounds
        if model.replicas.autoscaled and fallback is not None and fallback > low:
            gpus = (fallback - low) * model.gpus
            message = f"buys {gpus} more GPUs on every metrics outage and on every first install"
            field = f"{path}.scaling.fallback.replicas"
            fix = f"Leave it out, or set it to {low}."
            findings.append(Finding("fallback-above-min", Severity.WARNING, message, field=field, fix=fix))
        if low == 1 and high > 1:
            message = "one replica is all that serves at the minimum: its restart is an outage"
            fix = "Use 2 where that matters."
            findings.append(Finding("single-replica", Severity.INFO, message, field=f"{path}.replicas.min", fix=fix))
    return findings
