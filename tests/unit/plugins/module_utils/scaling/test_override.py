# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An override is read as it was written; whatever else the annotation holds is a warning that says what to write."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Severity
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.override import ANNOTATION, Override, override_of
from hypothesis import given
from hypothesis import strategies as st

UNTIL = datetime(2026, 12, 24, 18, tzinfo=UTC)
WRITTEN = {"min": 5, "max": 8, "until": "2026-12-24T18:00:00Z", "who": "ann", "why": "launch day"}
OVERRIDE = Override(5, 8, UNTIL, "ann", "launch day")


def scaled(text: str | None) -> dict[str, Any]:
    """A ScaledObject with that annotation."""
    annotations = {} if text is None else {"annotations": {ANNOTATION: text}}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "llama", **annotations}}


def written(**changes: Any) -> str:
    """The annotation with values changed, or removed by None."""
    return json.dumps({key: value for key, value in {**WRITTEN, **changes}.items() if value is not None})


def test_none_is_neither_an_override_nor_a_mistake() -> None:
    assert override_of(scaled(None)) == (None, [])
    assert override_of({**scaled(None), "metadata": {"name": "llama", "annotations": None}}) == (None, [])


def test_what_a_person_wrote_is_read() -> None:
    assert override_of(scaled(written())) == (OVERRIDE, [])
    assert str(OVERRIDE) == "override by ann until 2026-12-24T18:00:00Z: min 5, max 8 (launch day)"


def test_it_holds_until_its_end_and_no_second_longer() -> None:
    assert OVERRIDE.active(UNTIL - timedelta(seconds=1))
    assert not OVERRIDE.active(UNTIL)


@given(
    low=st.integers(1, 10000),
    more=st.integers(0, 9999),
    until=st.datetimes(timezones=st.just(UTC)),
    who=st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=500),
)
def test_what_is_written_is_read_back(low: int, more: int, until: datetime, who: str) -> None:
    override = Override(low, min(low + more, 10000), until.replace(microsecond=0), who, "because")
    assert override_of(scaled(override.text)) == (override, [])


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        pytest.param("{", "", "must be a dictionary with the keys min, max, until, who, why, got '{'", id="no JSON"),
        pytest.param("", "", "must be a dictionary", id="empty"),
        pytest.param("[1]", "", "must be a dictionary", id="a list"),
        pytest.param("[" * 100_000, "", "must be a dictionary", id="nested without end"),
        pytest.param("{}", ".min", "is required", id="nothing"),
        pytest.param(written(until=None), ".until", "is required", id="no end"),
        pytest.param(written(min=9), ".min", "is 9, above max 8", id="min above max"),
        pytest.param(written(max=0), ".max", "must be a whole number, at least 1 and at most 10000, got 0", id="max 0"),
        pytest.param(written(min=0), ".min", "must be a whole number, at least 1", id="min 0"),
        pytest.param(written(min=2.5), ".min", "must be a whole number", id="half a replica"),
        pytest.param(written(max=True), ".max", "must be a whole number", id="a boolean"),
        pytest.param(written(max=float("nan")), ".max", "must be a whole number", id="NaN"),
        pytest.param(written(until="2026-12-24T18:00:00+01:00"), ".until", "must be a time in UTC", id="not UTC"),
        pytest.param(written(until="2026-12-24T18:00:00"), ".until", "must be a time in UTC", id="no zone"),
        pytest.param(written(until="2026-12-24"), ".until", "must be a time in UTC", id="a day"),
        pytest.param(written(until="2026-02-30T18:00:00Z"), ".until", "must be a time in UTC", id="no such day"),
        pytest.param(written(until="0000-01-01T00:00:00Z"), ".until", "must be a time in UTC", id="no such year"),
        pytest.param(written(until=1798135200), ".until", "must be a time in UTC", id="a number"),
        pytest.param(written(who=""), ".who", "must be a text of one line", id="nobody"),
        pytest.param(written(why="a\nb"), ".why", "must be a text of one line", id="two lines"),
        pytest.param(written(why="\ud800"), ".why", "must be a text of one line", id="half a character"),
        pytest.param(written(maximum=8), ".maximum", "is not a known key", id="unknown key"),
    ],
)
def test_a_mistake_is_a_warning_with_its_field(text: str, field: str, message: str) -> None:
    override, problems = override_of(scaled(text))
    assert override is None
    first = problems[0]
    assert (first.id, first.severity) == ("override-invalid", Severity.WARNING)
    assert first.field == f"metadata.annotations.{ANNOTATION}{field}"
    assert first.message.startswith(message)
    assert first.fix.endswith("Until then the declared bounds hold.")


def test_all_mistakes_are_told_at_once() -> None:
    problems = override_of(scaled(written(max=0, until="tomorrow", by="ann")))[1]
    assert [problem.field.rpartition(".")[2] for problem in problems] == ["by", "max", "until"]


def test_a_far_end_is_fine() -> None:
    override, problems = override_of(scaled(written(until="9999-12-31T23:59:59Z")))
    assert override and not problems and override.active(UNTIL)
