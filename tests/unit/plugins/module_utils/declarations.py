# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A valid declaration, ways to change one place of it, and what is wrong with a changed one."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils.errors import InvalidInput
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.parse import parse_fleet
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import Fleet

Path = tuple[Any, ...]

#: Every key that a declaration knows is given at least once, so that a walk over it reaches every parser.
VALID: dict[str, Any] = {
    "cluster": {
        "name": "east",
        "provider": "kwok",
        "uid": "0d3ad9a8-41b7-4e37-9d5b-6a3b2f1c0e9d",
        "namespace": "gpufleet",
        "gpu_operator_namespace": "gpu-operator",
        "auth": {"kubeconfig": "/etc/kubeconfig", "context": "east"},
        "prometheus": {
            "in_cluster_url": "http://prometheus.monitoring:9090",
            "url": "https://prometheus.example.com/east",
            "ca": "/etc/ca.pem",
            "labels": {"namespace": "namespace", "pod": "pod"},
            "credentials": {"secret": {"name": "prometheus-token", "key": "token"}, "environment": "TOKEN"},
        },
    },
    "pools": [
        {
            "name": "h100",
            "gpu": "h100-80gb",
            "gpus_per_node": 8,
            "instance_types": ["p5.48xlarge"],
            "capacity_types": ["on-demand", "reserved"],
            "zones": ["east-1a"],
            "nodes": {"max": 4, "warm": {"count": 1, "by": "placeholder"}},
            "ready_gate": "node-readiness-controller",
            "disruption": {
                "consolidate_after": "10m",
                "expire_after": "720h",
                "budgets": [{"nodes": "10%", "reasons": ["Drifted"], "schedule": "0 9 * * 1-5", "duration": "8h"}],
            },
            "node_class": "shared",
            "overrides": {"NodePool": {"spec": {"weight": 10}}},
        },
        {"name": "old", "gpu": "a100-40gb", "gpus_per_node": 8, "node_selector": {"example.com/gpu": "a100"}},
    ],
    "models": [
        {
            "name": "llama-70b",
            "namespace": "inference",
            "source": {
                "uri": "meta-llama/Llama-3.3-70B-Instruct",
                "revision": "6f6073b",
                "token": {"name": "hub", "key": "token"},
            },
            "pool": "h100",
            "gpus": 4,
            "engine": {
                "image": "registry.example.com:5000/vllm/vllm-openai:v0.32.0",
                "args": ["--max-num-seqs", "16"],
                "cpu": "8",
                "memory": "64Gi",
                "shm": "8Gi",
            },
            "replicas": {"min": 2, "max": 6},
            "scaling": {
                "concurrency": 12,
                "kv_cache": 0.85,
                "scale_up": {"pods": 2, "period": "10m"},
                "scale_down": {"pods": 1, "period": "5m", "window": "10m"},
                "fallback": {"failures": 3, "replicas": 2},
            },
            "lifecycle": {"p99_generation": "60s", "cold_start": "8m", "pre_stop": "15s", "teardown": "15s"},
            "overrides": {"Deployment": {"spec": {"revisionHistoryLimit": 3}}},
        },
        {
            "name": "qwen",
            "namespace": "inference",
            "source": {"uri": "/models/qwen", "volume": "weights"},
            "pool": "old",
            "size": {"weights": "3Gi", "layers": 28, "kv_heads": 4, "head_dim": 128, "kv_bytes": 2},
            "replicas": {"count": 5},
        },
    ],
    "versions": {"gpu_operator": "v26.7.0", "karpenter": "1.14.3", "keda": "2.20.2", "vllm": "0.32.0"},
}

#: Changes that declare what excludes others: the second pool is cut and shared, and its model runs on a slice.
SLICED: tuple[tuple[str, Any], ...] = (
    (
        "pools[1].mig",
        {"layout": [{"slices": {"1g.5gb": 7}, "devices": [0, 1]}], "strategy": "mixed", "max_unavailable": 2},
    ),
    ("pools[1].sharing", {"method": "time-slicing", "replicas": 2}),
    ("models[1].slice", "1g.5gb"),
)

#: Changes that cut the first pool into slices, on one of which each replica of its model runs.
CUT: tuple[tuple[str, Any], ...] = (
    ("pools[0].mig", {"layout": {"1g.10gb": 7}}),
    ("models[0].gpus", 1),
    ("models[0].slice", "1g.10gb"),
)
#: The same, with slices of names of their own.
MIXED = (*CUT, ("pools[0].mig", {"layout": {"1g.10gb": 7}, "strategy": "mixed"}))


def declaration(*changes: tuple[str, Any]) -> dict[str, Any]:
    """A valid declaration with values at paths such as ``models[0].replicas.min`` set, or removed by None."""
    result = copy.deepcopy(VALID)
    for text, value in changes:
        path = parse_path(text)
        if value is None:
            del at(result, path[:-1])[path[-1]]
        else:
            at(result, path[:-1])[path[-1]] = copy.deepcopy(value)
    return result


def fleet(*changes: tuple[str, Any]) -> Fleet:
    """The Fleet of a declaration that is valid also with its changes."""
    return parse_fleet(**declaration(*changes))


def problems(*changes: tuple[str, Any]) -> list[Finding]:
    """All that is wrong with a changed declaration."""
    try:
        parse_fleet(**declaration(*changes))
    except InvalidInput as error:
        return list(error.findings)
    return []


def parse_path(text: str) -> Path:
    """Keys and indices of a path."""
    return tuple(int(index) if index else key for key, index in re.findall(r"([^.\[\]]+)(?![^\[]*\])|\[(\d+)\]", text))


def at(value: Any, path: Path) -> Any:
    """The value at a path."""
    for step in path:
        value = value[step]
    return value


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every place of a value, the whole of it first."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from paths(entry, (*path, key))
