# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which nodes the pods of a model may run, and which of its pools they prefer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..fleet.types import GpuPool
from .meta import POOL_LABEL

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_HIGHEST = 100


def placement(pools: Sequence[GpuPool]) -> dict[str, Any]:
    """Fields of a pod's spec. One pool is a node selector; of several the first is preferred, then the second.

    Karpenter v1.14 treats the preference of highest weight as a demand, and gives it up when no node can be had so
    (pkg/controllers/provisioning/scheduling/preferences.go): the next pool is used when the limit of the one before is
    reached, or when its instances cannot be had.
    """
    if len(pools) == 1:
        return {"nodeSelector": _labels(pools[0])}
    steps = len(pools) - 1
    preferred = [
        {"weight": _HIGHEST * (steps - index) // steps, "preference": _term(_labels(pool))}
        for index, pool in enumerate(pools[:-1])
    ]
    return {"affinity": {"nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": _terms(pools)}, _PREFERRED: preferred}}}


def pools_of(pod_spec: Mapping[str, Any]) -> list[str]:
    """The names of the provisioned pools that a pod with such a spec may run on."""
    selected = (pod_spec.get("nodeSelector") or {}).get(POOL_LABEL)
    required = ((pod_spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED) or {}
    expressions = (
        entry for term in required.get("nodeSelectorTerms") or () for entry in term.get("matchExpressions") or ()
    )
    wanted = [name for entry in expressions if entry["key"] == POOL_LABEL for name in entry.get("values") or ()]
    return [selected] if selected else wanted


def _labels(pool: GpuPool) -> dict[str, str]:
    return {POOL_LABEL: pool.name} if pool.provisioned else dict(pool.node_selector)


def _terms(pools: Sequence[GpuPool]) -> list[dict[str, Any]]:
    """Terms of which one must hold. Karpenter looks at one term at a time, so its pools share one."""
    bought = [pool.name for pool in pools if pool.provisioned]
    if bought:
        return [{"matchExpressions": [{"key": POOL_LABEL, "operator": "In", "values": bought}]}]
    return [_term(_labels(pool)) for pool in pools]


def _term(labels: Mapping[str, str]) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": "In", "values": [value]} for key, value in labels.items()]}
