# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bed of the end-to-end tests serves here too."""

from __future__ import annotations

from e2e.conftest import api, audit, bed, empty_bed, fleet

__all__ = ["api", "audit", "bed", "empty_bed", "fleet"]
