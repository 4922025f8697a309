# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to the YAML of mig-manager's configuration, which people write too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Optional

from .mig.config import Configs, merge, parse, render, unreadable
from .mig.layout import NodeLayout
from .mig.profiles import MigGpu

# The Kubernetes client brings it: a module that has one to read from has this too.
with contextlib.suppress(ImportError):
    import yaml


def load(text: str, where: str) -> Configs:
    """The entries in the text of a ConfigMap, which ``where`` names. Raises PreflightError."""
    try:
        return parse(yaml.safe_load(text), where)
    except yaml.YAMLError as error:
        raise unreadable(where, f"is no YAML: {' '.join(str(error).split())}") from error


def updated(text: Optional[str], where: str, wanted: Iterable[tuple[MigGpu, NodeLayout]]) -> str:
    """The text with the entries for these layouts; the same text where it has them. Raises PreflightError."""
    present = load(text, where) if text else {}
    merged = merge(present, wanted)
    return text if text and merged == present else render(merged)
