# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the device plugin is told that pods share GPUs, by time-slicing or MPS.

Fields of api/config/v1 of k8s-device-plugin v0.20.0. It reads the configuration that a label of its node names.
"""

from __future__ import annotations

import hashlib
import json
from typing import Optional

from ..fleet.slices import SharingMethod
from ..fleet.types import GpuPool
from .change import CONFIG_LABEL
from .layout import GPU_RESOURCE
from .pools import config, unshared

#: Node label with the name of the configuration.
SHARING_LABEL = "nvidia.com/device-plugin.config"
_FIELDS = {SharingMethod.TIME_SLICING: "timeSlicing", SharingMethod.MPS: "mps"}


def sharing_config(pool: GpuPool) -> Optional[tuple[str, str]]:
    """Name and content of the configuration of a pool that shares; another content has another name, because the plugin
    is started again when the label changes and not when the content does."""
    if pool.sharing is None:
        return None
    method, replicas, names = pool.sharing.method, pool.sharing.replicas, sorted(unshared(pool))
    shared = [{"name": name, "replicas": replicas} for name in names]
    content = json.dumps({"version": "v1", "sharing": {_FIELDS[method]: {"resources": shared}}}, indent=2) + "\n"
    digest = "" if names == [GPU_RESOURCE] else f"-{hashlib.sha256(content.encode()).hexdigest()[:8]}"
    return f"{method.value}-{replicas}{digest}", content


def node_labels(pool: GpuPool) -> dict[str, str]:
    """Labels of its nodes that have them cut and shared as the pool declares."""
    shared = sharing_config(pool)
    wanted = {CONFIG_LABEL: config(pool), SHARING_LABEL: shared and shared[0]}
    return {key: value for key, value in wanted.items() if value}
