# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of what every module supports."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes that all modules of the collection share; a module states what differs."""

    DOCUMENTATION = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/gpufleet.llm.gpufleet) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - gpufleet.llm.gpufleet
  check_mode:
    description: Predicts the changed set without a write.
    support: full
  diff_mode:
    description: Shows the fields that change, without the content of Secrets.
    support: full
  idempotent:
    description: A second run with the same declaration changes nothing and sends no write.
    support: full
"""
