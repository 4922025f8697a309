# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many series a query returns, and how much at most: certain, or not said."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import Prometheus
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.promql import read
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.queries import demand_query, kv_cache_query
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.series import Count, Peak, count, peak
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet

RUNNING, KV = 'vllm:num_requests_running{namespace="a"}', 'vllm:kv_cache_usage_perc{model_name="b"}'
PEAKS = {"vllm:kv_cache_usage_perc": 1.0}

ONE = [
    f"sum({RUNNING})",
    f"sum({RUNNING}) + sum({KV})",
    f"sum(max by (pod) ({KV}))",
    f"max({KV}) / 0.85",
    f"-avg({KV}) * 2 ^ 3 ^ 2",
    "histogram_quantile(0.95, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket{a=~'b'}[5m])))",
    f"sum({RUNNING}) or vector(0)",
    f"scalar(sum({RUNNING})) > bool 2",
    f"clamp_min(sum({RUNNING}) - 1, 0)",
    f"sum by (namespace) ({RUNNING})",
    f"sum({RUNNING}) by ()",
    f"quantile(0.9, {KV})",
    f"avg_over_time(sum({RUNNING})[5m:30s])",
    f"sum({RUNNING} offset -5m @ end())",
    f"sum({RUNNING}) / on() group_left sum({KV})",
    f"{RUNNING} / ignoring(pod) sum({KV})",
    "absent(up)",
    "1 + 2",
    f"sum({RUNNING}) and up",
    f"topk(2, sum({RUNNING}))",
    f"bottomk(1, {RUNNING})",
    f"sum by (namespace) ({RUNNING}) or on() vector(0)",
    f"sum(rate({RUNNING}[5m])) # the last hour\n",
]
MANY = [
    RUNNING,
    f"({RUNNING})",
    f"rate({RUNNING}[5m]) * 2",
    f"sum by (pod, namespace) ({RUNNING})",
    f"{RUNNING} + {KV}",
    f"{RUNNING} or {KV}",
    f"{RUNNING} and up",
    f"{RUNNING} * on(namespace) group_left() up",
    f"histogram_quantile(0.9, sum by (le, pod) (rate({RUNNING}[5m])))",
    '{__name__="vllm:num_requests_running"}',
]
UNSURE = [
    "up",
    'model:demand:sum{model="b"}',
    "vllm:demand:sum",
    f"sum without (pod) ({RUNNING})",
    f"sum by (model_name) ({RUNNING})",
    f"topk(2, {RUNNING})",
    f"topk by (pod) (1, {RUNNING})",
    'vllm:num_requests_running{pod="b-1"}',
    f"max by (model_name) ({RUNNING}) or vector(0)",
    f"max by (namespace) ({RUNNING}) or vector(0)",
    f"count_values('v', {RUNNING})",
    f"{RUNNING} + up",
]
NOT_READ = [
    "sum(",
    "sum(a b)",
    "a{b='c'",
    "a +",
    "sum by (pod) ()",
    "sum(a, b)",
    "a[5m",
    "a ? b",
    "'",
    "a{b}",
    "(" * 5000,
    "",
    "a @ foo",
]


@pytest.mark.parametrize(
    ("query", "series"),
    [*((query, Count.ONE) for query in ONE), *((query, Count.MANY) for query in MANY),
     *((query, Count.UNSURE) for query in UNSURE)],
)  # fmt: skip
def test_how_many_series_come(query: str, series: Count) -> None:
    node = read(query)
    assert node is not None and count(node, "pod") is series


@pytest.mark.parametrize("query", NOT_READ, ids=range(len(NOT_READ)))
def test_what_is_not_understood_is_not_judged(query: str) -> None:
    assert read(query) is None


@pytest.mark.parametrize("query", [*ONE, *MANY, *UNSURE])
def test_all_of_it_is_promql(query: str) -> None:
    """Held against another parser."""
    pytest.importorskip("promql_parser").parse(query)


def test_our_own_queries_return_one_series() -> None:
    model, prometheus = fleet().models[0], Prometheus("http://prometheus")
    for query in (demand_query(model, prometheus), kv_cache_query(model, prometheus)):
        node = read(query)
        assert node is not None and count(node, "pod") is Count.ONE
    node = read(kv_cache_query(model, prometheus))
    assert node is not None and peak(node, PEAKS, "pod", ranks=True) == Peak(1.0, True)


@pytest.mark.parametrize(
    ("query", "ranks", "most"),
    [
        (f"max({KV})", True, Peak(1.0, False)),
        (f"avg(avg_over_time({KV}[5m]))", True, Peak(1.0, False)),
        (f"sum(max by (pod) ({KV}))", True, Peak(1.0, True)),
        (f"sum({KV})", False, Peak(1.0, True)),
        # Each rank has a share.
        (f"sum({KV})", True, None),
        (f"sum(sum by (pod) ({KV}))", False, None),
        (f"sum(max by (namespace) ({KV}))", False, None),
        (f"max({RUNNING})", False, None),
        (f"max({KV}) * 100", False, Peak(100.0, False)),
        (f"max({KV}) or vector(0)", False, Peak(1.0, False)),
        (f"max({KV}) or vector(9)", False, None),
        (f"max({KV}) + 100", False, None),
        (f"max by (pod) ({KV})", False, None),
        (f"count({KV})", False, None),
        (f"max(rate({KV}[5m]))", False, None),
    ],
)
def test_how_much_comes_at_most(query: str, ranks: bool, most: Peak | None) -> None:
    node = read(query)
    assert node is not None and peak(node, PEAKS, "pod", ranks) == most
