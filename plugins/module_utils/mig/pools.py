# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node of a declared pool offers, and what a replica of a model asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from ..fleet.fields import Problems
from ..fleet.slices import MigStrategy
from ..fleet.types import GpuPool, LlmModel
from .layout import GPU_RESOURCE, NodeLayout, config_name, layout_of, resources, strategy_of
from .profiles import mig_gpu_of, resource_of


def declared_layout(pool: GpuPool, path: str, problems: Problems) -> Optional[NodeLayout]:
    """The layout of a node of a pool with ``mig``; None after reporting why it cannot be. ``path`` is the pool's."""
    gpu = mig_gpu_of(pool.gpu)
    if pool.mig is None or gpu is None:
        problems.add(f"{path}.mig", f"is declared, but {pool.gpu.value} cannot be cut into slices", "Remove it.")
        return None
    return layout_of(pool.mig, gpu, pool.gpus_per_node, f"{path}.mig", problems)


def layout(pool: GpuPool) -> Optional[NodeLayout]:
    """The layout of a node; None where the pool declares none, or one that cannot be."""
    return declared_layout(pool, "", Problems()) if pool.mig else None


def is_cut(pool: GpuPool) -> bool:
    """Whether any of its GPUs shall have slices."""
    cut = layout(pool)
    return cut is not None and any(slices is not None for slices in cut.gpus)


def strategy(pool: GpuPool) -> Optional[MigStrategy]:
    """How the slices of a pool are named; None where it has no layout."""
    cut = layout(pool)
    return strategy_of(pool.mig, cut) if pool.mig and cut else None


def config(pool: GpuPool) -> Optional[str]:
    """Value of the label that has mig-manager cut a node of the pool; None where the pool has no layout."""
    cut = layout(pool)
    return config_name(cut) if cut else None


def unshared(pool: GpuPool) -> dict[str, int]:
    """What a node has allocatable of nvidia.com/gpu and nvidia.com/mig-* while nobody shares anything."""
    cut, named = layout(pool), strategy(pool)
    return resources(cut, named) if cut and named else {GPU_RESOURCE: pool.gpus_per_node}


def offered(pool: GpuPool) -> dict[str, int]:
    """What a node has allocatable of nvidia.com/gpu and nvidia.com/mig-*, exactly; all others are absent or 0."""
    times = pool.sharing.replicas if pool.sharing else 1
    return {name: count * times for name, count in unshared(pool).items()}


def asked(model: LlmModel, pools: Sequence[GpuPool]) -> dict[str, int]:
    """What a replica asks of a node; the pools of a model agree on how slices are named."""
    if model.slice is None:
        return {GPU_RESOURCE: model.gpus}
    single = any(strategy(pool) is MigStrategy.SINGLE for pool in pools)
    return {GPU_RESOURCE if single else resource_of(model.slice): 1}


def said(model: LlmModel) -> str:
    """What a replica runs on, in words."""
    return f"a slice {model.slice}" if model.slice else f"{model.gpus} GPU{'s' if model.gpus > 1 else ''}"


def replicas_of_node(model: LlmModel, pool: GpuPool) -> int:
    """How many replicas of a model an empty node of a pool holds, by its GPUs."""
    there = offered(pool)
    return min(there.get(name, 0) // count for name, count in asked(model, [pool]).items())
