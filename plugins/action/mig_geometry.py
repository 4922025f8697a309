# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change MIG geometries in steps; the module of the same name carries the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ..plugin_utils.stepper import Result, Stepper

_CARRIED = "carried"


class ActionModule(Stepper):
    """Repeats gpufleet.llm.mig_geometry, and hands each step what the one before knew."""

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> Result:
        """As the base; changed where any step has written."""
        self._carried: dict[str, Any] = {}
        self._changed = False
        result = super().run(tmp, task_vars)
        result.pop(_CARRIED, None)
        return {**result, "changed": self._changed or bool(result.get("changed"))}

    def _step(self, args: Mapping[str, Any]) -> Result:
        step = super()._step({**args, _CARRIED: self._carried} if self._carried else args)
        self._carried = step.get(_CARRIED) or self._carried
        self._changed = self._changed or bool(step.get("changed"))
        return step
