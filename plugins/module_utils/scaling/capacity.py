# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests can one replica serve at once, by what its vLLM says of its KV cache and by what users send?

Metrics and labels of vLLM 0.33.0 (``vllm/v1/metrics/loggers.py``, ``vllm/config/cache.py``). Without
``kv_cache_size_tokens`` (before 0.25) blocks times block size stand in, which is too much for hybrid models.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Optional

from ..findings import Finding, Severity
from ..fleet.types import LlmModel, Prometheus
from .queries import pods_selector, selector

#: One series a data-parallel engine of each pod, its values as labels; it carries no ``model_name``.
_CONFIG = "vllm:cache_config_info"
_PROMPT, _GENERATION = "vllm:request_prompt_tokens_bucket", "vllm:request_generation_tokens_bucket"
#: Share of what fits that is a good target: the rest is room for requests that are longer, and for a replica to start.
_SHARE = 0.8
#: By how much a declared target may differ from the one that follows.
_TOLERATED = 0.25


@dataclass(frozen=True)
class Capacity:
    """What one replica can hold. ``concurrency`` is the target that follows, and ``formula`` how, with its numbers.

    ``kv_tokens`` is the smallest KV cache of all replicas, ``request_tokens`` the observed length of a request.
    """

    concurrency: int
    formula: str
    kv_tokens: int
    request_tokens: Optional[int]
    max_num_seqs: int


def config_query(model: LlmModel, prometheus: Prometheus) -> str:
    """The KV caches of all replicas of a model."""
    return f"{_CONFIG}{{{pods_selector(model, prometheus)}}}"


def length_queries(model: LlmModel, prometheus: Prometheus, window: str = "1h") -> tuple[str, str]:
    """The lengths in tokens that 95 of 100 prompts, and generations, do not exceed; NaN without a request."""
    own = selector(model, prometheus)
    prompt, generation = (
        f"histogram_quantile(0.95, sum by (le) (rate({metric}{{{own}}}[{window}])))"
        for metric in (_PROMPT, _GENERATION)
    )
    return prompt, generation


def capacity_of(
    configs: Iterable[Mapping[str, str]],
    prompt_tokens: Optional[float],
    generation_tokens: Optional[float],
    max_num_seqs: int,
    pod_label: str = "pod",
) -> Optional[Capacity]:
    """The capacity of the smallest replica; None where no series says what its KV cache holds.

    ``configs`` are the labels of ``vllm:cache_config_info``. ``max_num_seqs`` counts an engine, and a replica has as
    many engines as series. Without observed lengths every request counts as long as the model allows.
    """
    pods: dict[str, list[Mapping[str, str]]] = {}
    for labels in configs:
        pods.setdefault(labels.get(pod_label, ""), []).append(labels)
    length = _length(prompt_tokens, generation_tokens)
    known = [one for one in (_of_pod(engines, length, max_num_seqs) for engines in pods.values()) if one]
    return min(known, key=lambda one: (one.concurrency, one.kv_tokens), default=None)


def concurrency_finding(capacity: Capacity, declared: float, where: str, path: str) -> Optional[Finding]:
    """A warning where the declared concurrency is more than 25 % off the one that follows."""
    if abs(declared - capacity.concurrency) <= _TOLERATED * capacity.concurrency:
        return None
    effect = "replicas are added late, and requests wait" if declared > capacity.concurrency else "GPUs stay half used"
    message = f"is {declared:g}, but {capacity.formula} requests fit well into one replica: {effect}"
    fix = f"Set it to {capacity.concurrency}, or to what a load test shows."
    return Finding("concurrency-off", Severity.WARNING, message, where, path, fix)


def _length(prompt: Optional[float], generation: Optional[float]) -> Optional[int]:
    """Tokens of a request. The sum of both quantiles is rather more than the quantile of the sum."""
    if prompt is None or generation is None or not math.isfinite(prompt + generation) or prompt + generation <= 0:
        return None
    return math.ceil(prompt + generation)


def _of_pod(engines: list[Mapping[str, str]], length: Optional[int], max_num_seqs: int) -> Optional[Capacity]:
    tokens = [_tokens(labels) for labels in engines]
    longest = [_number(labels, "kv_cache_max_concurrency") for labels in engines]
    seqs = max_num_seqs * len(engines)
    if not all(tokens) or (length is None and not all(longest)):
        return None
    cache = int(sum(token or 0 for token in tokens))
    if length is None:
        fit = sum(count or 0 for count in longest)
        words = f"{fit:g} requests of the full context length"
    else:
        fit = cache / length
        words = f"{cache} KV tokens / {length} tokens a request"
    target = max(int(_SHARE * min(seqs, fit)), 1)
    return Capacity(target, f"{_SHARE:g} x min({seqs} sequences, {words}) = {target}", cache, length, seqs)


def _tokens(labels: Mapping[str, str]) -> Optional[float]:
    """What the KV cache of an engine holds."""
    whole = _number(labels, "kv_cache_size_tokens")
    if whole is not None:
        return whole
    blocks, size = _number(labels, "num_gpu_blocks"), _number(labels, "block_size")
    return blocks * size if blocks and size else None


def _number(labels: Mapping[str, str], name: str) -> Optional[float]:
    """A label that is a number above zero; vLLM writes None for what it does not know yet."""
    try:
        value = float(labels.get(name, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
