# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An error is its findings; its text is the first of them."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import (
    ApplyError,
    ClusterError,
    GpufleetError,
    InvalidInput,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding, Severity

FINDING = Finding("invalid-input", Severity.ERROR, "must be 1,\ngot 2", field="gpufleet_cluster.x", fix="Write 1.")


@pytest.mark.parametrize("error", [InvalidInput, ClusterError, ApplyError])
@pytest.mark.parametrize(("count", "tail"), [(1, ""), (2, " (1 more in findings)"), (9, " (8 more in findings)")])
def test_the_text_is_one_line_and_counts_the_rest(error: type[GpufleetError], count: int, tail: str) -> None:
    with pytest.raises(GpufleetError) as raised:
        raise error([FINDING] * count)
    assert str(raised.value) == raised.value.line() == f"gpufleet_cluster.x: must be 1, got 2. Write 1.{tail}"
    assert len(raised.value.findings) == count
