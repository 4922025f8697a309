# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The concurrency that follows from the KV cache and the lengths of requests."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import Prometheus, PrometheusLabels
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.capacity import (
    Capacity,
    capacity_of,
    concurrency_finding,
    config_query,
    length_queries,
)
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet

NEW = {"kv_cache_size_tokens": "524288", "kv_cache_max_concurrency": "64.0", "num_gpu_blocks": "1", "block_size": "16"}
OLD = {"num_gpu_blocks": "32768", "block_size": "16"}
LOADING = {"kv_cache_size_tokens": "None", "num_gpu_blocks": "None", "block_size": "16"}


def pod(name: str, *engines: dict[str, str]) -> list[dict[str, str]]:
    """The series of one pod."""
    return [{"pod": name, "engine": str(index), **labels} for index, labels in enumerate(engines)]


@pytest.mark.parametrize(
    ("configs", "lengths", "concurrency", "formula"),
    [
        pytest.param(
            pod("a", NEW), (3000.2, 1095), 102,
            "0.8 x min(256 sequences, 524288 KV tokens / 4096 tokens a request) = 102",
            id="tokens",
        ),
        pytest.param(
            pod("a", OLD), (3000.2, 1095), 102,
            "0.8 x min(256 sequences, 524288 KV tokens / 4096 tokens a request) = 102",
            id="blocks before 0.25",
        ),
        pytest.param(
            pod("a", NEW), (500, 500), 204,
            "0.8 x min(256 sequences, 524288 KV tokens / 1000 tokens a request) = 204",
            id="sequences are the limit",
        ),
        pytest.param(
            pod("a", NEW), (float("nan"), 5), 51,
            "0.8 x min(256 sequences, 64 requests of the full context length) = 51",
            id="nothing observed",
        ),
        pytest.param(
            pod("a", NEW, NEW), (3000, 1096), 204,
            "0.8 x min(512 sequences, 1048576 KV tokens / 4096 tokens a request) = 204", id="two engines",
        ),
        pytest.param(
            pod("a", NEW) + pod("b", {"kv_cache_size_tokens": "40960"}) + pod("c", LOADING), (3000, 1096), 8,
            "0.8 x min(256 sequences, 40960 KV tokens / 4096 tokens a request) = 8", id="the smallest replica",
        ),
        pytest.param(
            pod("a", {"kv_cache_size_tokens": "1024"}), (3000, 1096), 1,
            "0.8 x min(256 sequences, 1024 KV tokens / 4096 tokens a request) = 1", id="never none",
        ),
    ],
)  # fmt: skip
def test_follows_from_what_is_there(
    configs: list[dict[str, str]], lengths: tuple[float, float], concurrency: int, formula: str
) -> None:
    capacity = capacity_of(configs, *lengths, max_num_seqs=256)
    assert capacity is not None
    assert (capacity.concurrency, capacity.formula) == (concurrency, formula)


@pytest.mark.parametrize(
    ("configs", "prompt"),
    [
        pytest.param([], 100.0, id="no series"),
        pytest.param(pod("a", LOADING), 100.0, id="still loading"),
        pytest.param(pod("a", {"kv_cache_size_tokens": "0"}), 100.0, id="no cache"),
        pytest.param(pod("a", {"kv_cache_size_tokens": "-5"}), 100.0, id="no number of tokens"),
        pytest.param(pod("a", OLD), None, id="neither lengths nor concurrency"),
    ],
)
def test_says_nothing_without_numbers(configs: list[dict[str, str]], prompt: float | None) -> None:
    assert capacity_of(configs, prompt, 100.0, max_num_seqs=256) is None


@pytest.mark.parametrize(
    ("declared", "warns"),
    [(100, False), (125, False), (126, True), (75, False), (74, True)],
    ids=["equal", "25 % above", "26 % above", "25 % below", "26 % below"],
)
def test_warns_from_a_quarter_on(declared: int, warns: bool) -> None:
    capacity = Capacity(100, "0.8 x 125 = 100", 1000, 8, 256)
    finding = concurrency_finding(capacity, declared, "Model chat", "scaling.concurrency")
    assert (finding is not None) is warns
    if finding:
        assert f"is {declared}, but 0.8 x 125 = 100 requests fit" in finding.line()


def test_asks_for_the_pods_of_the_model() -> None:
    model = fleet().models[0]
    prometheus = Prometheus("http://prometheus", labels=PrometheusLabels("ns", "p"))
    own = f'ns="{model.namespace}",p=~"{model.name}-[^-]+-[^-]+"'
    assert config_query(model, prometheus) == f"vllm:cache_config_info{{{own}}}"
    prompt, generation = length_queries(model, prometheus)
    assert prompt == (
        f"histogram_quantile(0.95, sum by (le) (rate(vllm:request_prompt_tokens_bucket"
        f'{{{own},model_name="{model.name}"}}[1h])))'
    )
    assert generation == prompt.replace("prompt_tokens", "generation_tokens")
