# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a component away in steps; the module of the same name carries the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ..module_utils.converge.plan import Action, summary
from ..plugin_utils.stepper import Result, Stepper


class ActionModule(Stepper):
    """Repeats gpufleet.llm.remove. What its steps have deleted, and what went with it, adds up to the result."""

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> Result:
        """As the base, with all that was deleted."""
        self._objects: list[dict[str, Any]] = []
        self._diff: list[dict[str, Any]] = []
        self._lost: list[dict[str, Any]] = []
        self._warnings: list[Any] = []
        result = super().run(tmp, task_vars)
        result.update(changed=bool(self._objects), objects=self._objects, diff=self._diff)
        result["findings"] = [entry for entry in result.get("findings", ()) if not _is_lost(entry)] + self._lost
        if self._warnings:
            result["warnings"] = self._warnings
        if result.get("done"):
            actions = [Action(entry["action"]) for entry in self._objects]
            done = summary(actions, self._task.check_mode) if actions else "nothing is left of it"
            result["msg"] = f"{self._task.args['component']}: {done}"
        return result

    def _step(self, args: Mapping[str, Any]) -> Result:
        step = super()._step(args)
        self._objects += step.get("objects") or []
        self._diff += step.get("diff") or []
        self._lost += filter(_is_lost, step.get("findings") or [])
        self._warnings += step.get("warnings") or []
        return step


def _is_lost(finding: Mapping[str, Any]) -> bool:
    """Whether it tells of a decision that went with what a step has deleted: no later step knows of it."""
    return bool(finding["id"] == "decision-dropped")
