# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does Karpenter read what it is told of cut and shared GPUs? Without a feature gate it ignores NodeOverlays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..findings import Finding, Severity
from ..fleet.types import Fleet, GpuPool
from ..mig.layout import GPU_RESOURCE
from ..mig.pools import offered

#: As charts of Karpenter v1.14 write it into FEATURE_GATES.
_GATE = "NodeOverlay=true"


def overlay_findings(fleet: Fleet, operators: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """One finding a bought pool that is cut or shared, for each Deployment of Karpenter without the gate."""
    places = (operator["metadata"] for operator in operators if not _has_gate(operator))
    blind = [f"Deployment {place['namespace']}/{place['name']}" for place in places]
    return [
        _finding(pool, f"gpufleet_pools[{index}]", operator)
        for operator in blind
        for index, pool in enumerate(fleet.pools)
        if pool.provisioned and (pool.mig or pool.sharing)
    ]


def _finding(pool: GpuPool, path: str, operator: str) -> Finding:
    """Of slices with names of their own it knows nothing; of others it counts the GPUs that they are cut from."""
    there = offered(pool)
    slices = [name for name in there if name != GPU_RESOURCE]
    field = f"{path}.mig" if pool.mig else f"{path}.sharing"
    reason = f"{operator} runs without the feature gate NodeOverlay"
    fix = "Set settings.featureGates.nodeOverlay of its chart to true, as gpufleet_karpenter_install does."
    if slices:
        message = f"{reason}, and buys no node for a pod that asks for {slices[0]}"
        return Finding("node-overlay-off", Severity.ERROR, message, field=field, fix=fix)
    count = there.get(GPU_RESOURCE, 0)
    message = f"{reason}, takes a new node for {pool.gpus_per_node} GPUs where it offers {count}, and buys too many"
    return Finding("node-overlay-off", Severity.WARNING, message, field=field, fix=fix)


def _has_gate(operator: Mapping[str, Any]) -> bool:
    containers = operator["spec"].get("template", {}).get("spec", {}).get("containers") or []
    gates = [
        entry.get("value") or ""
        for container in containers
        for entry in container.get("env") or []
        if entry["name"] == "FEATURE_GATES"
    ]
    return any(_GATE in value.split(",") for value in gates)
