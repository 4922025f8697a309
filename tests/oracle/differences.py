# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine and the real controller decide differently, and the least that shows it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import Condition, Outcome

from oracle.scenarios import Generator, Scenario, Step, outcomes
from testbed import versions

#: The minor version of the Kubernetes that the oracle is built from.
MINOR = int(versions.CHOSEN.kubernetes.split(".")[1])

_Row = list[Any]


def ask(oracle: Path, scenarios: list[Scenario]) -> list[Any]:
    """What the real controller does in each scenario: one row a step, or a text, why an object is refused."""
    lines = "".join(json.dumps(scenario.line(), separators=(",", ":")) + "\n" for scenario in scenarios)
    answer = subprocess.run([str(oracle)], input=lines, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"the oracle ended with {answer.returncode}: {answer.stderr}")
    return [json.loads(line) for line in answer.stdout.splitlines()]


def row(outcome: Outcome) -> _Row:
    """An outcome in the form of the oracle's answer."""
    memory = outcome.memory
    able, active, limited, zero = memory.conditions
    return [
        outcome.desired,
        _text(able),
        _text(active),
        _text(limited),
        zero,
        len(memory.recommendations),
        sum(each.replicas for each in memory.recommendations),
        len(memory.ups),
        len(memory.downs),
    ]


def _text(condition: Condition | None) -> str:
    return "" if condition is None else f"{condition.status}/{condition.reason}"


def first_difference(expected: list[_Row] | str, decided: list[Outcome]) -> int | None:
    """The number of the first step that differs."""
    if isinstance(expected, str):
        return 0
    for number, (theirs, outcome) in enumerate(zip(expected, decided, strict=True)):
        theirs[4] = theirs[4] == "True/ScaledToZero"
        if theirs != row(outcome):
            return number
    return None


def compare(oracle: Path, generator: Generator, steps: int) -> int:
    """Compare at least ``steps`` steps, and return how many. Fails with the smallest scenario that differs."""
    compared = 0
    while compared < steps:
        made = [generator.scenario() for _ in range(250)]
        for (scenario, decided), expected in zip(made, ask(oracle, [each for each, _ in made]), strict=True):
            if first_difference(expected, decided) is not None:
                raise AssertionError(f"seed {generator.seed}: {explained(oracle, shrunk(oracle, scenario))}")
            compared += len(decided)
    return compared


def shrunk(oracle: Path, scenario: Scenario) -> Scenario:
    """The scenario without whatever does not matter for its first difference."""
    smaller: Scenario | None = scenario
    while smaller is not None:
        scenario = smaller
        smaller = next((each for each in _smaller(scenario) if _differs(oracle, each)), None)
    return scenario


def _differs(oracle: Path, scenario: Scenario) -> bool:
    if not scenario.steps:
        return False
    return first_difference(ask(oracle, [scenario])[0], outcomes(scenario)) is not None


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    """The scenario with some steps left out, many first."""
    for size in (16, 4, 1):
        for start in range(len(scenario.steps) - size, -1, -size):
            yield replace(scenario, steps=_without(scenario.steps, start, start + size))


def _without(steps: list[Step], start: int, end: int) -> list[Step]:
    """Time goes on without a step, and the object that it brings comes with the next."""
    if end >= len(steps):
        return steps[:start]
    newest = next((step for step in reversed(steps[start : end + 1]) if step.hpa is not None), steps[end])
    after = sum(step.after for step in steps[start : end + 1])
    return [*steps[:start], replace(steps[end], after=after, hpa=newest.hpa, written=newest.written), *steps[end + 1 :]]


def explained(oracle: Path, scenario: Scenario) -> str:
    expected, decided = ask(oracle, [scenario])[0], outcomes(scenario)
    if isinstance(expected, str):
        return f"the API server refuses the object: {expected}\n{json.dumps(scenario.line(), indent=1)}"
    number = first_difference(expected, decided)
    assert number is not None
    return "\n".join(
        [
            f"step {number} of {json.dumps(scenario.line())}",
            f"  controller: {expected[number]}",
            f"  engine:     {row(decided[number])}",
        ]
    )
