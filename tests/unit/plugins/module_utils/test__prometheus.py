# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a Prometheus does instead of answering is one line."""

from __future__ import annotations

from http.client import BadStatusLine, IncompleteRead
from io import BytesIO
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils import _prometheus
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ClusterError
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import Prometheus


def ask(monkeypatch: pytest.MonkeyPatch, answer: Any) -> Any:
    """What comes of a query that is answered so."""

    def open_url(*args: Any, **options: Any) -> BytesIO:
        if isinstance(answer, Exception):
            raise answer
        return BytesIO(answer)

    monkeypatch.setattr(_prometheus, "open_url", open_url)
    return _prometheus.instant_query(Prometheus("http://prometheus.example.com"), "up")


def test_series_have_labels_and_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    found = b'{"data": {"result": [{"metric": {"pod": "a"}, "value": [1764000000.1, "2.5"]}]}}'
    assert ask(monkeypatch, found) == [({"pod": "a"}, 2.5)]


@pytest.mark.parametrize(
    "answer",
    [
        ConnectionRefusedError(111, "Connection refused"),
        IncompleteRead(b"half"),
        BadStatusLine("SSH-2.0"),
        b"",
        b'{"data": {"result": [{"met',
        b'{"data": null}',
        b"[]",
    ],
)
def test_no_answer_is_one_line(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    with pytest.raises(ClusterError, match="http://prometheus.example.com does not answer a query: ") as raised:
        ask(monkeypatch, answer)
    assert "\n" not in raised.value.line()
