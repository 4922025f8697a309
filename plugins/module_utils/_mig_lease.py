# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Lease that keeps two runs from changing one pool at once.

A holder lives as long as it renews. Whether it does is judged by the clock of whoever waits, from when the Lease last
changed before its eyes: the times in it come from a clock that may be wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Optional

from ._cluster import Cluster, Reply
from .errors import ClusterError
from .findings import Finding, Severity
from .objects.meta import MANAGER, Ref

#: As long as leaders of Kubernetes itself hold theirs (k8s.io/component-base v0.35 config/v1alpha1).
DURATION_S = 15
#: A step may take 8 s and the next one follows at once, so that a live holder is never late.
_RENEW_S = 5.0
#: client-go v0.35 gives up a Lease by a holder of no name.
_NOBODY = ""


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class Lease:
    """The Lease of one pool, as the run ``holder`` sees it. ``seen`` is what it has seen before, as data that outlives
    a process: the Lease's version, and when that was new by ``clock``, which all processes of a host share."""

    cluster: Cluster
    ref: Ref
    labels: Mapping[str, str]
    holder: str
    seen: dict[str, Any] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = _now

    def acquire(self) -> Optional[str]:
        """Take or renew it. The name of the run that has it, where that is another. Raises ClusterError."""
        if self.mine and self.clock() - self.seen["at"] < _RENEW_S:
            return None
        live = self.cluster.get(self.ref)
        if live is None:
            return self._create()
        holder = self._holder(live)
        if holder not in (self.holder, _NOBODY) and not self._is_dead(live):
            return holder
        return self._update(live)

    def release(self) -> None:
        """Let others have it, if it is ours. Failing that, it ends by itself."""
        if not self.mine:
            return
        live = self.cluster.get(self.ref)
        if live is not None and self._holder(live) == self.holder:
            self._put(live, {**live["spec"], "holderIdentity": _NOBODY, "renewTime": self._stamp()})
        self.seen.clear()

    @property
    def mine(self) -> bool:
        """Whether it was ours when last seen."""
        return self.seen.get("holder") == self.holder

    def _is_dead(self, live: Mapping[str, Any]) -> bool:
        """Whether it has not changed for as long as it lasts, before our eyes."""
        version, holder = live["metadata"]["resourceVersion"], self._holder(live)
        if self.seen.get("version") != version:
            self.seen = {"version": version, "holder": holder, "at": self.clock()}
        lasts = live["spec"].get("leaseDurationSeconds") or DURATION_S
        return bool(self.clock() - self.seen["at"] >= lasts)

    def _create(self) -> Optional[str]:
        path = self.cluster.path(Ref(self.ref.api_version, self.ref.kind, self.ref.namespace, ""))
        metadata = {"name": self.ref.name, "namespace": self.ref.namespace, "labels": dict(self.labels)}
        spec = {**self._held(), "acquireTime": self._stamp(), "leaseTransitions": 0}
        body = {"apiVersion": self.ref.api_version, "kind": self.ref.kind, "metadata": metadata, "spec": spec}
        reply = self.cluster.request("POST", path, {"fieldManager": MANAGER}, body)
        if reply.status == 409:
            # Another run was faster, or the answer to our own try was lost: the Lease says which.
            return self.acquire()
        if reply.status == 404:
            message, fix = f"namespace {self.ref.namespace} does not exist", "Apply the component mig first."
            raise ClusterError([Finding("object-missing", Severity.ERROR, message, str(self.ref), fix=fix)])
        if not reply.ok:
            raise self.cluster.failed(str(self.ref), reply)
        self._note(reply.body)
        return None

    def _update(self, live: Mapping[str, Any]) -> Optional[str]:
        spec = {**live["spec"], **self._held()}
        if self._holder(live) != self.holder:
            spec["acquireTime"] = spec["renewTime"]
            spec["leaseTransitions"] = (live["spec"].get("leaseTransitions") or 0) + 1
        return self._put(live, spec)

    def _put(self, live: Mapping[str, Any], spec: Mapping[str, Any]) -> Optional[str]:
        """Write it in the version that was seen. Who has it, where another write came first."""
        body = {**live, "spec": {**spec}}
        reply = self.cluster.request("PUT", self.cluster.path(self.ref), {"fieldManager": MANAGER}, body)
        if reply.status in (404, 409):
            found = self.cluster.get(self.ref) or {}
            holder = self._holder(found)
            if holder != self.holder:
                return holder or "another run"
            reply = Reply(200, found)
        if not reply.ok:
            raise self.cluster.failed(str(self.ref), reply)
        self._note(reply.body)
        return None

    def _note(self, live: Mapping[str, Any]) -> None:
        version = live["metadata"]["resourceVersion"]
        self.seen = {"version": version, "holder": self._holder(live), "at": self.clock()}

    def _held(self) -> dict[str, Any]:
        return {"holderIdentity": self.holder, "leaseDurationSeconds": DURATION_S, "renewTime": self._stamp()}

    def _stamp(self) -> str:
        return self.now().isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _holder(self, live: Mapping[str, Any]) -> str:
        return str((live.get("spec") or {}).get("holderIdentity") or _NOBODY)
