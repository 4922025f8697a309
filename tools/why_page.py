# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of the guide on replica counts, from the engine: answers to its examples, and the picture of a window."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.fields import Problems
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.explain import explain
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.defaults import behavior_of
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.sync import evaluate
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    SECOND,
    Controller,
    Hpa,
    Memory,
    Metric,
    Observation,
    TargetType,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.offline import situation_of
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.target import decide

Json = dict[str, Any]
_YAML = r"\.\. code-block:: yaml\n   :name: (\w+)\n\n((?:   .*\n)+)"
_EXAMPLE = re.compile(_YAML + r"\n\.\. code-block:: text\n\n?(?:   .*\n)*\n?", re.MULTILINE)

_SYNC_S, _MINUTES = 15, 50
#: Minute from which on so many requests are there.
_DEMAND = ((0, 10), (5, 38), (8, 10), (10, 30), (14, 10))
_TARGET = 5
_BEHAVIOR = {"scaleDown": {"stabilizationWindowSeconds": 600,
                           "policies": [{"type": "Pods", "value": 1, "periodSeconds": 300}]}}  # fmt: skip


def page(path: Path) -> str:
    """The page with the answer to each of its examples."""
    text = path.read_text()
    found = re.search(_YAML, text)
    assert found and found.group(1) == "base"
    base: Json = yaml.safe_load(found.group(2))
    return _EXAMPLE.sub(lambda match: _answered(match, base), text).rstrip("\n") + "\n"


def _answered(match: re.Match[str], base: Json) -> str:
    lines = answer(base, yaml.safe_load(match.group(2)))
    shown = "".join(f"   {line}\n" for line in lines)
    example = f".. code-block:: yaml\n   :name: {match.group(1)}\n\n{match.group(2)}"
    return f"{example}\n.. code-block:: text\n\n{shown}\n"


def answer(base: Json, example: Json) -> list[str]:
    """What the engine says of an example."""
    given = copy.deepcopy(base)
    spec = given["scaled_object"]["spec"]
    spec.update(example.pop("spec", {}))
    spec["triggers"][0]["metadata"]["threshold"] = example.pop("threshold", "5")
    if "behavior" in example:
        spec["advanced"] = {"horizontalPodAutoscalerConfig": {"behavior": example.pop("behavior")}}
    # As long as anybody remembers the metrics asked for what is there, unless an example says otherwise.
    steady = [{"replicas": example["replicas"], "age": "15s"}]
    situation = situation_of({**given, "recommendations": steady, **example})
    return explain(situation, decide(situation))


def counts() -> list[tuple[float, int, int]]:
    """(minute, what the demand asks for, the count) at each sync of the picture."""
    behavior = behavior_of(_BEHAVIOR, Problems(), "")
    hpa = Hpa(1, 20, (Metric("demand", TargetType.AVERAGE_VALUE, _TARGET * 1000),), behavior)
    memory, count, found = Memory(), 2, []
    for second in range(0, _MINUTES * 60 + 1, _SYNC_S):
        demand = [amount for since, amount in _DEMAND if since * 60 <= second][-1]
        seen = Observation(second * SECOND, count, count, (demand * 1000,), count, count)
        done = evaluate(hpa, Controller(), memory, seen)
        memory, count = done.memory, done.desired
        found.append((second / 60, done.proposals[0] or 0, count))
    return found


def picture() -> str:
    """windows.svg: steps of both over time."""
    points = counts()
    wide, high, left, top = 14, 26, 50, 40
    most = max(max(asked, count) for _, asked, count in points) + 1

    def steps(values: list[tuple[float, int]]) -> str:
        path = f"M{left} {top + (most - values[0][1]) * high}"
        for minute, value in values[1:]:
            path += f"H{left + minute * wide:g}V{top + (most - value) * high}"
        return path

    width, height = left + _MINUTES * wide + 20, top + most * high + 45
    lines = [
        f'<line x1="{left}" x2="{width - 20}" y1="{top + (most - n) * high}" y2="{top + (most - n) * high}"'
        f' stroke="#ddd"/><text x="{left - 8}" y="{top + (most - n) * high + 4}" text-anchor="end">{n}</text>'
        for n in range(0, most + 1, 2)
    ]
    lines += [
        f'<text x="{left + minute * wide}" y="{height - 24}" text-anchor="middle">{minute}</text>'
        for minute in range(0, _MINUTES + 1, 5)
    ]
    last = max(minute for minute, asked, _ in points if asked == max(each for _, each, _ in points))
    lines += [
        f'<rect x="{left + last * wide:g}" y="{top}" width="{10 * wide}" height="{most * high}" fill="#f2a900"'
        ' opacity=".15"/>',
        f'<text x="{left + (last + 5) * wide:g}" y="{top + 16}" text-anchor="middle">window: 10 min</text>',
        f'<path d="{steps([(minute, asked) for minute, asked, _ in points])}" fill="none" stroke="#c0392b"'
        ' stroke-width="2" stroke-dasharray="5 4"/>',
        f'<path d="{steps([(minute, count) for minute, _, count in points])}" fill="none" stroke="#1f77b4"'
        ' stroke-width="3"/>',
        f'<text x="{left}" y="22" fill="#c0392b">- - what the demand asks for</text>',
        f'<text x="{left + 220}" y="22" fill="#1f77b4">&#8212; replicas</text>',
        f'<text x="{width - 20}" y="{height - 6}" text-anchor="end">minutes</text>',
    ]
    font = 'font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {font}>'
    body = "\n".join(lines)
    return f'{head}\n<rect width="{width}" height="{height}" fill="#fff"/>\n{body}\n</svg>\n'
