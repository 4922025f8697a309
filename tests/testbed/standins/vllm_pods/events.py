# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of the kubelet's event source, as client-go's recorder writes them."""

from __future__ import annotations

import contextlib
import uuid
from collections import Counter

from testbed.api import Api, ApiError, Json, resource_path

from .. import timestamps
from ..watching import write


class EventRecorder:
    """Records events about one pod."""

    def __init__(self, api: Api, pod: Json) -> None:
        self._api = api
        self._pod = pod
        self._seen: Counter[tuple[str, str]] = Counter()
        self._names: dict[tuple[str, str], str] = {}

    async def record(self, kind: str, reason: str, message: str, container: str) -> None:
        """`kind` is Normal or Warning.

        A repetition raises the count of the first event, but is only written at every power of two: client-go
        drops repetitions in its spam filter, too.
        """
        key = (reason, message)
        self._seen[key] += 1
        # As client-go does, drop what is refused: a namespace that goes away takes no more events.
        with contextlib.suppress(ApiError):
            if self._seen[key] == 1:
                await self._create(key, kind, container)
            elif self._seen[key] & (self._seen[key] - 1) == 0:
                await self._repeat(key)

    async def _create(self, key: tuple[str, str], kind: str, container: str) -> None:
        self._names[key] = f"{self._pod['metadata']['name']}.{uuid.uuid4().hex[:16]}"
        event = self._event(self._names[key], kind, *key, container)
        await write(lambda: self._api.create(self._path(), event))

    async def _repeat(self, key: tuple[str, str]) -> None:
        seen = {"count": self._seen[key], "lastTimestamp": timestamps.now()}
        await write(lambda: self._api.patch(self._path(self._names[key]), seen))

    def _path(self, name: str = "") -> str:
        return resource_path("v1", "events", self._pod["metadata"]["namespace"], name)

    def _event(self, name: str, kind: str, reason: str, message: str, container: str) -> Json:
        meta, now = self._pod["metadata"], timestamps.now()
        about = {"apiVersion": "v1", "kind": "Pod", "namespace": meta["namespace"], "name": meta["name"]}
        about["fieldPath"] = f"spec.containers{{{container}}}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": meta["namespace"]},
            "involvedObject": {**about, "uid": meta["uid"]},
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": "kubelet", "host": self._pod["spec"]["nodeName"]},
            "reportingComponent": "kubelet",
            "reportingInstance": self._pod["spec"]["nodeName"],
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
