# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripted Prometheus answers as Prometheus does, or as it never would, and writes down what it answered."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests

from testbed.standins.prometheus_script import (
    EMPTY,
    HTML,
    HUGE,
    INF,
    NAN,
    Answer,
    ScriptedPrometheus,
    failure,
    late,
    series,
    value,
)

QUERY = "script_x_a"


@pytest.fixture
def prometheus() -> Iterator[ScriptedPrometheus]:
    with ScriptedPrometheus() as server:
        yield server


def _ask(prometheus: ScriptedPrometheus, query: str = QUERY) -> requests.Response:
    return requests.get(f"{prometheus.url}/api/v1/query", {"query": query}, timeout=5)


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        pytest.param(value(3.7405), ["3.7405"], id="value"),
        pytest.param(NAN, ["NaN"], id="nan"),
        pytest.param(INF, ["+Inf"], id="inf"),
        pytest.param(EMPTY, [], id="empty"),
        pytest.param(series(1, 2), ["1", "2"], id="series"),
    ],
)
def test_values_are_a_vector(prometheus: ScriptedPrometheus, answer: Answer, values: list[str]) -> None:
    prometheus.set(QUERY, answer)
    content = _ask(prometheus).json()
    assert (content["status"], content["data"]["resultType"]) == ("success", "vector")
    assert [each["value"][1] for each in content["data"]["result"]] == values
    # Prometheus never has two series of the same labels.
    assert len({str(each["metric"]) for each in content["data"]["result"]}) == len(values)


@pytest.mark.parametrize("status", [401, 404, 500])
def test_failures_have_their_status(prometheus: ScriptedPrometheus, status: int) -> None:
    prometheus.set(QUERY, failure(status))
    answer = _ask(prometheus)
    assert (answer.status_code, answer.json()["status"]) == (status, "error")


def test_what_is_no_prometheus(prometheus: ScriptedPrometheus) -> None:
    prometheus.set(QUERY, HTML)
    assert _ask(prometheus).headers["Content-Type"] == "text/html"
    prometheus.set(QUERY, HUGE)
    assert len(_ask(prometheus).content) > 2**20
    assert _ask(prometheus, "another").status_code == 400


def test_a_late_answer_is_late(prometheus: ScriptedPrometheus) -> None:
    prometheus.set(QUERY, late(value(1), 0.3))
    start = time.monotonic()
    assert _ask(prometheus).ok
    assert time.monotonic() - start >= 0.3


def test_it_goes_down_and_comes_back_at_the_same_address(prometheus: ScriptedPrometheus) -> None:
    prometheus.set(QUERY, value(1))
    url = prometheus.url
    prometheus.down()
    with pytest.raises(requests.ConnectionError, match="refused"):
        _ask(prometheus)
    prometheus.up()
    assert (prometheus.url, _ask(prometheus).ok) == (url, True)


def test_a_range_has_what_was_in_force_at_each_step(prometheus: ScriptedPrometheus) -> None:
    for at, answer in ((100.0, value(1)), (130.0, EMPTY), (160.0, value(2))):
        prometheus.set(QUERY, answer, at=at)
    asked = {"query": QUERY, "start": "90", "end": "180", "step": "15"}
    content = requests.post(f"{prometheus.url}/api/v1/query_range", asked, timeout=5).json()
    (found,) = content["data"]["result"]
    assert found["values"] == [[105, "1"], [120, "1"], [165, "2"], [180, "2"]]


def test_the_journal_has_every_answer(prometheus: ScriptedPrometheus) -> None:
    before = time.time()
    prometheus.set(QUERY, value(1))
    _ask(prometheus)
    prometheus.set(QUERY, NAN)
    _ask(prometheus)
    assert [(each.query, each.answer) for each in prometheus.journal] == [(QUERY, value(1)), (QUERY, NAN)]
    assert before < prometheus.journal[0].time < prometheus.journal[1].time < time.time()
