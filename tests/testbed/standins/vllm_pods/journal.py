# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What outlives a pod: one JSON object per line and event, appended at once.

    {"time": RFC 3339 with microseconds, "event": "exited", "namespace", "pod", "uid", "model", "node",
     "exit_code": 0, "finished": 12, "aborted": 0, "lost": 0, "cancelled": 0}

Events: `started` (the container), `ready`, `deleting` (deletion seen), `exited` (with the counts of that container).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..timestamps import now_micro


@dataclass
class Counts:
    """Completion requests by how they ended: answered in full; answered with an abort; cut by the death of the
    process; given up by their client."""

    finished: int = 0
    aborted: int = 0
    lost: int = 0
    cancelled: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Journal:
    """Appends to `path`; keeps nothing when there is none."""

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else path.open("a", buffering=1)

    def write(self, event: str, pod: dict[str, Any], **details: Any) -> None:
        if self._file is None:
            return
        meta = pod["metadata"]
        about = {"namespace": meta["namespace"], "pod": meta["name"], "uid": meta["uid"]}
        about["model"] = meta.get("labels", {}).get("gpufleet.io/model")
        about["node"] = pod["spec"].get("nodeName")
        print(json.dumps({"time": now_micro(), "event": event, **about, **details}), file=self._file)
