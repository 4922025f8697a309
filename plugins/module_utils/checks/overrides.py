# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is there room for what a person decided?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..findings import Finding, Severity
from ..fleet.types import GpuPool, LlmModel
from ..mig.pools import replicas_of_node, said
from ..scaling.override import FIELD, Override


def room_findings(
    scaled_object: str, override: Override, model: LlmModel, pools: Sequence[GpuPool], nodes: Mapping[str, int]
) -> list[Finding]:
    """Whether the pools of a model could hold the most replicas of an override if they were empty.

    ``nodes`` counts the nodes of pools that exist, by name.
    """
    most = sum(_nodes(pool, nodes) * replicas_of_node(model, pool) for pool in pools)
    if override.max <= most:
        return []
    names = " and ".join(pool.name for pool in pools)
    message = f"allows {override.max} replicas of {said(model)}, but {names} can hold {most} at most"
    fix = "Raise nodes.max or add nodes, or decide for less."
    return [Finding("override-beyond-pools", Severity.WARNING, message, scaled_object, f"{FIELD}.max", fix)]


def _nodes(pool: GpuPool, existing: Mapping[str, int]) -> int:
    return pool.nodes.max if pool.nodes else existing.get(pool.name, 0)
