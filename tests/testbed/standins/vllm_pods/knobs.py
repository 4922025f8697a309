# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be set about a pod: each field is a flag of the program and a pod annotation of the same name."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..durations import seconds

ANNOTATION_PREFIX = "testbed.gpufleet.io/"


def _on_abort(text: str) -> str:
    if text not in ("answer", "hang"):
        raise ValueError(f"{text!r} is neither answer nor hang")
    return text


def _knob(default: str, parse: Callable[[str], Any], meaning: str) -> Any:
    return field(default=parse(default), metadata={"default": default, "parse": parse, "meaning": meaning})


@dataclass(frozen=True)
class Knobs:
    """Times are in seconds once parsed."""

    pull: float = _knob("2s", seconds, "image pull, once per node and image")
    load: float = _knob("2s", seconds, "weight load")
    compile: float = _knob("1s", seconds, "compilation")
    warmup: float = _knob("1s", seconds, "warm-up and graph capture")
    teardown: float = _knob("1s", seconds, "from the end of the drain to the end of the process")
    back_off: float = _knob("10s", seconds, "first wait before a failed pull or container is tried again")
    image_error: str = _knob("", str, "when not empty, image pulls fail with this message")
    on_abort: str = _knob("answer", _on_abort, "what clients see of an abort on SIGTERM: answer (no tokens) or hang")
    max_model_len: int = _knob("8192", int, "context length where --max-model-len does not set it")
    kv_tokens: int = _knob("524288", int, "KV cache size where --num-gpu-blocks-override does not set it")
    prefill_tokens_per_s: float = _knob("20000", float, "prefill speed")
    step: float = _knob("20ms", seconds, "fixed part of an engine step")
    step_per_sequence: float = _knob("200us", seconds, "part of an engine step per sequence in the batch")


def add_flags(parser: argparse._ActionsContainer) -> None:
    for knob in fields(Knobs):
        flag = "--" + knob.name.replace("_", "-")
        meaning, parse = knob.metadata["meaning"], knob.metadata["parse"]
        parser.add_argument(flag, type=parse, default=knob.metadata["default"], metavar="X", help=meaning)


def from_flags(options: argparse.Namespace) -> Knobs:
    return Knobs(**{knob.name: getattr(options, knob.name) for knob in fields(Knobs)})


def for_pod(defaults: Knobs, annotations: Mapping[str, str]) -> Knobs:
    """The defaults with what the pod's annotations set; ValueError names the annotation that cannot be read."""
    changes: dict[str, Any] = {}
    for knob in fields(Knobs):
        key = ANNOTATION_PREFIX + knob.name.replace("_", "-")
        if key in annotations:
            try:
                changes[knob.name] = knob.metadata["parse"](annotations[key])
            except ValueError as error:
                raise ValueError(f"annotation {key}: {error}") from None
    return replace(defaults, **changes)
