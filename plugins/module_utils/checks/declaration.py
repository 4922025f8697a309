# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a valid declaration still deserves to be told about."""

from __future__ import annotations

from math import floor

from ..findings import Finding, Severity
from ..fleet.types import CapacityType, Fleet, LlmModel, Provider
from ..scaling.hpa.types import Controller
from ..serving.arguments import number_of
from ..serving.lifecycle import durations
from .mig import mig_findings

#: Seconds from the notice to the end of a spot node: Amazon EC2 "Spot Instance interruption notices", and for Azure
#: "Scheduled Events" of virtual machines (event type Preempt).
_SPOT_NOTICE_S = {Provider.AWS: 120, Provider.AZURE: 30}


def declaration_findings(fleet: Fleet) -> list[Finding]:
    """Warnings about choices that cost money or availability."""
    findings = mig_findings(fleet)
    for index, model in enumerate(fleet.models):
        path, fallback = f"gpufleet_models[{index}]", model.scaling.fallback.replicas
        low, high = model.replicas.bounds
        if model.replicas.autoscaled and fallback is not None and fallback > low:
            more = f"slices {model.slice}" if model.slice else "GPUs"
            message = (
                f"buys {(fallback - low) * model.gpus} more {more} on every metrics outage and on every first install"
            )
            field = f"{path}.scaling.fallback.replicas"
            fix = f"Leave it out, or set it to {low}."
            findings.append(Finding("fallback-above-min", Severity.WARNING, message, field=field, fix=fix))
        if low == 1 and high > 1:
            message = "one replica is all that serves at the minimum: its restart is an outage"
            fix = "Use 2 where that matters."
            findings.append(Finding("single-replica", Severity.INFO, message, field=f"{path}.replicas.min", fix=fix))
        findings += _spot_findings(fleet, model, path)
        findings += _late_findings(model, path)
    return findings


def _late_findings(model: LlmModel, path: str) -> list[Finding]:
    """A replica runs no more at once than its engine takes: what it should serve beyond that has to wait."""
    seqs, wanted = number_of(model.engine.args, "--max-num-seqs"), model.scaling.concurrency
    if not model.replicas.autoscaled or seqs is None or wanted is None or wanted <= seqs:
        return []
    limit = wanted * (1 + Controller().tolerance)
    waiting = floor(limit - seqs) + 1
    message = (
        f"is {wanted:g}, and a replica runs {seqs:g} at once (--max-num-seqs): it asks for more replicas above"
        f" {wanted:g} x {1 + Controller().tolerance:g} = {limit:g}, only once {waiting} requests wait at every one"
    )
    fix = f"Set it to {seqs:g} or less, as measured within the latency target."
    return [Finding("threshold-late", Severity.WARNING, message, field=f"{path}.scaling.concurrency", fix=fix)]


def _spot_findings(fleet: Fleet, model: LlmModel, path: str) -> list[Finding]:
    notice, grace = _SPOT_NOTICE_S.get(fleet.cluster.provider), durations(model.lifecycle).grace
    spot = [pool.name for pool in fleet.pools_of(model) if CapacityType.SPOT in pool.capacity_types]
    if not spot or notice is None or grace <= notice:
        return []
    message = f"takes up to {grace} s to end, but pool {spot[0]!r} loses spot nodes {notice} s after their notice"
    fix = "Keep it off spot, shorten p99_generation, pre_stop or teardown, or take it that long answers are cut."
    return [Finding("spot-notice", Severity.WARNING, message, field=f"{path}.lifecycle", fix=fix)]
