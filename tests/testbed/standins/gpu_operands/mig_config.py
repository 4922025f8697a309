# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration file of mig-parted (api/spec/v1 of v0.15.0): what it says about the GPUs of one node."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import yaml

from testbed.api import Json

from . import mig_tables
from .products import Product

#: The layout of one GPU; None is MIG off.
Gpu = mig_tables.Slices | None

_ENTRY = {"device-filter", "devices", "mig-enabled", "mig-devices"}
# go-nvlib, pkg/nvlib/device/mig_profile.go.
_PROFILE = re.compile(r"(?:[1-9]\d*c\.)?[1-9]\d*g\.[1-9]\d*gb(?:[+-][a-z.]+(?:,[a-z.]+)*)*")


def wanted(text: str, name: str, product: Product, gpus: int) -> Mapping[int, Gpu]:
    """The layout by index of every GPU that the configuration of this name speaks of.

    ValueError for what `nvidia-mig-parted assert --valid-config` refuses.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"no YAML: {error}") from error
    _require(isinstance(content, dict) and set(content) == {"version", "mig-configs"}, "no version and mig-configs")
    _require(content["version"] == "v1", f"version {content['version']!r}")
    _require(isinstance(content["mig-configs"], dict), "mig-configs is no mapping")
    for entries in content["mig-configs"].values():
        _require(isinstance(entries, list) and bool(entries), "a configuration has no entries")
        for entry in entries:
            _check(entry)
    _require(name in content["mig-configs"], f"no configuration {name!r}")
    return _by_index(content["mig-configs"][name], product, gpus)


def generated(product: Product) -> str:
    """The file of a node whose configuration nobody wrote."""
    configs = {
        name: [{"devices": "all", "mig-enabled": slices is not None, "mig-devices": dict(slices or {})}]
        for name, slices in mig_tables.generated(product.name).items()
    }
    return yaml.safe_dump({"version": "v1", "mig-configs": configs}, sort_keys=False)


def _check(entry: Json) -> None:
    _require(isinstance(entry, dict) and set(entry) <= _ENTRY, f"unknown field in {entry!r}")
    devices, enabled, slices = entry.get("devices"), entry.get("mig-enabled"), entry.get("mig-devices") or {}
    indices = isinstance(devices, list) and all(type(index) is int for index in devices)
    _require(devices == "all" or indices, f"devices {devices!r}")
    _require(isinstance(enabled, bool), f"mig-enabled {enabled!r}")
    _require(enabled or not slices, "mig-devices without MIG")
    for profile, count in slices.items():
        _require(bool(_PROFILE.fullmatch(profile)) and type(count) is int and count >= 0, f"{profile}: {count!r}")


def _by_index(entries: Sequence[Json], product: Product, gpus: int) -> Mapping[int, Gpu]:
    found: dict[int, Gpu] = {}
    for entry in entries:
        filters = entry.get("device-filter") or product.pci_id
        if product.pci_id.lower() not in [one.lower() for one in ([filters] if isinstance(filters, str) else filters)]:
            continue
        slices = {profile: count for profile, count in (entry.get("mig-devices") or {}).items() if count}
        devices = range(gpus) if entry["devices"] == "all" else entry["devices"]
        found |= {index: slices if entry["mig-enabled"] else None for index in devices if index < gpus}
    return found


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
