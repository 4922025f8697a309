# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of weights and of keys and values, against models whose numbers are known."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.slices import ModelSize
from ansible_collections.gpufleet.llm.plugins.module_utils.serving.memory import demand, kv_bytes, usable

#: Llama 3.1 8B: 8.03e9 parameters in bfloat16, 32 layers, 8 heads of keys and values of 128.
LLAMA = ModelSize("16060M", 32, 8, 128)


def test_a_token_of_llama_8b_takes_128_kib() -> None:
    assert kv_bytes(LLAMA, 8192) == 8192 * 128 * 1024 == 2**30


@pytest.mark.parametrize(("tokens", "blocks"), [(1, 1), (16, 1), (17, 2)])
def test_blocks_are_whole(tokens: int, blocks: int) -> None:
    assert kv_bytes(LLAMA, tokens) == blocks * 16 * 128 * 1024


def test_eight_bits_halve_it() -> None:
    assert 2 * kv_bytes(ModelSize("8G", 32, 8, 128, kv_bytes=1), 4096) == kv_bytes(LLAMA, 4096)


def test_one_request_of_the_longest_context_has_to_fit() -> None:
    assert demand(LLAMA, ["--max-model-len", "8192"]).request == 2**30
    assert demand(LLAMA, []) == demand(LLAMA, ["--max-model-len", "auto"])
    assert (demand(LLAMA, []).weights, demand(LLAMA, []).request) == (16_060_000_000, None)


def test_vllm_leaves_a_part_of_the_memory() -> None:
    assert usable(10**10, []) == 9_200_000_000
    assert usable(10**10, ["--gpu-memory-utilization", "0.5"]) == 5 * 10**9
