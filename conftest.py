# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every pytest run starts from the checkout as it is now: the collection is staged before a test imports it."""

from __future__ import annotations

import importlib
import os

import stage

stage.stage()
# In a fresh checkout the folder did not exist yet when pytest put it on the path, and Python remembers that.
importlib.invalidate_caches()
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(stage.COLLECTIONS)
