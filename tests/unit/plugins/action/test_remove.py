# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action remove adds up what its steps have done."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.action.remove import ActionModule


def deletion(name: str) -> dict[str, Any]:
    """A step that has deleted one object."""
    objects = [{"kind": "ScaledObject", "namespace": "a", "name": name, "action": "delete", "diff": []}]
    findings = [{"id": "finalizer", "object": name}, {"id": "decision-dropped", "object": name}]
    told = {"findings": findings, "warnings": [name]}
    return {"changed": True, "objects": objects, "diff": [{"before_header": name}], **told}


@pytest.mark.parametrize("done", [True, False])
def test_what_all_steps_have_deleted_adds_up(done: bool) -> None:
    common = {"verdict": "waiting", "progress": "x", "next": 0, "timeout_s": 10, "patience_s": 10, "msg": "x: is held."}
    last = {"changed": False, "objects": [], "diff": [], "findings": [{"id": "not-ready"}], "done": done}
    steps = [
        {**common, **deletion("one"), "done": False},
        {**common, **deletion("two"), "done": False},
        {**common, **last},
    ]
    task = SimpleNamespace(args={"component": "keda"}, check_mode=False, async_val=0, no_log=True)
    action = ActionModule(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp")), None, None, None, None)
    now = iter(range(1000))
    action.clock, action.sleep = lambda: next(now) / 2, lambda pause: None
    action._execute_module = lambda module_args, task_vars: dict(steps.pop(0) if len(steps) > 1 else steps[0])
    found = action.run(task_vars={})
    assert (found["changed"], found.get("failed", False)) == (True, not done)
    assert [entry["name"] for entry in found["objects"]] == ["one", "two"]
    assert [entry["before_header"] for entry in found["diff"]] == ["one", "two"]
    assert [entry["id"] for entry in found["findings"]] == ["not-ready", "decision-dropped", "decision-dropped"]
    assert found["warnings"] == ["one", "two"]
    assert found["msg"] == ("keda: 2 deleted" if done else "x: is held. Gave up after 10s.")
