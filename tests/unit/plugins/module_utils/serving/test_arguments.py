# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the arguments of vLLM say."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.serving.arguments import number_of


@pytest.mark.parametrize(
    ("args", "number"),
    [
        ([], None),
        (["--max-num-seqs", "16"], 16),
        (["--max-num-seqs=16"], 16),
        (["--max_num_seqs", "16", "--max-num-seqs=32"], 32),
        (["--max-num-seqs"], None),
        (["--max-num-seqs", "many"], None),
        (["--max-num-batched-tokens", "16"], None),
    ],
)
def test_the_last_word_counts(args: list[str], number: float | None) -> None:
    assert number_of(args, "--max-num-seqs") == number
