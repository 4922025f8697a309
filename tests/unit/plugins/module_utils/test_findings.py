# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A finding is one line for people and a flat dictionary for programs."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import (
    CATALOGUE,
    Finding,
    Severity,
    Verdict,
    verdict_of,
)


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        pytest.param(Finding("orphan", Severity.WARNING, "is gone"), "is gone.", id="message alone"),
        pytest.param(
            Finding("orphan", Severity.WARNING, "is gone", "Pod a/b", "spec.x", "Do it."),
            "Pod a/b spec.x: is gone. Do it.",
            id="everything",
        ),
        pytest.param(Finding("orphan", Severity.WARNING, "is gone.", fix="Do it."), "is gone. Do it.", id="full stop"),
        pytest.param(
            Finding("orphan", Severity.WARNING, "a\nb\tc", "d\re", "f\u2028g", "h\x0bi"),
            "d e f g: a b c. h i",
            id="breaks",
        ),
    ],
)
def test_a_line(finding: Finding, line: str) -> None:
    assert finding.line() == line


def test_data_is_strings_only() -> None:
    data = Finding("orphan", Severity.WARNING, "is gone", "Pod a/b", "spec.x", "Do it.").to_dict()
    assert data == {
        "id": "orphan",
        "severity": "warning",
        "object": "Pod a/b",
        "field": "spec.x",
        "message": "is gone",
        "fix": "Do it.",
    }
    assert {type(value) for value in data.values()} == {str}


def test_an_unknown_id_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        Finding("no-such-id", Severity.ERROR, "x")


@pytest.mark.parametrize("finding_id", CATALOGUE)
def test_ids_are_words_and_explained_in_a_sentence(finding_id: str) -> None:
    assert finding_id.replace("-", "").isalpha() and finding_id.islower()
    assert CATALOGUE[finding_id].endswith(".")


@pytest.mark.parametrize(
    ("severities", "verdict"),
    [
        ([], Verdict.READY),
        ([Severity.INFO, Severity.WARNING], Verdict.READY),
        ([Severity.INFO, Severity.ERROR], Verdict.BROKEN),
    ],
)
def test_verdicts(severities: list[Severity], verdict: Verdict) -> None:
    assert verdict_of(Finding("orphan", severity, "x") for severity in severities) is verdict
