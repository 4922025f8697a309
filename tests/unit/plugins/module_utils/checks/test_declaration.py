# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choices that are valid and cost something are told."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.checks.declaration import declaration_findings
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet

SPOT: list[tuple[str, Any]] = [("cluster.provider", "aws"), ("pools[0].capacity_types", ["spot", "on-demand"])]


def test_a_model_that_ends_later_than_a_spot_node() -> None:
    (finding,) = declaration_findings(fleet(*SPOT))
    assert (finding.id, finding.field) == ("spot-notice", "gpufleet_models[0].lifecycle")
    assert finding.message == "takes up to 155 s to end, but pool 'h100' loses spot nodes 120 s after their notice"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([*SPOT, ("models[0].lifecycle.p99_generation", "40s")], id="short answers"),
        pytest.param([("cluster.provider", "aws")], id="no spot"),
        pytest.param([*SPOT, ("cluster.provider", "kwok")], id="nobody takes them away"),
    ],
)
def test_what_fits_is_not_told(changes: list[tuple[str, Any]]) -> None:
    assert declaration_findings(fleet(*changes)) == []


def test_the_notice_of_azure_is_shorter() -> None:
    changes = [*SPOT, ("cluster.provider", "azure"), ("models[0].lifecycle.p99_generation", "40s")]
    assert [finding.id for finding in declaration_findings(fleet(*changes))] == ["spot-notice"]


@pytest.mark.parametrize(
    ("concurrency", "args", "said"),
    [
        (20, ["--max-num-seqs", "16"], ["is 20, and a replica runs 16 at once (--max-num-seqs): it asks for more"
                                        " replicas above 20 x 1.1 = 22, only once 7 requests wait at every one"]),
        (16, ["--max-num-seqs=16"], []),
        (20, [], []),
    ],
    ids=["above", "equal", "unsaid"],
)  # fmt: skip
def test_more_requests_than_an_engine_runs(concurrency: int, args: list[str], said: list[str]) -> None:
    declared = fleet(("models[0].scaling.concurrency", concurrency), ("models[0].engine.args", args))
    found = declaration_findings(declared)
    assert [(finding.message, finding.id) for finding in found] == [(message, "threshold-late") for message in said]
