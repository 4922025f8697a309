# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much GPU memory does a replica of vLLM need, for its weights and for the keys and values of its requests?

Activations and CUDA graphs come on top, and depend on the model and on vLLM: what is said to be too much here is so
without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Optional

from ..fleet.slices import ModelSize
from ..quantity import parse_quantity
from .arguments import number_of

#: Share of its memory that vLLM uses unless told otherwise: CacheConfig.gpu_memory_utilization in vllm/config/cache.py,
#: 0.92 in 2026, 0.9 before.
_UTILIZATION = 0.92
#: Tokens of a block of the KV cache (CacheConfig.DEFAULT_BLOCK_SIZE, same place).
_BLOCK = 16


@dataclass(frozen=True)
class Demand:
    """Bytes: ``weights``, and the KV cache of one request of the longest context, None where that is not known."""

    weights: int
    request: Optional[int]


def demand(size: ModelSize, args: Sequence[str]) -> Demand:
    """What a model on one GPU needs at least: vLLM does not start unless one request of --max-model-len fits."""
    context = number_of(args, "--max-model-len")
    return Demand(int(parse_quantity(size.weights)), None if context is None else kv_bytes(size, int(context)))


def kv_bytes(size: ModelSize, tokens: int) -> int:
    """Keys and values of one request of so many tokens, in whole blocks."""
    per_token = 2 * size.layers * size.kv_heads * size.head_dim * size.kv_bytes
    return ceil(tokens / _BLOCK) * _BLOCK * per_token


def utilization(args: Sequence[str]) -> float:
    """Share of the memory of its GPU or slice that vLLM takes."""
    share = number_of(args, "--gpu-memory-utilization")
    return _UTILIZATION if share is None else share


def usable(memory_bytes: int, args: Sequence[str]) -> int:
    """What vLLM takes of so many bytes."""
    return int(memory_bytes * utilization(args))
