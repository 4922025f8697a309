# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests declare, as inventory variables: one pool and one model, like inventories/local and quicker."""

from __future__ import annotations

from typing import Any

from testbed.bed import Bed

Json = dict[str, Any]

NAMESPACE = "inference"
MODEL = "llama"
POOL = "h100"


def cluster(bed: Bed) -> Json:
    """The cluster of a bed, as its user ``converge``."""
    return {
        "name": "e2e",
        "provider": "kwok",
        "uid": bed.uid,
        "auth": {"kubeconfig": bed.kubeconfigs["converge"]},
        "prometheus": {"in_cluster_url": bed.prometheus_url},
    }


def pool(**more: Any) -> Json:
    return {
        "name": POOL,
        "gpu": "h100-80gb",
        "instance_types": ["p5.48xlarge"],
        "nodes": {"max": 4},
        "ready_gate": "node-readiness-controller",
        "disruption": {"consolidate_after": "10s"},
        **more,
    }


def model(name: str = MODEL, **more: Any) -> Json:
    return {
        "name": name,
        "namespace": NAMESPACE,
        "source": {"uri": "meta-llama/Llama-3.3-70B-Instruct", "revision": "main"},
        "pool": POOL,
        "gpus": 4,
        "engine": {"args": ["--max-num-seqs", "16"]},
        "replicas": {"min": 2, "max": 6},
        "scaling": {
            "concurrency": 12,
            "scale_up": {"pods": 2, "period": "20s"},
            "scale_down": {"pods": 1, "period": "10s", "window": "20s"},
        },
        "lifecycle": {"p99_generation": "10s", "cold_start": "20s", "pre_stop": "1s", "teardown": "2s"},
        **more,
    }


def variables(bed: Bed, *models: Json, pools: list[Json] | None = None) -> Json:
    """The variables of one host."""
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "gpufleet_cluster": cluster(bed),
        "gpufleet_pools": [pool()] if pools is None else pools,
        "gpufleet_models": list(models) or [model()],
    }
