# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every query is PromQL about the series of one model, whatever its names."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import LlmModel, Prometheus, PrometheusLabels
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.queries import demand_query, escape, kv_cache_query
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet
from hypothesis import example, given
from hypothesis import strategies as st

promql = pytest.importorskip("promql_parser")

PROMETHEUS = Prometheus("http://prometheus", labels=PrometheusLabels("kubernetes_namespace", "kubernetes_pod"))


def model(name: str = "llama", namespace: str = "inference") -> LlmModel:
    """A model with any name, also one that no declaration could have."""
    parsed = fleet().models[0]
    return LlmModel(**{**vars(parsed), "name": name, "namespace": namespace})


def selectors(expression: Any) -> list[Any]:
    """Every vector selector of a parsed query."""
    found = []
    for attribute in ("lhs", "rhs", "expr"):
        inner = getattr(expression, attribute, None)
        found += selectors(inner) if inner is not None else []
    return [expression] if isinstance(expression, promql.VectorSelector) else found


@given(st.text())
@example('x"} or vector(99) #')
@example('\\"\n')
def test_an_escaped_text_reads_back_as_it_was(text: str) -> None:
    (matcher,) = promql.parse(f'up{{l="{escape(text)}"}}').matchers.matchers
    assert matcher.value == text


@pytest.mark.parametrize("name", ["llama", 'x"} or vector(99) #', "a\\", "a\nb"], ids=repr)
@pytest.mark.parametrize(("query", "metrics"), [
    (demand_query, ["vllm:num_requests_running", "vllm:num_requests_waiting_by_reason"]),
    (kv_cache_query, ["vllm:kv_cache_usage_perc"]),
])  # fmt: skip
def test_every_selector_is_bound_to_the_model(query: Any, metrics: list[str], name: str) -> None:
    found = selectors(promql.parse(query(model(name, f"ns-{name}"), PROMETHEUS)))
    assert [selector.name for selector in found] == metrics
    for selector in found:
        matchers = {matcher.name: (str(matcher.op), matcher.value) for matcher in selector.matchers.matchers}
        assert matchers["model_name"] == ("MatchOp.Equal", name)
        assert matchers["kubernetes_namespace"] == ("MatchOp.Equal", f"ns-{name}")
        assert matchers["kubernetes_pod"] == ("MatchOp.Re", f"{name}-[^-]+-[^-]+")


def test_only_requests_that_more_replicas_would_help_count_as_waiting() -> None:
    waiting = selectors(promql.parse(demand_query(model(), PROMETHEUS)))[1]
    assert ("reason", "capacity") in {(matcher.name, matcher.value) for matcher in waiting.matchers.matchers}


def test_the_whole_is_one_number() -> None:
    for query in (demand_query, kv_cache_query):
        assert query(model(), PROMETHEUS).startswith("sum(")


def generated_pod_name(deployment: str, template_hash: str) -> str:
    """As the API server makes it from the generateName of a ReplicaSet: cut at 58, and five more."""
    return f"{deployment}-{template_hash}-"[:58] + "x7k2p"


@given(
    st.from_regex(r"[a-z]([a-z0-9-]{0,44}[a-z0-9])?", fullmatch=True), st.from_regex(r"[0-9a-z]{1,10}", fullmatch=True)
)
def test_the_pods_of_a_model_and_of_no_other_are_found(name: str, template_hash: str) -> None:
    pattern = re.search(r'pod=~"([^"]*)"', kv_cache_query(model(name), Prometheus("http://p")))
    assert pattern and re.fullmatch(pattern[1], generated_pod_name(name, template_hash))
    assert not re.fullmatch(pattern[1], generated_pod_name(f"{name}-2", template_hash))
    assert not re.fullmatch(pattern[1], generated_pod_name(f"a{name}", template_hash))


def test_the_longest_name_that_a_declaration_takes_still_finds_its_pods() -> None:
    longest = fleet(("models[0].name", "a" * 46)).models[0]
    pattern = re.search(r'pod=~"([^"]*)"', kv_cache_query(longest, Prometheus("http://p")))
    assert pattern and re.fullmatch(pattern[1], generated_pod_name(longest.name, "6d4cf56db6"))
