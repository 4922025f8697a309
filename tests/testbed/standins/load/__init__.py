# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replays a rate profile as completion requests to the Ready pods of one model.

    result = run_load(api, "inference", "llama", LoadProfile.read(path), LoadOptions(seed=7))

The same seed gives the same arrivals and lengths; a change to one distribution leaves the others' draws as they were.
"""

from __future__ import annotations

from .options import LoadOptions
from .profile import LoadProfile
from .replay import run_load
from .result import LoadResult

__all__ = ["LoadOptions", "LoadProfile", "LoadResult", "run_load"]
