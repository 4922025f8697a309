# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PromQL that KEDA asks: one number for the demand on a model, one for its share of the KV cache.

Metric names of vLLM 0.20 and later (``vllm/v1/metrics/loggers.py``). Waiting requests count only with reason
``capacity``: more replicas do not help the deferred ones.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..fleet.types import LlmModel, Prometheus


def escape(value: str) -> str:
    """A string as the inside of a PromQL double-quoted literal."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def pods_pattern(model: LlmModel) -> str:
    """A PromQL pattern of the names of the pods of one model, within its namespace.

    A pod of a Deployment is named <deployment>-<template hash>-<suffix>, neither of which holds a dash.
    """
    return f"{escape(model.name)}-[^-]+-[^-]+"


def pods_selector(model: LlmModel, prometheus: Prometheus) -> str:
    """Label matchers of the pods of one model and nobody else's."""
    labels = prometheus.labels
    return f'{labels.namespace}="{escape(model.namespace)}",{labels.pod}=~"{pods_pattern(model)}"'


def selector(model: LlmModel, prometheus: Prometheus) -> str:
    """Label matchers of the series of one model."""
    return f'{pods_selector(model, prometheus)},model_name="{escape(model.name)}"'


def demand_query(model: LlmModel, prometheus: Prometheus) -> str:
    """Requests in service plus those waiting for capacity, over all replicas.

    Empty while no replica has reported, which KEDA takes as an error and not as no demand.
    """
    own = selector(model, prometheus)
    waiting = f'vllm:num_requests_waiting_by_reason{{{own},reason="capacity"}}'
    return f"sum(vllm:num_requests_running{{{own}}}) + sum({waiting})"


def kv_cache_query(model: LlmModel, prometheus: Prometheus) -> str:
    """Shares of the KV cache in use, added up over replicas: each replica counts once, whatever its ranks."""
    own = selector(model, prometheus)
    return f"sum(max by ({prometheus.labels.pod}) (vllm:kv_cache_usage_perc{{{own}}}))"


def requests_query(pods: Iterable[tuple[str, str]], prometheus: Prometheus) -> str:
    """Requests that each of these pods, by namespace and name, runs or queues for whatever reason."""
    labels, places = prometheus.labels, sorted(pods)
    namespaces, names = (
        "|".join(dict.fromkeys(part.replace(".", "[.]") for part in column)) for column in zip(*places)
    )
    own = f'{labels.namespace}=~"{namespaces}",{labels.pod}=~"{names}"'
    by = f"sum by ({labels.namespace}, {labels.pod})"
    return f"{by} (vllm:num_requests_running{{{own}}}) + {by} (vllm:num_requests_waiting{{{own}}})"
