# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `/metrics` text of vLLM 0.32.0: every `vllm:` family, its type, labels and buckets.

Names and label sets were read from a capture of a real 0.32.0 server; what the help texts say is ours. Left out are
the families of the Python client library (`python_`, `process_`) and of the HTTP instrumentation (`http_`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from prometheus_client.utils import floatToGoString

from .engine import Engine
from .histogram import Histogram

_go: Callable[[float], str] = floatToGoString
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Labels of vllm:cache_config_info that do not depend on the engine's size, as a GPU engine has them.
_CACHE_CONFIG = {
    "_block_size_resolved": "True",
    "cache_dtype": "auto",
    "cache_hit_alignment_tokens": "None",
    "enable_mamba_shared_prefix_checkpoint": "False",
    "enable_prefix_caching": "True",
    "gpu_memory_utilization": "0.92",
    "hash_block_size": "None",
    "is_attention_free": "False",
    "kv_cache_dtype_skip_layers": "[]",
    "kv_cache_layout": "None",
    "kv_cache_memory_bytes": "None",
    "kv_offloading_backend": "native",
    "kv_offloading_size": "None",
    "kv_sharing_fast_prefill": "False",
    "mamba_block_size": "None",
    "mamba_cache_dtype": "auto",
    "mamba_cache_mode": "none",
    "mamba_page_size_padded": "None",
    "mamba_ssm_cache_dtype": "auto",
    "num_cpu_blocks": "None",
    "prefix_cache_retention_interval": "0",
    "prefix_caching_hash_algo": "sha256",
    "prefix_match_unit": "None",
    "replayssm_buffer_len": "16",
    "skip_page_size_padded": "None",
    "sliding_window": "None",
    "swa_bounded_replay": "True",
    "use_kda_recoverssm": "False",
    "use_replayssm": "False",
    "user_specified_block_size": "False",
}

Labels = Mapping[str, str]
_NO_LABELS: Labels = {}


class Exposition:
    """Renders one engine's metrics; `created` is the Unix time it came up at, `override` its forced block count."""

    def __init__(self, engine: Engine, model_name: str, created: float, override: int | None = None) -> None:
        self._engine = engine
        self._base = {"engine": "0", "model_name": model_name}
        self._created = created
        self._override = override
        self._lines: list[str] = []
        self._idle: tuple[int, str] | None = None

    def render(self) -> str:
        """The text of now. An idle engine is not rendered again: nothing changes before the next request ends."""
        ended = sum(self._engine.stats.finished.values())
        busy = self._engine.running + self._engine.waiting
        if busy or self._idle is None or self._idle[0] != ended:
            self._idle = (-1 if busy else ended, self._render())
        return self._idle[1]

    def _render(self) -> str:
        self._lines = []
        self._estimates()
        self._gauges()
        self._token_counters()
        self._request_counters()
        self._token_histograms()
        self._latency_histograms()
        self._cache_config()
        return "\n".join(self._lines) + "\n"

    def _estimates(self) -> None:
        for what in ("flops", "read_bytes", "write_bytes"):
            self._counter(f"estimated_{what}_per_gpu", f"Estimated {what} per GPU.", [(_NO_LABELS, 0)])

    def _gauges(self) -> None:
        engine = self._engine
        self._gauge("num_requests_running", "Requests in the running batch.", [(_NO_LABELS, engine.running)])
        self._gauge("num_requests_waiting", "Requests not yet scheduled.", [(_NO_LABELS, engine.waiting)])
        by_reason: list[tuple[Labels, float]] = [({"reason": "capacity"}, engine.waiting), ({"reason": "deferred"}, 0)]
        self._gauge("num_requests_waiting_by_reason", "Requests not yet scheduled, by what holds them.", by_reason)
        awake = [({"sleep_state": state}, state == "awake") for state in ("awake", "weights_offloaded", "discard_all")]
        self._gauge("engine_sleep_state", "1 for the state the engine is in.", awake)
        self._gauge("kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1.", [(_NO_LABELS, engine.kv_usage)])

    def _token_counters(self) -> None:
        stats = self._engine.stats
        none: list[tuple[Labels, float]] = [(_NO_LABELS, 0)]
        prefilled = stats.prefilled_tokens_total
        self._counter("prefix_cache_queries", "Tokens looked up in the prefix cache.", [(_NO_LABELS, prefilled)])
        self._counter("prefix_cache_hits", "Tokens found in the prefix cache.", none)
        self._counter("external_prefix_cache_queries", "Tokens looked up in external caches.", none)
        self._counter("external_prefix_cache_hits", "Tokens found in external caches.", none)
        self._counter("mm_cache_queries", "Items looked up in the multi-modal cache.", none)
        self._counter("mm_cache_hits", "Items found in the multi-modal cache.", none)
        self._counter("num_preemptions", "Sequences preempted.", [(_NO_LABELS, stats.preemptions)])
        self._counter("prompt_tokens", "Prompt tokens processed.", [(_NO_LABELS, prefilled)])
        sources = {"local_compute": prefilled, "local_cache_hit": 0, "external_kv_transfer": 0}
        self._counter("prompt_tokens_by_source", "Prompt tokens by where they came from.", _by("source", sources))
        self._counter("prompt_tokens_cached", "Prompt tokens not computed again.", none)
        tiers = dict.fromkeys(("device", "host", "p2p", "disk", "external_unspecified"), 0)
        self._counter("prompt_tokens_cached_by_source", "Prompt tokens by cache tier.", _by("source", tiers))
        self._counter("generation_tokens", "Tokens generated.", [(_NO_LABELS, stats.generated_tokens_total)])

    def _request_counters(self) -> None:
        self._counter("request_success", "Requests ended.", _by("finished_reason", self._engine.stats.finished))
        rejections = dict.fromkeys(("max_num_queued_reqs", "max_num_queued_tokens"), 0)
        base, self._base = self._base, {"model_name": self._base["model_name"]}
        self._counter("admission_rejections", "Requests refused by a queue limit.", _by("reason", rejections))
        self._base = base

    def _token_histograms(self) -> None:
        stats = self._engine.stats
        self._histogram("request_prompt_tokens", "Prompt tokens per request.", stats.prompt_tokens)
        self._histogram("request_generation_tokens", "Generated tokens per request.", stats.generation_tokens)
        self._histogram("iteration_tokens_total", "Tokens per engine step.", stats.step_tokens)
        self._histogram("request_max_num_generation_tokens", "Most tokens asked for.", stats.max_generation_tokens)
        self._histogram("request_params_n", "Parameter n.", stats.parallel_samples)
        self._histogram("request_params_max_tokens", "Parameter max_tokens.", stats.max_tokens)

    def _latency_histograms(self) -> None:
        stats = self._engine.stats
        self._histogram("time_to_first_token_seconds", "Arrival to first token.", stats.first_token)
        self._histogram("inter_token_latency_seconds", "Token to token.", stats.inter_token)
        per_token = stats.per_output_token
        self._histogram("request_time_per_output_token_seconds", "Mean token to token per request.", per_token)
        self._histogram("e2e_request_latency_seconds", "Arrival to last token.", stats.e2e)
        self._histogram("request_queue_time_seconds", "Arrival to first scheduled.", stats.queue)
        self._histogram("request_inference_time_seconds", "First scheduled to last token.", stats.inference)
        self._histogram("request_prefill_time_seconds", "First scheduled to first token.", stats.prefill)
        self._histogram("request_decode_time_seconds", "First to last token.", stats.decode)
        self._histogram("request_num_preemptions", "Preemptions per request.", stats.request_preemptions)
        self._histogram("request_prefill_kv_computed_tokens", "Tokens prefilled.", stats.prefill_tokens)

    def _cache_config(self) -> None:
        limits = self._engine.limits
        labels = {
            **_CACHE_CONFIG,
            "block_size": str(limits.block_size),
            "effective_attention_block_size": str(limits.block_size),
            "kv_cache_max_concurrency": str(limits.kv_tokens / limits.max_model_len),
            "kv_cache_size_tokens": str(limits.kv_tokens),
            "num_gpu_blocks": str(limits.num_gpu_blocks),
            "num_gpu_blocks_override": str(self._override),
        }
        base, self._base = self._base, {"engine": "0"}
        self._gauge("cache_config_info", "Configuration of the KV cache, as labels.", [(labels, 1)])
        self._base = base

    def _gauge(self, name: str, meaning: str, samples: Sequence[tuple[Labels, float]]) -> None:
        self._head(name, "gauge", meaning)
        for labels, value in samples:
            self._lines.append(f"vllm:{name}{self._labels(labels)} {_go(value)}")

    def _counter(self, name: str, meaning: str, samples: Sequence[tuple[Labels, float]]) -> None:
        self._head(f"{name}_total", "counter", meaning)
        for labels, value in samples:
            self._lines.append(f"vllm:{name}_total{self._labels(labels)} {_go(value)}")
        self._gauge(f"{name}_created", meaning, [(labels, self._created) for labels, _ in samples])

    def _histogram(self, name: str, meaning: str, histogram: Histogram) -> None:
        self._head(name, "histogram", meaning)
        bounds = [_go(bound) for bound in (*histogram.bounds, float("inf"))]
        for bound, count in zip(bounds, histogram.cumulative(), strict=True):
            self._lines.append(f"vllm:{name}_bucket{self._labels({'le': bound})} {float(count)}")
        self._lines.append(f"vllm:{name}_count{self._labels(_NO_LABELS)} {float(histogram.count)}")
        self._lines.append(f"vllm:{name}_sum{self._labels(_NO_LABELS)} {_go(histogram.sum)}")
        self._gauge(f"{name}_created", meaning, [(_NO_LABELS, self._created)])

    def _head(self, name: str, kind: str, meaning: str) -> None:
        self._lines += (f"# HELP vllm:{name} {meaning}", f"# TYPE vllm:{name} {kind}")

    def _labels(self, labels: Labels) -> str:
        pairs = sorted({**self._base, **labels}.items())
        return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in pairs) + "}"


def _by(label: str, values: Mapping[str, float]) -> list[tuple[Labels, float]]:
    return [({label: key}, value) for key, value in values.items()]


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
