# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operands of the GPU Operator are told of cut and shared GPUs: ConfigMaps that its ClusterPolicy names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Optional

from ..fleet.types import Fleet
from ..mig.config import merge, render
from ..mig.layout import NodeLayout
from ..mig.pools import layout
from ..mig.profiles import MigGpu, mig_gpu_of
from ..mig.sharing import sharing_config
from .meta import make, namespace_object, ownership, ref_of

ROLE = "mig"
MIG_CONFIG = "gpufleet-mig-config"
SHARING_CONFIG = "gpufleet-device-plugin-config"
#: The only key that mig-manager v0.15 reads.
_MIG_KEY = "config.yaml"

_Layouts = list[tuple[MigGpu, NodeLayout]]
#: Adds layouts to a text of mig-manager's configuration, which the second argument names in errors.
Update = Callable[[Optional[str], str, _Layouts], str]


def build(fleet: Fleet) -> list[dict[str, Any]]:
    """Every object of the role mig, its namespaces first; nothing while no pool cuts or shares."""
    layouts, shared = _layouts(fleet), dict(filter(None, map(sharing_config, fleet.pools)))
    data = {MIG_CONFIG: {_MIG_KEY: render(merge({}, layouts))} if layouts else {}, SHARING_CONFIG: shared}
    maps = [_config_map(fleet, name, content) for name, content in data.items() if content]
    return [*_namespaces(fleet), *maps] if maps else []


def _namespaces(fleet: Fleet) -> list[dict[str, Any]]:
    """That of the GPU Operator, and where nodes are cut that exist, that of the Leases of whoever does it."""
    in_place = any(pool.mig and not pool.provisioned for pool in fleet.pools)
    names = [fleet.cluster.gpu_operator_namespace, *([fleet.cluster.namespace] if in_place else [])]
    return [namespace_object(fleet, ROLE, name) for name in dict.fromkeys(names)]


def carried(fleet: Fleet, obj: dict[str, Any], live: Mapping[str, Any], update: Update) -> dict[str, Any]:
    """The object with what it has to keep of the live one: layouts of others, and those that nodes still have and may
    have to go back to. Raises PreflightError where these cannot be read."""
    if obj["metadata"]["name"] != MIG_CONFIG:
        return obj
    text = update((live.get("data") or {}).get(_MIG_KEY), str(ref_of(obj)), _layouts(fleet))
    return {**obj, "data": {_MIG_KEY: text}}


def _layouts(fleet: Fleet) -> _Layouts:
    declared = ((mig_gpu_of(pool.gpu), layout(pool)) for pool in fleet.pools)
    return [(gpu, cut) for gpu, cut in declared if gpu and cut]


def _config_map(fleet: Fleet, name: str, data: Mapping[str, str]) -> dict[str, Any]:
    made = make("v1", "ConfigMap", name, ownership(fleet, ROLE), fleet.cluster.gpu_operator_namespace)
    return {**made, "data": dict(data)}
