# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what each play changed as one JSON line, so that the verification of a molecule scenario reads data."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: changes
type: aggregate
short_description: Changes of plays as JSON lines
description: Appends to the file that the environment variable E2E_CHANGES names.
"""


class CallbackModule(CallbackBase):
    """One line: play (its name) and changed: the objects that its tasks changed or, in check mode, would change."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "changes"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._file = Path(os.environ["E2E_CHANGES"])
        self._play = ""
        self._changed: list[str] = []

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._write()
        self._play, self._changed = play.get_name(), []

    def v2_runner_on_ok(self, result: Any) -> None:
        if result.is_changed():
            self._changed += _objects(result.result) or [result.task.name]

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._write()

    def _write(self) -> None:
        if self._play:
            with self._file.open("a") as file:
                print(json.dumps({"play": self._play, "changed": sorted(self._changed)}), file=file)


def _objects(result: dict[str, Any]) -> list[str]:
    """Kind and name of each object that a module of the collection changed; other modules name none."""
    objects = [each for each in result.get("objects", []) if each["action"] != "unchanged"]
    return [f"{each['kind']} {each['namespace']}/{each['name']}".replace(" /", " ") for each in objects]
