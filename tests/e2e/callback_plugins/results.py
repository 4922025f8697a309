# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the result of every task as one JSON line, so that tests read data and not a screen."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: results
type: aggregate
short_description: Results of tasks as JSON lines
description: Appends to the file that the environment variable E2E_RESULTS names.
"""


class CallbackModule(CallbackBase):
    """One line: host, role, task, action, status, start and end (seconds since the epoch), result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "results"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._file = Path(os.environ["E2E_RESULTS"]).open("a", buffering=1)  # noqa: SIM115
        self._started: dict[tuple[str, str], float] = {}

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._started[host.get_name(), task._uuid] = time.time()

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write(result, "changed" if result.is_changed() else "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._write(result, "skipped")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._write(result, "unreachable")

    def _write(self, result: Any, status: str) -> None:
        task, now = result.task, time.time()
        key = (result.host.get_name(), task._uuid)
        role = task._role.get_name() if task._role else ""
        whole = {"start": self._started.get(key, now), "end": now, "host": key[0], "role": role}
        about = {**whole, "task": task.get_name(), "action": task.resolved_action or task.action}
        line = {**about, "status": status, "result": result.result}
        print(json.dumps(line, default=str), file=self._file)
