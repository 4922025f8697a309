# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions a second on one core: with the next change of the count, and without, as a replay takes them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.explain import explain
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.generated import to_hpa
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.offline import situation_of
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.step import step
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.target import decide
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.explained import SITUATIONS

_SECONDS = 2.0
#: Far below what any machine does, so that only a wrong complexity falls below.
_LEAST = 100


def rate(call: Callable[[], Any]) -> float:
    """Calls a second."""
    started, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < _SECONDS:
        call()
        count += 1
    return count / passed


def test_decisions_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    situations = [situation_of(written) for written in SITUATIONS.values()]
    hpas = [to_hpa(situation.scaled) for situation in situations]
    rates = {
        "decide": rate(lambda: [decide(situation) for situation in situations]),
        "decide and explain": rate(lambda: [explain(situation, decide(situation)) for situation in situations]),
        "step": rate(lambda: [step(situation, hpa) for situation, hpa in zip(situations, hpas, strict=True)]),
    }
    with capsys.disabled():
        for name, batches in rates.items():
            print(f"\n{name:20} {batches * len(situations):10,.0f} a second", end="")
    assert min(rates.values()) * len(situations) > _LEAST
