# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records in which Helm keeps what it knows of a release: one Secret a revision, the newest of which is its lock.

Format and states: pkg/storage/driver/{secrets,util}.go and pkg/action/upgrade.go of Helm 3.17 and 4.1, which agree.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Optional

from ..findings import Finding, Severity
from ..objects.meta import Ref, label_of
from ..quantity import format_duration
from ..readiness.state import age_s, for_long, title

#: Statuses of a newest record with which Helm changes nothing. Nothing ends them when Helm was killed.
_AT_WORK = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")
#: After how many of its timeouts a Helm counts as dead. A timeout bounds every single wait, those for the hooks of a
#: chart among them, and Helm says nowhere how many more will follow: two cover a slow hook and the rest.
_TIMEOUTS = 2


def locked_by(records: Iterable[Mapping[str, Any]]) -> Optional[Mapping[str, Any]]:
    """The newest record of a release, where it keeps Helm from changing the release."""
    newest = max(records, key=lambda obj: int(label_of(obj, "version") or 0), default=None)
    return newest if newest and label_of(newest, "status") in _AT_WORK else None


def lock_finding(record: Mapping[str, Any], timeout_s: int, now: datetime) -> Finding:
    """Whether a record that locks a release may be given up: its Helm counts as dead (warning) or not (error).

    Helm writes the record when it starts; no single wait of it is longer than ``timeout_s`` seconds. To uninstall, it
    writes into the one that the install has made, and notes the time as it does with every later write.
    """
    since, status = str(record["metadata"].get("creationTimestamp") or ""), label_of(record, "status")
    modified = label_of(record, "modifiedAt") or ""
    if modified.isdecimal():
        since = datetime.fromtimestamp(int(modified), timezone.utc).isoformat()
    says, left = f"says {status}{for_long(since, now)}", _TIMEOUTS * timeout_s - age_s(since, now)
    if left <= 0:
        longer = f"longer than {_TIMEOUTS} timeouts of {format_duration(timeout_s)}"
        message = f"{says}, {longer}: its Helm was killed, or hangs"
        fix = "The run marks it as failed, and Helm goes on from there."
        return Finding("release-pending", Severity.WARNING, message, title(record), fix=fix)
    message = f"{says}: another Helm is at work on the release, or was killed"
    fix = f"Wait for it. After {format_duration(left)} it counts as killed, and a run goes on from there."
    return Finding("release-pending", Severity.ERROR, message, title(record), fix=fix)


def still_locked(record: Ref, message: str) -> Finding:
    """Why a record could not be given up."""
    fix = "See what `helm history` says of the release, then run again."
    return Finding("release-pending", Severity.ERROR, message, str(record), fix=fix)


def as_failed(record: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A merge patch that says of a record what an interrupted Helm says itself, and only if it is as it was seen.

    Without the lock alone Helm would not be run again where the release before it has the wanted values already, and
    what the killed one has changed would stay. Raises ValueError for a record that cannot be read.
    """
    try:
        release = json.loads(gzip.decompress(_decode(_decode(record["data"]["release"]))))
        release["info"].update(status="failed", description="Its Helm was killed, or hung")
    except (KeyError, TypeError, ValueError, OSError, EOFError) as error:
        raise ValueError(f"is no record of Helm 3 or 4: {error}") from error
    content = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    return {
        "metadata": {
            "resourceVersion": record["metadata"]["resourceVersion"],
            "labels": {"status": "failed", "modifiedAt": str(int(now.timestamp()))},
        },
        "data": {"release": base64.b64encode(content).decode()},
    }


def _decode(text: Any) -> bytes:
    return base64.b64decode(text, validate=True)
