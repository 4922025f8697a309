# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exposition has exactly the samples, labels and buckets of vLLM 0.32.0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from testbed.standins.vllm_pods.engine import Engine, Limits, Request, Speed
from testbed.standins.vllm_pods.metrics import Exposition
from testbed.standins.vllm_pods.stats import EngineStats

# From a capture of a real server (4 sequences, context 1024): each sample's type, and the values of each of its labels.
SAMPLES = json.loads(Path(__file__).with_name("vllm-0.32.0-samples.json").read_text())
# Labels whose values depend on the engine's configuration.
CONFIGURED = "vllm:cache_config_info"

Shape = dict[str, dict[str, object]]


def shape(text: str) -> Shape:
    found: dict[str, dict[str, object]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            entry = found.setdefault(sample.name, {"type": family.type, "labels": {}})
            for label, value in sample.labels.items():
                values = entry["labels"].setdefault(label, [])  # type: ignore[attr-defined]
                value = "*" if sample.name == CONFIGURED and label != "engine" else value
                if value not in values:
                    values.append(value)
    return found


def engine(limits: Limits) -> Engine:
    return Engine(limits, Speed(), EngineStats(limits.max_model_len))


CAPTURED = Limits(max_num_seqs=4, max_model_len=1024, num_gpu_blocks=8192, block_size=128)


def values(text: str) -> dict[str, float]:
    """Value by sample as it is written; samples of one name by their labels."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_samples_labels_and_buckets_are_those_of_vllm() -> None:
    rendered = shape(Exposition(engine(CAPTURED), "tiny", 1.0).render())
    assert list(rendered) == list(SAMPLES)
    assert rendered == SAMPLES


def test_values_under_load() -> None:
    """30 requests at once on 4 slots, as the capture was made: 4 run, the others wait for capacity."""
    busy = engine(CAPTURED)
    for _ in range(30):
        busy.submit(Request(prompt_tokens=60, max_tokens=400), 0.0)
    busy.advance(0.5)
    found = values(Exposition(busy, "tiny", 1.0).render())
    base = 'engine="0",model_name="tiny"'
    assert found[f"vllm:num_requests_running{{{base}}}"] == 4
    assert found[f"vllm:num_requests_waiting{{{base}}}"] == 26
    assert found[f'vllm:num_requests_waiting_by_reason{{{base},reason="capacity"}}'] == 26
    # One block of 128 tokens each; the capture shows this very number.
    assert found[f"vllm:kv_cache_usage_perc{{{base}}}"] == pytest.approx(0.0004883408619216212)
    assert found[f"vllm:time_to_first_token_seconds_count{{{base}}}"] == 4
    assert found[f"vllm:e2e_request_latency_seconds_count{{{base}}}"] == 0


def test_counts_add_up_when_all_is_done() -> None:
    done = engine(CAPTURED)
    for _ in range(30):
        done.submit(Request(prompt_tokens=60, max_tokens=400), 0.0)
    while (event := done.next_event()) is not None:
        done.advance(event)
    found = values(Exposition(done, "tiny", 1.0).render())
    base = 'engine="0",model_name="tiny"'
    assert found['vllm:request_success_total{engine="0",finished_reason="length",model_name="tiny"}'] == 30
    assert found[f"vllm:generation_tokens_total{{{base}}}"] == 30 * 400
    assert found[f"vllm:prompt_tokens_total{{{base}}}"] == 30 * 60
    assert found['vllm:request_generation_tokens_bucket{engine="0",le="+Inf",model_name="tiny"}'] == 30
    assert found['vllm:request_generation_tokens_bucket{engine="0",le="200.0",model_name="tiny"}'] == 0
    assert found[f"vllm:inter_token_latency_seconds_count{{{base}}}"] == 30 * 399


def test_the_text_follows_from_idle_to_busy_and_back() -> None:
    turning = engine(CAPTURED)
    exposition = Exposition(turning, "tiny", 1.0)
    running = 'vllm:num_requests_running{engine="0",model_name="tiny"}'
    ended = 'vllm:request_success_total{engine="0",finished_reason="length",model_name="tiny"}'
    assert values(exposition.render())[running] == 0
    for number in (1, 2):
        turning.submit(Request(prompt_tokens=60, max_tokens=400), 100.0 * number)
        assert values(exposition.render())[running] == 1
        turning.advance(100.0 * number + 50.0)
        found = values(exposition.render())
        assert (found[running], found[ended]) == (0, number)


def test_cache_size_is_told_in_labels() -> None:
    limits = Limits(max_model_len=8192, num_gpu_blocks=32768, block_size=16)
    families = text_string_to_metric_families(Exposition(engine(limits), "m", 1.0, override=32768).render())
    labels = next(family for family in families if family.name == CONFIGURED).samples[0].labels
    assert labels["kv_cache_size_tokens"] == "524288"
    assert labels["kv_cache_max_concurrency"] == "64.0"
    assert (labels["num_gpu_blocks"], labels["num_gpu_blocks_override"]) == ("32768", "32768")


def test_model_name_is_escaped() -> None:
    name = 'x"} or vector(99) #\\'
    families = list(text_string_to_metric_families(Exposition(engine(CAPTURED), name, 1.0).render()))
    running = next(family for family in families if family.name == "vllm:num_requests_running")
    assert running.samples[0].labels["model_name"] == name
