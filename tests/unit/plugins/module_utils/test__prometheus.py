# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a Prometheus does instead of answering is one line."""

from __future__ import annotations

from http.client import BadStatusLine, IncompleteRead
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils import _prometheus
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ClusterError, QueryRefused
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import Prometheus, PrometheusCredentials
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.prometheus_answers import Refusal

PROMETHEUS = Prometheus("http://prometheus.example.com")
REFUSED = b'{"status":"error","errorType":"bad_data","error":"1:5: parse\\nerror"}'


class Asked:
    """What open_url was called with."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def open_url(self, url: str, **options: Any) -> Any:
        self.calls.append((url, options))
        if isinstance(self.answer, Refusal):
            raise self.answer.error()
        if isinstance(self.answer, Exception):
            raise self.answer
        return BytesIO(self.answer) if isinstance(self.answer, bytes) else self.answer


def asked(monkeypatch: pytest.MonkeyPatch, answer: Any) -> Asked:
    server = Asked(answer)
    monkeypatch.setattr(_prometheus, "open_url", server.open_url)
    return server


def test_series_have_labels_and_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, b'{"data": {"result": [{"metric": {"pod": "a"}, "value": [1764000000.1, "2.5"]}]}}')
    assert _prometheus.instant_query(PROMETHEUS, "up") == [({"pod": "a"}, 2.5)]


def test_a_range_has_values_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b'{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[60,"1"],[75.0,"NaN"],[90,"+Inf"]]}]}}'
    server = asked(monkeypatch, answer)
    ((labels, values),) = _prometheus.range_query(PROMETHEUS, "a + b", 60, 90, 15)
    assert labels == {} and list(values) == [60, 75, 90] and values[60] == 1 and values[75] != values[75]
    address = urlsplit(server.calls[0][0])
    assert address.path == "/api/v1/query_range"
    assert parse_qs(address.query) == {"query": ["a + b"], "start": ["60"], "end": ["90"], "step": ["15"]}


def test_the_token_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    server = asked(monkeypatch, b'{"data": {"result": []}}')
    monkeypatch.setenv("TOKEN", "secret")
    credentials = PrometheusCredentials(environment="TOKEN")
    outside = Prometheus("http://inside", "https://outside/east/", "/etc/ca.pem", credentials=credentials)
    assert _prometheus.instant_query(outside, "up") == []
    ((url, options),) = server.calls
    assert url == "https://outside/east/api/v1/query?query=up" and options["ca_path"] == "/etc/ca.pem"
    assert options["headers"] == {"Authorization": "Bearer secret"} and options["timeout"] == 10


class Slow:
    """An answer that comes a byte at a time, each of which takes a second of the clock."""

    def __init__(self) -> None:
        self.time = 0.0

    def read1(self, size: int) -> bytes:
        self.time += 1
        return b" "


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(ConnectionRefusedError(111, "Connection refused"), "Connection refused", id="refused"),
        pytest.param(TimeoutError("timed out"), "timed out", id="silent"),
        pytest.param(IncompleteRead(b"half"), "IncompleteRead", id="half"),
        pytest.param(BadStatusLine("SSH-2.0"), "SSH-2.0", id="no HTTP"),
        pytest.param(b"", "what it sends is not JSON, but begins with ''", id="nothing"),
        pytest.param(b"<html>\n<p>", r"what it sends is not JSON, but begins with '<html>\n<p>'", id="HTML"),
        pytest.param(b'{"data": {"result": [{"met', "what it sends is not JSON", id="cut off"),
        pytest.param(b"\xff\xff", "what it sends is not the answer of a Prometheus", id="bytes"),
        pytest.param(b'{"data": null}', "what it sends is not the answer of a Prometheus", id="no data"),
        pytest.param(b"[]", "what it sends is not the answer of a Prometheus", id="a list"),
        pytest.param(b'{"data":{"result":[{"value":[1]}]}}', "what it sends is not the answer", id="no labels"),
        pytest.param(
            b'{"data":{"result":[{"metric":{},"value":[1,"x"]}]}}', "what it sends is not the answer", id="no number"
        ),
        pytest.param(b" " * (33 << 20), "the answer is larger than 32 MiB", id="huge"),
        pytest.param(Refusal(500, "Internal Server Error"), "500 Internal Server Error", id="500"),
        pytest.param(Refusal(503, "Unavailable", b'{"error":"query\\ntimed out"}'), "query timed out", id="503"),
        pytest.param(Refusal(404, "Not Found", b"<html>"), "404 Not Found", id="404"),
        pytest.param(Refusal(400, "Bad Request", b"<html>"), "400 Bad Request", id="400 of no Prometheus"),
    ],
)
def test_no_answer_is_one_line(monkeypatch: pytest.MonkeyPatch, answer: Any, said: str) -> None:
    asked(monkeypatch, answer)
    with pytest.raises(ClusterError) as raised:
        _prometheus.instant_query(PROMETHEUS, "up")
    line = raised.value.line()
    assert not isinstance(raised.value, QueryRefused) and raised.value.findings[0].id == "unreachable"
    assert line.startswith("Prometheus: http://prometheus.example.com does not answer a query: ")
    assert said in line and "\n" not in line and "in_cluster_url where KEDA does." in line


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow()
    asked(monkeypatch, slow)
    monkeypatch.setattr(_prometheus.time, "monotonic", lambda: slow.time)
    with pytest.raises(ClusterError, match="the answer is not complete after 10 s"):
        _prometheus.instant_query(PROMETHEUS, "up")
    assert slow.time < 13


@pytest.mark.parametrize("code", [401, 403])
def test_a_login_that_is_refused_is_told_apart(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    asked(monkeypatch, Refusal(code, "Go away", b"<html>"))
    with pytest.raises(ClusterError, match=f"{code} Go away. Name the variable that holds a valid token") as raised:
        _prometheus.instant_query(PROMETHEUS, "up")
    assert raised.value.findings[0].id == "unauthorized"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(Refusal(400, "Bad Request", REFUSED), "1:5: parse error", id="400"),
        pytest.param(Refusal(422, "Unprocessable", b'{"error":"too many samples"}'), "too many samples", id="422"),
        pytest.param(b'{"data":{"resultType":"scalar","result":[1,"5"]}}', "returns a scalar", id="scalar"),
        pytest.param(b'{"data":{"resultType":"string","result":[1,"a"]}}', "returns a string", id="string"),
    ],
)
def test_a_query_that_nobody_is_answered_is_told_apart(monkeypatch: pytest.MonkeyPatch, answer: Any, said: str) -> None:
    asked(monkeypatch, answer)
    with pytest.raises(QueryRefused) as raised:
        _prometheus.instant_query(PROMETHEUS, "up")
    assert said in raised.value.line() and "\n" not in raised.value.line()
