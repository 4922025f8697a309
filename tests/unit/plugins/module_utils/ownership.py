# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-side apply in small: who owns which field of one object, and what each kind of write does to it.

After sigs.k8s.io/structured-merge-diff v6 ``merge/update.go``. Lists are atomic here, and only spec.replicas of a
workload has a default.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]
#: Name, operation and subresource, as managedFields tell managers apart.
Manager = tuple[str, str, str]

REPLICAS: Path = ("spec", "replicas")


class Conflict(Exception):
    """An apply would change fields of others; one cause a field."""

    def __init__(self, causes: list[dict[str, str]]) -> None:
        self.causes = causes
        super().__init__(str(causes))


@dataclass
class Owned:
    """An object and the managers of its fields."""

    obj: dict[str, Any]
    owners: dict[Manager, set[Path]] = field(default_factory=dict)

    def apply(self, manager: str, config: dict[str, Any], force: bool = False) -> Owned:
        """What server-side apply makes of it. Raises Conflict."""
        me: Manager = (manager, "Apply", "")
        owners = {key: set(paths) for key, paths in self.owners.items()}
        owners[me] = set(leaves(config))
        result = merged(self.obj, config)
        kept = set().union(*owners.values())
        for path in self.owners.get(me, set()) - kept:
            remove(result, path)
        default(result)
        causes = []
        for other in [key for key in owners if key != me]:
            changed = {path for path in owners[other] if value(result, path) != value(self.obj, path)}
            causes += [] if force else [cause(other, path, self.obj["apiVersion"]) for path in sorted(changed)]
            owners[other] -= changed
        if causes:
            raise Conflict(causes)
        return Owned(result, {key: paths for key, paths in owners.items() if paths})

    def update(self, manager: str, patch: dict[str, Any], subresource: str = "") -> Owned:
        """What a plain write makes of it: what it changes is its own from then on."""
        me: Manager = (manager, "Update", subresource)
        result = merged(self.obj, patch)
        default(result)
        changed = {path for path in leaves(patch) if value(result, path) != value(self.obj, path)}
        owners = {key: paths - changed for key, paths in self.owners.items()}
        owners[me] = owners.get(me, set()) | changed
        return Owned(result, {key: paths for key, paths in owners.items() if paths})

    def without(self, path: Path) -> Owned:
        """What a patch leaves that removes one leaf."""
        result = copy.deepcopy(self.obj)
        remove(result, path)
        owners = {key: paths - {path} for key, paths in self.owners.items()}
        return Owned(result, {key: paths for key, paths in owners.items() if paths})

    def shown(self) -> dict[str, Any]:
        """The object with its managedFields."""
        result = copy.deepcopy(self.obj)
        result["metadata"]["managedFields"] = [
            {"manager": name, "operation": operation, "subresource": subresource, "fieldsV1": fields(paths)}
            for (name, operation, subresource), paths in self.owners.items()
        ]
        return result


def cause(manager: Manager, path: Path, api_version: str) -> dict[str, str]:
    """As the API server v1.35 words it."""
    subresource = f' with subresource "{manager[2]}"' if manager[2] else ""
    message = f'conflict with "{manager[0]}"{subresource} using {api_version}'
    return {"reason": "FieldManagerConflict", "message": message, "field": "." + ".".join(path)}


def leaves(config: Any, path: Path = ()) -> Iterator[Path]:
    """Paths of all that is no dictionary, without what identifies the object."""
    for key, entry in config.items():
        here = (*path, key)
        if here in (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")):
            continue
        if isinstance(entry, dict) and entry:
            yield from leaves(entry, here)
        else:
            yield here


def merged(base: Any, patch: Any) -> Any:
    """Deep merge into a copy."""
    if not isinstance(base, dict) or not isinstance(patch, dict):
        return copy.deepcopy(patch)
    return {**copy.deepcopy(base), **{key: merged(base.get(key), entry) for key, entry in patch.items()}}


def value(obj: Any, path: Path) -> Any:
    """The value at a path; None if absent."""
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def remove(obj: dict[str, Any], path: Path) -> None:
    """Take one leaf out."""
    parent = value(obj, path[:-1])
    if isinstance(parent, dict):
        parent.pop(path[-1], None)


def default(obj: dict[str, Any]) -> None:
    """What makes a plain omission dangerous: a workload without a count gets one replica."""
    if obj["kind"] == "Deployment":
        obj.setdefault("spec", {}).setdefault("replicas", 1)


def fields(paths: set[Path]) -> dict[str, Any]:
    """Paths in the form of fieldsV1."""
    result: dict[str, Any] = {}
    for path in paths:
        inner = result
        for key in path:
            inner = inner.setdefault(f"f:{key}", {})
    return result
