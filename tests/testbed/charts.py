# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-ins for the vendors' charts, with the vendors' own definitions."""

from __future__ import annotations

import shutil
from pathlib import Path

from testbed import build

#: Whose definitions a chart has among its templates.
_DEFINITIONS = {"keda": "keda", "karpenter-crd": "karpenter"}


def chart(name: str, folder: Path) -> Path:
    """A copy of a chart in ``folder``, ready for helm."""
    target = shutil.copytree(Path(__file__).parent / "charts" / name, folder / name)
    if name in _DEFINITIONS:
        (target / "definitions").mkdir()
        for manifest in build.manifests(_DEFINITIONS[name]):
            shutil.copy(manifest, target / "definitions")
    return target
