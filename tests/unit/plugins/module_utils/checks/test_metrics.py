# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A query that returns nothing is an error where replicas serve, and to be expected where none does."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.checks.metrics import Asked, queries_of, series_findings
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import (
    MINUTE_AGO,
    NOW,
    TEN_MINUTES_AGO,
    scaled_object,
)

FIX = " Compare its labels with those in Prometheus; gpufleet_cluster.prometheus.labels names two of them."


def deployment(ready: int, since: str) -> dict[str, Any]:
    available = {"type": "Available", "status": "True", "lastTransitionTime": since}
    return {"status": {"readyReplicas": ready, "conditions": [available]}}


@pytest.mark.parametrize(
    ("series", "target", "said"),
    [
        (1, None, []),
        (0, None, []),
        (0, {"status": {}}, [f"warning path: returns nothing yet: no replica is ready.{FIX}"]),
        (0, deployment(2, MINUTE_AGO),
         [f"warning path: returns nothing yet: 2 replicas have been ready only for a moment.{FIX}"]),
        (0, deployment(2, TEN_MINUTES_AGO), [f"error path: returns nothing, although 2 replicas are ready.{FIX}"]),
        (3, None, ["error path: returns 3 series, and KEDA takes one. Write sum(...) around it."]),
    ],
    ids=["one", "not there", "not ready", "just ready", "ready", "many"],
)  # fmt: skip
def test_one_series_is_wanted(series: int, target: Any, said: list[str]) -> None:
    found = series_findings(scaled_object(), Asked("path", "up", True), series, target, NOW)
    shown = [f"{finding.severity.value} {finding.line()}" for finding in found]
    assert shown == [line.replace(" path", " ScaledObject inference/llama path") for line in said]


@pytest.mark.parametrize(
    ("query", "null", "severity"),
    [
        ("sum(vllm:num_requests_running)", "false", "error"),
        ("sum(vllm:num_requests_running)", "true", "warning"),
        ("sum(vllm:num_requests_running)", None, "warning"),
        ("sum(rate(gw_requests_total[1m]))", "false", "warning"),
        ("sum(vllm:num_requests_running) + sum(gw_requests)", "false", "warning"),
        ("what ? is this", "false", "warning"),
    ],
)
def test_only_what_replicas_surely_have_must_be_there(query: str, null: Any, severity: str) -> None:
    metadata = {"serverAddress": "http://p", "query": query, **({"ignoreNullValues": null} if null else {})}
    (asked,) = queries_of({"spec": {"triggers": [{"type": "prometheus", "metadata": metadata}]}}, "http://p")
    (finding,) = series_findings(scaled_object(), asked, 0, deployment(2, TEN_MINUTES_AGO), NOW)
    assert finding.severity.value == severity


def test_only_what_that_prometheus_is_asked() -> None:
    metadata = {"serverAddress": "http://p", "query": "up"}
    triggers: list[Any] = [
        {"type": "cron", "metadata": metadata},
        {"type": "prometheus", "metadata": {**metadata, "serverAddress": "http://q"}},
        {"type": "prometheus", "metadata": metadata},
        {"type": "prometheus"},
        "nonsense",
    ]
    assert list(queries_of({"spec": {"triggers": triggers}}, "http://p/")) == [
        Asked("spec.triggers[2].metadata.query", "up", False)
    ]
    assert list(queries_of({"spec": {"triggers": "none"}}, "http://p")) == []
