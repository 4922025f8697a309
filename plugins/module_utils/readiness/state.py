# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every predicate reads: conditions, ages and names of observed objects; and what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional

from ..findings import Finding, Severity
from ..quantity import format_duration

#: Ids of reasons, the most telling first: what is caused by something else comes after it.
_ORDER = (
    "webhook",
    "quota",
    "image-pull",
    "container-config",
    "crash-loop",
    "pod-failed",
    "no-capacity",
    "unschedulable",
    "gpu-operator",
    "starting",
    "metric-missing",
    "autoscaler",
    "object-missing",
    "finalizer",
    "not-ready",
    "missing-permission",
    "paused",
)


@dataclass(frozen=True)
class State:
    """How far one object is: ``progress`` in a few words, ``reasons`` why it is not ready.

    A reason of severity ``error`` says that waiting will not help.
    """

    ready: bool
    progress: str
    reasons: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Condition:
    """One entry of ``status.conditions``; an absent one is ``Unknown`` without a reason."""

    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    since: str = ""
    generation: Optional[int] = None

    @property
    def true(self) -> bool:
        """Whether it is met."""
        return self.status == "True"

    @property
    def false(self) -> bool:
        """Whether it is said not to be met."""
        return self.status == "False"

    @property
    def why(self) -> str:
        """Message and reason on one line; empty where its owner said neither."""
        text = " ".join(self.message.split()).rstrip(".")
        return f"{text} ({self.reason})" if text and self.reason else text or self.reason


def condition(obj: Mapping[str, Any], kind: str) -> Condition:
    """The condition of that type."""
    for entry in obj.get("status", {}).get("conditions") or []:
        if entry.get("type") == kind:
            return Condition(
                status=str(entry.get("status", "Unknown")),
                reason=str(entry.get("reason") or ""),
                message=str(entry.get("message") or ""),
                since=str(entry.get("lastTransitionTime") or ""),
                generation=entry.get("observedGeneration"),
            )
    return Condition()


def title(obj: Mapping[str, Any]) -> str:
    """``Kind namespace/name``, as findings name an object."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace", "")
    return f"{obj['kind']} {namespace}/{metadata['name']}" if namespace else f"{obj['kind']} {metadata['name']}"


def waiting(obj: Mapping[str, Any], finding_id: str, message: str, fix: str) -> Finding:
    """A reason that may pass."""
    return Finding(finding_id, Severity.WARNING, message, title(obj), fix=fix)


def unready(obj: Mapping[str, Any], progress: str, finding_id: str, message: str, fix: str) -> State:
    """Not ready, for one reason that may pass."""
    return State(False, progress, (waiting(obj, finding_id, message, fix),))


def age_s(timestamp: str, now: datetime) -> int:
    """Whole seconds since an RFC 3339 timestamp of the API server; 0 where it is absent or in the future."""
    if not timestamp:
        return 0
    then = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    return max(0, int((now - then).total_seconds()))


def for_long(timestamp: str, now: datetime) -> str:
    """Its age as a phrase: `` for 1m5s``, or nothing where there is none to tell."""
    seconds = age_s(timestamp, now)
    return f" for {format_duration(seconds)}" if seconds else ""


def by_likelihood(reasons: Iterable[Finding]) -> list[Finding]:
    """The most likely reason first; what waiting cannot cure before everything else."""
    return sorted(reasons, key=lambda entry: (entry.severity is not Severity.ERROR, _ORDER.index(entry.id)))
