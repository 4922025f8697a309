# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count what users asked of the API server, from its audit log."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from testbed.api import Api, Json

_MUTATING = frozenset({"create", "update", "patch", "delete", "deletecollection"})
# A question put as a create: nothing is stored.
_REVIEWS = frozenset(
    {
        "selfsubjectaccessreviews",
        "selfsubjectrulesreviews",
        "selfsubjectreviews",
        "subjectaccessreviews",
        "localsubjectaccessreviews",
        "tokenreviews",
    }
)
_FENCE_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Call:
    """One answered request. ``resource`` is for instance ``apps/deployments/scale`` or ``pods``; "" for a bare URL.

    ``body`` is what was sent and ``answer`` what came back, for scalings, autoscalers and nodes (configs.py).
    ``received`` and ``ended`` are seconds since the epoch.
    """

    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    status: int
    dry_run: bool
    uri: str
    received: float
    ended: float
    body: Json | None
    answer: Json | None

    @property
    def is_write(self) -> bool:
        """It changed something: a mutating verb, answered 2xx, no dry run, no access or token review."""
        return self.verb in _MUTATING and 200 <= self.status < 300 and not self.dry_run and not self.is_review

    @property
    def is_review(self) -> bool:
        """It asked who somebody is, or what somebody may do."""
        return self.resource.rpartition("/")[2] in _REVIEWS


class AuditLog:
    """Reads the log of one bed; ``api`` is any user's connection to it."""

    def __init__(self, path: Path, api: Api) -> None:
        self._path = path
        self._api = api

    def mark(self) -> int:
        """Offset behind everything answered so far. Waits until a request of our own has come through.

        The API server writes a request's line after its answer, so that the file alone may still lack some.
        """
        fence = uuid.uuid4().hex
        start = self._path.stat().st_size
        self._api.text(f"/version?fence={fence}")
        deadline = time.monotonic() + _FENCE_TIMEOUT_S
        while time.monotonic() < deadline:
            with self._path.open("rb") as log:
                log.seek(start)
                for line in iter(log.readline, b""):
                    if fence.encode() in line and line.endswith(b"\n"):
                        return log.tell()
            time.sleep(0.01)
        raise TimeoutError(f"{self._path} has no line for a request made {_FENCE_TIMEOUT_S:.0f} s ago")

    def calls(self, since: int, user: str | None = None) -> list[Call]:
        """Calls answered from offset ``since`` until now, in the order of their ends, of one user or of all."""
        end = self.mark()
        with self._path.open("rb") as log:
            log.seek(since)
            lines = log.read(end - since).splitlines()
        calls = (_call(json.loads(line)) for line in lines)
        return [call for call in calls if (user is None or call.user == user) and "?fence=" not in call.uri]


def writes(calls: Iterable[Call]) -> list[Call]:
    """Those that changed something."""
    return [call for call in calls if call.is_write]


def _call(event: Json) -> Call:
    reference = event.get("objectRef", {})
    parts = (reference.get("apiGroup"), reference.get("resource"), reference.get("subresource"))
    return Call(
        user=event["user"]["username"],
        verb=event["verb"],
        resource="/".join(part for part in parts if part),
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        status=event["responseStatus"]["code"],
        dry_run="All" in parse_qs(urlsplit(event["requestURI"]).query).get("dryRun", []),
        uri=event["requestURI"],
        received=_seconds(event["requestReceivedTimestamp"]),
        ended=_seconds(event["stageTimestamp"]),
        body=event.get("requestObject"),
        answer=event.get("responseObject"),
    )


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
