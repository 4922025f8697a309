# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A replica gets the time that it needs to start, to answer and to end."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import Lifecycle
from ansible_collections.gpufleet.llm.plugins.module_utils.serving.lifecycle import Durations, durations
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("lifecycle", "expected"),
    [
        pytest.param(Lifecycle(), Durations(pre_stop=15, shutdown_timeout=120, grace=155, startup=960), id="defaults"),
        pytest.param(
            Lifecycle(p99_generation=10, cold_start=20, pre_stop=0, teardown=1),
            Durations(pre_stop=0, shutdown_timeout=20, grace=26, startup=40),
            id="quick",
        ),
    ],
)
def test_durations(lifecycle: Lifecycle, expected: Durations) -> None:
    assert durations(lifecycle) == expected


@given(st.integers(1, 3600), st.integers(1, 1800), st.integers(0, 600), st.integers(1, 600))
def test_nothing_is_cut_short(p99: int, cold_start: int, pre_stop: int, teardown: int) -> None:
    times = durations(Lifecycle(p99, cold_start, pre_stop, teardown))
    assert times.shutdown_timeout >= p99
    assert times.grace > times.pre_stop + times.shutdown_timeout + teardown
    assert times.startup >= cold_start
