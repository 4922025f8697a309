# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Room for what a person decided: as many replicas as the empty pools of a model can hold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.checks.overrides import room_findings
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Severity
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import Fleet
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.override import Override
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet

#: A replica takes four GPUs: two fit on a node of eight, and the pool has four nodes at most.
EIGHT = fleet()
ONE_A_NODE = fleet(("models[0].gpus", 5))
EXISTING = fleet(("models[0].pool", "old"))


@pytest.mark.parametrize(
    ("declared", "nodes", "most"),
    [
        pytest.param(EIGHT, {}, 8, id="bought"),
        pytest.param(ONE_A_NODE, {}, 4, id="rests of nodes do not add up"),
        pytest.param(EXISTING, {"old": 3}, 6, id="nodes that exist"),
        pytest.param(EXISTING, {}, 0, id="no node"),
    ],
)
def test_the_most_that_fit(declared: Fleet, nodes: dict[str, int], most: int) -> None:
    model = declared.models[0]

    def found(high: int) -> list[str]:
        override = Override(1, high, datetime(2030, 1, 1, tzinfo=UTC), "ann", "launch")
        findings = room_findings("ScaledObject a/b", override, model, declared.pools_of(model), nodes)
        assert {finding.severity for finding in findings} <= {Severity.WARNING}
        return [finding.line() for finding in findings]

    assert [found(high) for high in range(1, most + 1)] == [[]] * most
    (line,) = found(most + 1)
    where = "ScaledObject a/b metadata.annotations.gpufleet.io/override.max"
    said = f"allows {most + 1} replicas of {model.gpus} GPUs, but {model.pool[0]} can hold {most} at most."
    assert line.startswith(f"{where}: {said}")
