# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can the GPUs of the pools be cut and shared as declared, and do the models fit what comes of it?"""

from __future__ import annotations

from collections.abc import Iterator

from ..findings import Finding, Severity
from ..fleet.fields import Problems, nearest
from ..fleet.slices import MigStrategy, SharingMethod
from ..fleet.types import Fleet, GpuPool, LlmModel
from ..mig.layout import NodeLayout
from ..mig.pools import declared_layout, is_cut, layout, strategy
from ..mig.profiles import mig_gpu_of
from ..serving.memory import demand, usable, utilization

#: What gpu-feature-discovery (k8s-device-plugin v0.20) takes away while a node is cut, and words otherwise after it.
_FLEETING = ("nvidia.com/gpu.product", "nvidia.com/gpu.count", "nvidia.com/gpu.memory")


def mig_findings(fleet: Fleet) -> list[Finding]:
    """Everything that is wrong with how GPUs are divided; without an error, what of it deserves to be told."""
    problems = Problems()
    for index, pool in enumerate(fleet.pools):
        if pool.mig:
            declared_layout(pool, f"gpufleet_pools[{index}]", problems)
            _check_selector(pool, f"gpufleet_pools[{index}].node_selector", problems)
    # What follows takes the layouts for good.
    if not problems.findings:
        _check_names(fleet, problems)
        for index, model in enumerate(fleet.models):
            for pool in fleet.pools_of(model):
                _check_model(model, pool, f"gpufleet_models[{index}]", problems)
    if problems.findings:
        return list(dict.fromkeys(problems.findings))
    return [
        finding
        for index, model in enumerate(fleet.models)
        for pool in fleet.pools_of(model)
        for finding in (*_memory(model, pool, f"gpufleet_models[{index}]"), *_shared(model, pool, index))
    ]


def _check_selector(pool: GpuPool, path: str, problems: Problems) -> None:
    """A pool must not lose its nodes by what is done to them."""
    for label in (label for label in _FLEETING if label in pool.node_selector):
        reason = "selects by a label that changes when the GPUs of a node are cut: the pool would lose its nodes"
        problems.add(f"{path}.{label}", reason, "Select by a label of your own.")


def _check_names(fleet: Fleet, problems: Problems) -> None:
    """One ClusterPolicy decides how all nodes name their slices; where nothing is cut, any name will do."""
    named = {index: strategy(pool) for index, pool in enumerate(fleet.pools) if is_cut(pool)}
    mixed = [fleet.pools[index].name for index, way in named.items() if way is MigStrategy.MIXED]
    for index in (index for index, way in named.items() if mixed and way is MigStrategy.SINGLE):
        reason = f"is single, and that of pool {mixed[0]!r} mixed: the GPU Operator names all slices in one way"
        problems.add(f"gpufleet_pools[{index}].mig.strategy", reason, "Set it to mixed.")


def _check_model(model: LlmModel, pool: GpuPool, path: str, problems: Problems) -> None:
    """Is what its replicas ask for in the layout?"""
    cut = layout(pool)
    if cut is None:
        return
    profiles, whole = _profiles(cut), sum(slices is None for slices in cut.gpus)
    if model.slice and model.slice not in profiles:
        has = f"has {', '.join(profiles)}" if profiles else "has no slices"
        reason = f"is {model.slice}, and a node of pool {pool.name!r} {has}"
        fix = nearest(model.slice, profiles) if profiles else "Remove it, or declare such slices."
        problems.add(f"{path}.slice", reason, fix)
    elif not model.slice and whole < model.gpus:
        left = f"{whole} of its {len(cut.gpus)}" if whole else "none of its"
        reason = f"is {model.gpus}, but the layout of pool {pool.name!r} leaves {left} GPUs whole"
        problems.add(f"{path}.gpus", reason, "Set slice to a profile of the layout, or leave more GPUs whole.")


def _profiles(cut: NodeLayout) -> list[str]:
    return list(dict.fromkeys(name for slices in cut.gpus for name in slices or ()))


def _memory(model: LlmModel, pool: GpuPool, path: str) -> Iterator[Finding]:
    """Weights and keys and values against the slice. What exceeds it only by the room of activations is not refused."""
    gpu, size = mig_gpu_of(pool.gpu), model.size
    if not model.slice or gpu is None or size is None:
        return
    args = model.engine.args
    room = usable(gpu.speaking([model.slice]).profile(model.slice).memory_bytes, args)
    least, concurrency = demand(size, args), model.scaling.concurrency
    request = least.request or 0
    of_slice = f"and vLLM uses {_gb(room)} of a slice {model.slice}"
    if least.weights + request > room:
        parts = f"{_gb(least.weights)} of weights" + (f" and {_gb(request)} for one request" if request else "")
        fix = "Use a larger slice, fewer bits for the weights, or a lower --max-model-len."
        yield Finding("mig-memory", Severity.ERROR, f"needs {parts}, {of_slice}", field=f"{path}.slice", fix=fix)
    elif request and concurrency and least.weights + concurrency * request > room:
        most = (room - least.weights) // request
        message = f"is {concurrency:g}, {of_slice}: only {most} requests of the longest context fit beside the weights"
        fix = "That is all right where most are shorter; else lower it."
        yield Finding("mig-memory", Severity.INFO, message, field=f"{path}.scaling.concurrency", fix=fix)


def _shared(model: LlmModel, pool: GpuPool, index: int) -> Iterator[Finding]:
    """Time-slicing limits nobody's memory: the second vLLM does not start where the first one has taken it."""
    if pool.sharing is None or pool.sharing.method is not SharingMethod.TIME_SLICING:
        return
    share, replicas = utilization(model.engine.args), pool.sharing.replicas
    if share * replicas > 1:
        message = f"lets vLLM take {share:g} of a GPU's memory, which pool {pool.name!r} gives to {replicas} pods"
        fix = f"Add --gpu-memory-utilization with at most {int(100 / replicas) / 100:g}."
        field = f"gpufleet_models[{index}].engine.args"
        yield Finding("shared-memory", Severity.WARNING, message, field=field, fix=fix)


def _gb(count: float) -> str:
    return f"{count / 10**9:.1f} GB"
