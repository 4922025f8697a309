# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge a user's ``overrides`` into an object that we built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

#: Lists that Kubernetes merges by a key of their entries: ``patchMergeKey`` in k8s.io/api v0.35 core/v1. All other
#: lists are replaced as a whole. Ports have one key in a container and another in a Service. As there, an entry with
#: ``$patch: delete`` removes its namesake.
_MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "port"),
    "topologySpreadConstraints": ("topologyKey",),
}


def apply_overrides(obj: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The object with the overrides of its kind merged last. A null value removes a field."""
    patch = overrides.get(obj["kind"])
    merged: dict[str, Any] = merge(obj, patch) if patch else obj
    return merged


def merge(base: Any, patch: Any, field: str = "") -> Any:
    """Deep merge; neither argument is changed."""
    if isinstance(base, Mapping) and isinstance(patch, Mapping):
        kept = {key: value for key, value in base.items() if patch.get(key, key) is not None}
        changed = {key: merge(base.get(key), value, key) for key, value in patch.items() if value is not None}
        return {**kept, **changed}
    if isinstance(patch, Mapping):
        return merge({}, patch, field)
    if not isinstance(patch, Sequence) or isinstance(patch, str):
        return patch
    key = _merge_key(field, base, patch) if isinstance(base, Sequence) else None
    return _merge_list(base, patch, key) if key else [merge(None, entry) for entry in patch]


def _merge_key(field: str, base: Sequence[Any], patch: Sequence[Any]) -> Optional[str]:
    entries = [*base, *patch]
    for key in _MERGE_KEYS.get(field, ()):
        if all(isinstance(entry, Mapping) and isinstance(entry.get(key), (str, int)) for entry in entries):
            return key
    return None


def _merge_list(base: Sequence[Any], patch: Sequence[Any], key: str) -> list[Any]:
    removed = {entry[key] for entry in patch if entry.get("$patch") == "delete"}
    patches = {entry[key]: entry for entry in patch if entry[key] not in removed}
    kept = [entry for entry in base if entry[key] not in removed]
    merged = [merge(entry, patches.pop(entry[key])) if entry[key] in patches else entry for entry in kept]
    return merged + [merge({}, entry) for entry in patches.values()]
