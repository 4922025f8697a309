# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server: answers in force by query, and a journal of what was answered."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Self
from urllib.parse import parse_qs, urlsplit

from testbed.layout import HOST
from testbed.standins.prometheus_script.answers import Answer, failure, matrix, vector

#: How soon it notices that it shall end.
_POLL_S = 0.05
_UNKNOWN = failure(400)


@dataclass(frozen=True)
class Asked:
    """One query and what it got. ``time`` is that of its arrival in seconds since the epoch."""

    time: float
    path: str
    query: str
    agent: str
    answer: Answer


class ScriptedPrometheus:
    """A running server. It is ``down`` between two calls, and connections are refused then, at the same address."""

    def __init__(self) -> None:
        self._answers: defaultdict[str, list[tuple[float, Answer]]] = defaultdict(list)
        self._journal: list[Asked] = []
        self._lock = Lock()
        self._server = _Server((HOST, 0), self)

    def __enter__(self) -> Self:
        self._serve()
        return self

    def __exit__(self, *error: object) -> None:
        self.down()

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def journal(self) -> list[Asked]:
        """Every query so far, in order of arrival."""
        with self._lock:
            return list(self._journal)

    def set(self, query: str, answer: Answer, at: float | None = None) -> None:
        """From now on, or from ``at``, this query gets that answer; range queries see when each was in force."""
        with self._lock:
            self._answers[query].append((time.time() if at is None else at, answer))
            self._answers[query].sort(key=lambda each: each[0])

    def down(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def up(self) -> None:
        self._server = _Server(self._server.server_address[:2], self)  # type: ignore[arg-type]  # of AF_INET
        self._serve()

    def _serve(self) -> None:
        Thread(target=self._server.serve_forever, args=(_POLL_S,), daemon=True).start()

    def asked(self, path: str, query: str, agent: str) -> Answer:
        """The answer in force, which is written down."""
        now = time.time()
        with self._lock:
            answer = self._in_force(query, now) or _UNKNOWN
            self._journal.append(Asked(now, path, query, agent, answer))
        return answer

    def samples(self, query: str, points: list[float]) -> list[tuple[float, Answer]]:
        """What was in force at each of these times, without those before the first answer."""
        with self._lock:
            found = [(point, self._in_force(query, point)) for point in points]
        return [(point, answer) for point, answer in found if answer]

    def _in_force(self, query: str, at: float) -> Answer | None:
        answers = self._answers[query]
        index = bisect_right([since for since, _ in answers], at)
        return answers[index - 1][1] if index else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Tens of clients ask at once.
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], owner: ScriptedPrometheus) -> None:
        super().__init__(address, _Handler)
        self.owner = owner


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.0: a connection ends with its answer, so that none outlives a server that goes down."""

    server: _Server

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _answer(self, arguments: str) -> None:
        path = urlsplit(self.path).path
        asked = {name: values[0] for name, values in parse_qs(arguments).items()}
        query = asked.get("query", "")
        answer = self.server.owner.asked(path, query, self.headers.get("User-Agent", ""))
        time.sleep(answer.delay_s)
        if path == "/api/v1/query_range" and answer.error is None:
            body = self._range(query, asked)
        else:
            body = vector(answer, time.time())
        with suppress(ConnectionError):
            self.send_response(answer.status)
            self.send_header("Content-Type", "text/html" if body.startswith(b"<") else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _range(self, query: str, asked: dict[str, str]) -> bytes:
        start, end, step = (float(asked[name]) for name in ("start", "end", "step"))
        points = [start + index * step for index in range(int((end - start) / step) + 1)]
        return matrix(self.server.owner.samples(query, points))

    def log_message(self, *arguments: object) -> None:
        """The journal says it all."""
