# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests does one engine of vLLM take at once, whatever its KV cache holds?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .arguments import number_of

#: Defaults of the API server by the memory of a GPU (EngineArgs.get_batch_defaults in vllm/engine/arg_utils.py).
_LARGE_GB, _LARGE, _SMALL = 70, 1024, 256
_MEMORY = re.compile(r"-(\d+)gb")


def max_num_seqs(args: Sequence[str], gpu: str) -> int:
    """What the arguments of ``vllm serve`` say, else the default for a GPU that is named ``<product>-<memory>``.

    A100s have the small default, however large they are.
    """
    given = number_of(args, "--max-num-seqs")
    if given is not None:
        return int(given)
    memory = _MEMORY.search(gpu)
    large = memory is not None and int(memory.group(1)) >= _LARGE_GB and not gpu.startswith("a100")
    return _LARGE if large else _SMALL
