# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mig_geometry hands each step what the last one knew, and adds up whether anything was written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ansible_collections.gpufleet.llm.plugins.action.mig_geometry import ActionModule

COMMON = {
    "verdict": "waiting",
    "progress": "x",
    "next": 0,
    "timeout_s": 10,
    "patience_s": 0,
    "msg": "x.",
    "done": False,
}
FAILED = {"failed": True, "msg": "is away", "findings": []}


def run(*steps: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """The result of these steps, and what each was handed."""
    left, handed = list(steps), []

    def execute(module_args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        handed.append(module_args.get("carried"))
        return dict(left.pop(0))

    task = SimpleNamespace(args={"pool": "h100"}, check_mode=False, async_val=0, no_log=True)
    action = ActionModule(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp")), None, None, None, None)
    now = iter(range(1000))
    action.clock, action.sleep = lambda: next(now) / 10, lambda pause: None
    action._execute_module = execute
    return action.run(task_vars={}), handed


def test_each_step_knows_what_the_last_one_knew_though_that_failed() -> None:
    first = {**COMMON, "changed": True, "carried": {"run": "r", "ended": {}}}
    last = {**COMMON, "changed": False, "done": True, "verdict": "ready", "carried": {"run": "r", "ended": {"a": {}}}}
    found, handed = run(first, {**FAILED, "changed": False, "carried": {"run": "r", "checked": True}}, FAILED, last)
    known = {"run": "r", "checked": True}
    assert handed == [None, {"run": "r", "ended": {}}, known, known]
    assert (found["changed"], found["done"], "carried" in found, found.get("failed")) == (True, True, False, None)


def test_what_was_written_counts_though_the_run_fails() -> None:
    first = {**COMMON, "changed": True, "carried": {"run": "r"}}
    broken = {**COMMON, "changed": False, "verdict": "broken", "carried": {"run": "r"}}
    found, _handed = run(first, broken)
    assert (found["changed"], found["failed"], found["msg"]) == (True, True, "x.")
