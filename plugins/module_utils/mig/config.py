# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of mig-manager: what is there of others stays, what is wanted is added.

Format v1 of mig-parted v0.15.0 (api/spec/v1/spec.go), which refuses all of a file that has one unknown field.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from ..errors import PreflightError
from ..findings import Finding, Severity
from ..fleet.fields import Problems, kind_of
from .layout import NodeLayout, Slices, config_name
from .profiles import MigGpu

Entry = dict[str, Any]
#: Entries by the name that the label of a node gives.
Configs = dict[str, list[Entry]]

#: mig-manager and the GPU Operator v26.7.0 give every node without a label this one.
ALL_DISABLED = "all-disabled"
_DISABLED: Entry = {"devices": "all", "mig-enabled": False}
_KEYS = ("devices", "mig-enabled", "mig-devices", "device-filter")


def parse(loaded: Any, where: str) -> Configs:
    """The entries of a configuration as a YAML reader loaded it; ``where`` names its object.

    Raises PreflightError for what mig-manager would refuse.
    """
    problems = Problems()
    configs = loaded.get("mig-configs") if isinstance(loaded, Mapping) else None
    if not isinstance(loaded, Mapping) or not isinstance(configs, Mapping) or not configs:
        raise unreadable(where, "has no entries under mig-configs")
    if loaded.get("version") != "v1":
        problems.add("version", f"is {loaded.get('version')!r}, not 'v1'")
    for key in [key for key in loaded if key not in ("version", "mig-configs")]:
        problems.add(str(key), "is not a known key")
    for name, entries in configs.items():
        path = f"mig-configs.{name}"
        if not isinstance(entries, list) or not entries:
            problems.add(path, "must be a list that is not empty")
            continue
        for index, entry in enumerate(entries):
            _check(entry, f"{path}[{index}]", problems)
    for finding in problems.findings[:1]:
        raise unreadable(where, f"{finding.field} {finding.message}")
    if any(entry["mig-enabled"] for entry in configs.get(ALL_DISABLED, ())):
        raise unreadable(where, f"mig-configs.{ALL_DISABLED} turns MIG on, and the GPU Operator gives it to new nodes")
    return {str(name): [dict(entry) for entry in entries] for name, entries in configs.items()}


def unreadable(where: str, reason: str) -> PreflightError:
    """The error for a configuration that cannot be read."""
    fix = "Mend or delete it: mig-manager could not read it either."
    return PreflightError([Finding("mig-config", Severity.ERROR, reason, where, "config.yaml", fix)])


def merge(present: Configs, wanted: Iterable[tuple[MigGpu, NodeLayout]]) -> Configs:
    """The entries that are there with those for these layouts, under their names, and with all-disabled.

    Entries for former layouts stay too: a node may have to go back to one. Where the fleet has several GPU models, an
    entry is for those alone that are meant to have it.
    """
    gpus: dict[str, list[MigGpu]] = {}
    entries: Configs = {}
    for gpu, layout in wanted:
        name = config_name(layout)
        entries[name] = layout.entries()
        gpus.setdefault(name, []).append(gpu)
    mixed = len({gpu.gpu for models in gpus.values() for gpu in models}) > 1
    ours = {
        name: [{**entry, "device-filter": _filter(gpus[name])} for entry in plain] if mixed else plain
        for name, plain in entries.items()
        if name != ALL_DISABLED
    }
    return {ALL_DISABLED: [dict(_DISABLED)], **present, **ours}


def layout_in(configs: Configs, name: str, gpu: MigGpu, count: int) -> Optional[NodeLayout]:
    """What an entry makes of a node with ``count`` such GPUs.

    None where there is no such entry, or it leaves a GPU out, which mig-parted refuses.
    """
    gpus: dict[int, Slices] = {}
    for entry in configs.get(name, ()):
        if _matches(entry.get("device-filter") or [], gpu):
            devices = range(count) if entry["devices"] == "all" else entry["devices"]
            slices = {key: n for key, n in entry.get("mig-devices", {}).items() if n} if entry["mig-enabled"] else None
            gpus.update((device, slices) for device in devices if device < count)
    return NodeLayout(tuple(gpus[index] for index in range(count))) if len(gpus) == count else None


def render(configs: Configs) -> str:
    """The configuration as YAML. Strings are quoted as in JSON, so that no reader takes one for anything else."""
    lines = ["version: v1", "mig-configs:"]
    for name, entries in sorted(configs.items()):
        lines.append(f"  {json.dumps(name)}:")
        for entry in entries:
            shown = [f"{key}: {json.dumps(entry[key])}" for key in _KEYS if key in entry]
            lines.extend(f"    {'- ' if index == 0 else '  '}{line}" for index, line in enumerate(shown))
    return "\n".join(lines) + "\n"


def _check(entry: Any, path: str, problems: Problems) -> None:
    """Report why mig-parted would refuse an entry."""
    if not isinstance(entry, Mapping):
        problems.add(path, f"must be a dictionary, got {kind_of(entry)}")
        return
    for key in [key for key in entry if key not in _KEYS]:
        problems.add(f"{path}.{key}", "is not a known key")
    devices, enabled, slices = entry.get("devices"), entry.get("mig-enabled"), entry.get("mig-devices")
    if devices != "all" and not _is_list(devices, int):
        problems.add(f"{path}.devices", "must be all, or a list of indices")
    if not isinstance(enabled, bool):
        problems.add(f"{path}.mig-enabled", "must be true or false")
    if slices is None and enabled:
        problems.add(f"{path}.mig-devices", "is required where mig-enabled is true")
    elif slices is not None and not (isinstance(slices, Mapping) and _is_list(list(slices.values()), int)):
        problems.add(f"{path}.mig-devices", "must be a dictionary of counts")
    elif slices and not enabled:
        problems.add(f"{path}.mig-devices", "must be empty where mig-enabled is false")
    ids = entry.get("device-filter", "")
    if not isinstance(ids, str) and not _is_list(ids, str):
        problems.add(f"{path}.device-filter", "must be a PCI device id, or a list of such")


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) and not isinstance(item, bool) for item in value)


def _filter(gpus: Iterable[MigGpu]) -> list[str]:
    return sorted({_device_id(device) for gpu in gpus for device in gpu.device_ids})


def _device_id(device: str) -> str:
    """A PCI device id as mig-parted writes it, its vendor behind it."""
    return f"0x{device}10DE"


def _matches(ids: Any, gpu: MigGpu) -> bool:
    """Whether a device filter lets a GPU through; of one board alone, after a colon, only the GPU is known."""
    listed = [ids] if isinstance(ids, str) else ids
    own = {_device_id(device).lower() for device in gpu.device_ids}
    return not listed or any(str(item).partition(":")[0].lower() in own for item in listed)
