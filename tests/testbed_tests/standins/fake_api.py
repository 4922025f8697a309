# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Kubernetes API of one pod and one node, for what would otherwise need a bed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any, cast

from testbed.api import Api, Json


class FakeApi:
    """Takes the writes of a kubelet about one pod and keeps them in order."""

    def __init__(self, pod: Json, node: Json) -> None:
        self.pod = pod
        self.node = node
        self.statuses: list[Json] = []
        self.events: list[Json] = []
        self.deleted: list[Json | None] = []
        self._never = threading.Event()

    def api(self) -> Api:
        return cast(Api, self)

    def get(self, path: str) -> Json:
        assert path == "/api/v1/nodes/node-1"
        return self.node

    def watch(self, path: str, query: Any = None) -> Iterator[tuple[str, Json]]:
        yield "ADDED", self.pod
        self._never.wait()

    def patch(self, path: str, body: Json, *_: Any) -> Json:
        if path.endswith("/status"):
            self.statuses.append(body["status"])
            self.pod["status"] = {**self.pod.get("status", {}), **body["status"]}
        return self.pod

    def create(self, path: str, body: Json) -> Json:
        self.events.append(body)
        return body

    def delete(self, path: str, body: Json | None = None) -> bool:
        self.deleted.append(body)
        return True

    def reasons(self) -> list[str]:
        return [event["reason"] for event in self.events]

    def list(self, path: str, query: Any = None) -> Sequence[Json]:
        return [self.pod]

    def end(self) -> None:
        """Let the watching threads go."""
        self._never.set()
