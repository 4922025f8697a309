# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A watch tells every change once, across lost connections and expired versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from testbed import api as api_module
from testbed.api import Api, ApiError, Json, Query, resource_path

Event = tuple[str, Json]


def _item(name: str, version: int) -> Json:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


class _Script(Api):
    """Answers lists and watches from two lists; a watch is a list of events, which ends by itself or by an error."""

    def __init__(self, lists: list[list[Json]], watches: list[list[Event | Exception]]) -> None:
        super().__init__("https://localhost", ca="")
        self.lists = lists
        self.watches = watches
        self.asked: list[str] = []

    def request(self, method: str, path: str, *_: Any, **__: Any) -> Json:
        return {"metadata": {"resourceVersion": "10"}, "items": self.lists.pop(0)}

    def _watch_once(self, path: str, query: Query) -> Iterator[Event]:
        self.asked.append(query["resourceVersion"])
        for event in self.watches.pop(0):
            if isinstance(event, Exception):
                raise event
            yield event


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "_RECONNECT_S", 0)


def _seen(script: _Script, count: int) -> list[tuple[str, str]]:
    changes = script.watch("/api/v1/things")
    return [(kind, item["metadata"]["name"]) for kind, item in (next(changes) for _ in range(count))]


def test_what_exists_comes_first_then_what_changes() -> None:
    script = _Script([[_item("a", 1)]], [[("ADDED", _item("b", 11)), ("DELETED", _item("a", 12))]])
    assert _seen(script, 3) == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]


def test_a_lost_connection_goes_on_from_the_last_version() -> None:
    lost = requests.ConnectionError()
    script = _Script(
        [[]], [[("ADDED", _item("a", 11)), lost], [("BOOKMARK", _item("", 20))], [("ADDED", _item("b", 21))]]
    )
    assert _seen(script, 2) == [("ADDED", "a"), ("ADDED", "b")]
    assert script.asked == ["10", "11", "20"]


def test_an_expired_version_yields_the_difference() -> None:
    lists = [[_item("stays", 1), _item("goes", 2), _item("changes", 3)], [_item("stays", 1), _item("changes", 12)]]
    script = _Script(lists, [[ApiError(410, "Expired", "")], [("ADDED", _item("new", 13))]])
    seen = _seen(script, 6)
    assert seen[:3] == [("ADDED", "stays"), ("ADDED", "goes"), ("ADDED", "changes")]
    assert seen[3:] == [("DELETED", "goes"), ("MODIFIED", "changes"), ("ADDED", "new")]


def test_a_refused_watch_is_an_error() -> None:
    script = _Script([[]], [[ApiError(403, "Forbidden", "no")]])
    with pytest.raises(ApiError, match="no"):
        _seen(script, 1)


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (("v1", "nodes"), "/api/v1/nodes"),
        (("v1", "pods", "x", "y", "status"), "/api/v1/namespaces/x/pods/y/status"),
        (("apps/v1", "deployments", "x"), "/apis/apps/v1/namespaces/x/deployments"),
        (("karpenter.sh/v1", "nodepools", "", "p"), "/apis/karpenter.sh/v1/nodepools/p"),
    ],
)
def test_paths(parts: tuple[str, ...], path: str) -> None:
    assert resource_path(*parts) == path
