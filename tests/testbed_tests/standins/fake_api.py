# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Kubernetes API of one pod or one node, for what would otherwise need a bed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from copy import deepcopy
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


class FakeNodeApi:
    """Keeps one node and every state it went through."""

    def __init__(self, node: Json) -> None:
        self.states = [node]

    def api(self) -> Api:
        return cast(Api, self)

    @property
    def node(self) -> Json:
        return self.states[-1]

    def patch(self, path: str, body: Json, *_: Any) -> Json:
        node = patched(self.node, body)
        node["metadata"]["resourceVersion"] = str(len(self.states) + 1)
        self.states.append(node)
        return node


def patched(item: Json, patch: Json | None) -> Json:
    """What a strategic merge patch makes of an object: null takes away, conditions merge by type."""
    assert patch is not None
    result = deepcopy(item)
    _merge(result, patch)
    return result


def _merge(target: Json, patch: Json) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif key == "conditions":
            kept = [each for each in target.get(key, []) if each["type"] not in {new["type"] for new in value}]
            target[key] = kept + value
        elif isinstance(value, dict):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = value
