# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for objects in steps; the module of the same name carries the documentation."""

from __future__ import annotations

from ..plugin_utils.stepper import Stepper


class ActionModule(Stepper):
    """Repeats gpufleet.llm.wait_for."""
