# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Prometheus at the place of open_url: what each query returned, by a function of the time."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit

Values = Callable[[int], "list[float]"]


class Refusal(NamedTuple):
    """An answer with an error status."""

    code: int
    reason: str
    body: bytes = b""

    def error(self) -> HTTPError:
        """As urllib raises it."""
        headers: Any = {}
        return HTTPError(
            "http://prometheus.example.com/api/v1/query", self.code, self.reason, headers, BytesIO(self.body)
        )


class FakePrometheus:
    """``queries`` gives the value of each series of a query at a time in seconds; ``asked`` holds (call, query)."""

    def __init__(self, now: int, **queries: Values) -> None:
        self.now = now
        self.queries: dict[str, Values | Exception | Refusal | bytes] = dict(queries)
        self.asked: list[tuple[str, str]] = []

    def open_url(self, url: str, **options: Any) -> BytesIO:
        """ansible.module_utils.urls' function of that name."""
        parts = urlsplit(url)
        call, asked = parts.path.rpartition("/")[2], dict(parse_qsl(parts.query))
        self.asked.append((call, asked["query"]))
        values = self.queries[asked["query"]]
        if isinstance(values, Refusal):
            raise values.error()
        if isinstance(values, Exception):
            raise values
        if isinstance(values, bytes):
            return BytesIO(values)
        result = self._now(values) if call == "query" else _range(values, asked)
        kind = "vector" if call == "query" else "matrix"
        return BytesIO(json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode())

    def _now(self, values: Values) -> list[dict[str, Any]]:
        return [{"metric": {}, "value": [self.now, str(value)]} for value in values(self.now)]


def _range(values: Values, asked: dict[str, str]) -> list[dict[str, Any]]:
    series: dict[int, list[Any]] = {}
    for at in range(int(asked["start"]), int(asked["end"]) + 1, int(asked["step"])):
        for index, value in enumerate(values(at)):
            series.setdefault(index, []).append([at, str(value)])
    return [{"metric": {}, "values": found} for found in series.values()]
