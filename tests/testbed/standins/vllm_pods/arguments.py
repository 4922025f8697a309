# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flags of `vllm serve` that change how the stand-in behaves; all others are accepted and ignored."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_MULTIPLES = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}


class ArgumentError(ValueError):
    """vLLM would end with exit code 2, as argparse does."""


@dataclass(frozen=True)
class Arguments:
    """Parsed flags; None where vLLM derives the value itself (from the model, or from free GPU memory)."""

    model: str
    served_model_name: str
    port: int = 8000
    max_num_seqs: int = 256
    max_model_len: int | None = None
    block_size: int = 16
    num_gpu_blocks_override: int | None = None
    shutdown_timeout_s: int = 0


def parse(words: Sequence[str]) -> Arguments:
    """Arguments from a container's command and args; ArgumentError as vLLM's argument parser would refuse them."""
    flags: dict[str, str] = {}
    model = None
    for flag, values in _flags(_unwrap(words)):
        if flag is None:
            model = values[values.index("serve") + 1] if "serve" in values[:-1] else None
        elif values:
            flags[flag] = values[0]
    model = model or flags.get("model")
    if model is None:
        raise ArgumentError("no model given: neither `serve MODEL` nor --model")
    max_model_len = flags.get("max-model-len", "auto")
    blocks = flags.get("num-gpu-blocks-override")
    return Arguments(
        model=model,
        served_model_name=flags.get("served-model-name", model),
        port=_number(flags, "port", 8000),
        max_num_seqs=_number(flags, "max-num-seqs", 256),
        max_model_len=None if max_model_len in ("auto", "-1") else _human_readable(max_model_len),
        block_size=_number(flags, "block-size", 16),
        num_gpu_blocks_override=None if blocks is None else _number(flags, "num-gpu-blocks-override", 0),
        shutdown_timeout_s=_number(flags, "shutdown-timeout", 0),
    )


def container_words(container: dict[str, Any]) -> list[str]:
    """The command line of a container; the entry point of vLLM's own image is `vllm serve`."""
    return [*container.get("command", ("vllm", "serve")), *container.get("args", ())]


def _unwrap(words: Sequence[str]) -> list[str]:
    """The words a shell would run for `sh -c "..."`, else the words themselves."""
    if "-c" in words and words[0].rsplit("/", 1)[-1] in ("sh", "bash"):
        return shlex.split(words[list(words).index("-c") + 1])
    return list(words)


def _flags(words: Sequence[str]) -> Iterator[tuple[str | None, list[str]]]:
    """(flag without dashes, its values); the words before the first flag come under None."""
    flag: str | None = None
    values: list[str] = []
    for word in words:
        if word.startswith("--"):
            yield flag, values
            name, equals, value = word[2:].partition("=")
            flag, values = name.replace("_", "-"), [value] if equals else []
        else:
            values.append(word)
    yield flag, values


def _number(flags: dict[str, str], flag: str, default: int) -> int:
    text = flags.get(flag, str(default))
    try:
        return int(text)
    except ValueError:
        raise ArgumentError(f"argument --{flag}: invalid int value: {text!r}") from None


def _human_readable(text: str) -> int:
    """`8k` is 8000 and `8K` is 8192, as vLLM reads --max-model-len."""
    digits, multiple = (text[:-1], _MULTIPLES[text[-1]]) if text[-1:] in _MULTIPLES else (text, 1)
    try:
        return int(float(digits) * multiple)
    except ValueError:
        raise ArgumentError(f"argument --max-model-len: invalid value: {text!r}") from None
