# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the objects of a fleet stand when they are rendered as files: names and order never change by themselves."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..fleet.types import Fleet
from .build import COMPONENTS
from .meta import Ref, ref_of

#: Before all else, also for tools that apply files in the order of their names.
_NAMESPACES = "00-namespaces"


@dataclass(frozen=True)
class Manifest:
    """One object in one file; ``path`` is relative, with ``/``. ``component`` is the first that asks for the object."""

    path: str
    component: str
    obj: dict[str, Any]


def manifests(fleet: Fleet, components: Collection[str]) -> list[Manifest]:
    """The files of some components in the order of a run.

    An object that two components share belongs to the first of all that build it, so that it is rendered once.
    """
    found: dict[Ref, Manifest] = {}
    for name, component in COMPONENTS.items():
        for obj in component.build(fleet):
            ref = ref_of(obj)
            found.setdefault(ref, Manifest(_path(ref, f"{component.step:02d}-{name}"), name, obj))
    return [manifest for manifest in found.values() if manifest.component in components]


def _path(ref: Ref, folder: str) -> str:
    """A namespace has no dot, so it cannot run into the name."""
    place = f"{ref.namespace}.{ref.name}" if ref.namespace else ref.name
    return f"{_NAMESPACES if ref.kind == 'Namespace' else folder}/{ref.kind}-{place}.yaml"
