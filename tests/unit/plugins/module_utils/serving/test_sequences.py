# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sequences of an engine: as its arguments say, else by its GPU."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.serving.sequences import max_num_seqs


@pytest.mark.parametrize(
    ("args", "gpu", "sequences"),
    [
        (("--max-num-seqs", "16"), "h100-80gb", 16),
        (("--max_num_seqs=32", "--enable-prefix-caching"), "h100-80gb", 32),
        (("--max-num-seqs",), "h100-80gb", 1024),
        ((), "h100-80gb", 1024),
        ((), "b200-180gb", 1024),
        ((), "a100-80gb", 256),
        ((), "l40s-48gb", 256),
        ((), "other", 256),
    ],
)
def test_sequences(args: tuple[str, ...], gpu: str, sequences: int) -> None:
    assert max_num_seqs(args, gpu) == sequences
