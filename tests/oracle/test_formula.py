# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Formulas are refused, fail and give numbers as those of KEDA do, to the last bit."""

from __future__ import annotations

import json
import math
import random
import struct
import subprocess
from collections import Counter
from collections.abc import Sequence

from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.formula import parse_formula
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.formula_nodes import FormulaError

from testbed import build

SEED = 20261125
FORMULAS = 20_000
NAMES = ("a", "b", "c_1")
NUMBERS = ("0", "1", "2", "3", "7", "10", "0.5", "1.5", "1e3", ".25", "2.", "9223372036854775807", "3037000500")
VALUES = (None, 0.0, 1.0, 2.0, -1.0, 5.0, 0.85, 1.001, 21.0, 1e6)
BINARY = ("+", "-", "*", "/", "%", "**", "^", "??", "+", "-", "*", "/")
#: What we refuse although KEDA may take it, because its constants decide: a number in place of a condition.
LEFT_OUT = ("a choice is between", "not number", "with number and bool", "with bool and number")
CONDITIONS = ("<", ">", "<=", ">=", "==", "!=", "and", "or", "&&", "||")

Values = dict[str, float | None]


class Generator:
    """Formulas that are mostly well-formed, and whose types often go together."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def question(self) -> tuple[str, Values]:
        """A formula, and the values of its triggers."""
        formula = self._expression(self._random.randint(1, 4))
        return formula, {name: self._random.choice((*VALUES, self._random.random() * 100)) for name in NAMES}

    def _expression(self, depth: int) -> str:
        kinds = {"binary": 50, "condition": 12, "unary": 12, "choice": 14, "atom": 12}
        (kind,) = self._random.choices(list(kinds), list(kinds.values())) if depth else ("atom",)
        if kind == "binary":
            return f"{self._expression(depth - 1)} {self._random.choice(BINARY)} {self._atom(depth - 1)}"
        if kind == "condition":
            return f"{self._expression(depth - 1)} {self._random.choice(CONDITIONS)} {self._expression(depth - 1)}"
        if kind == "unary":
            return f"{self._random.choice(('-', '+', 'not ', '!'))}{self._atom(depth - 1)}"
        if kind == "choice":
            condition = f"{self._expression(depth - 1)} {self._random.choice(CONDITIONS)} {self._atom(depth - 1)}"
            return f"({condition} ? {self._expression(depth - 1)} : {self._expression(depth - 1)})"
        return self._atom(depth)

    def _atom(self, depth: int) -> str:
        kinds = {"trigger": 42, "number": 30, "word": 8, "parentheses": 10, "call": 10}
        (kind,) = self._random.choices(list(kinds), list(kinds.values()))
        if kind == "number":
            return self._random.choice(NUMBERS)
        if kind == "word":
            return self._random.choice(("nil", "true", "false"))
        if kind == "trigger" or depth <= 0:
            return self._random.choice(NAMES)
        if kind == "parentheses":
            return f"({self._expression(depth - 1)})"
        name = self._random.choice(("min", "max", "abs", "floor", "ceil", "round"))
        arguments = self._random.choice((1, 1, 1, 2, 3)) if name in ("min", "max") else 1
        return f"{name}({', '.join(self._expression(depth - 1) for _ in range(arguments))})"


def ask(questions: Sequence[tuple[str, Values]]) -> list[str]:
    """What KEDA says to each."""
    lines = "".join(json.dumps({"formula": formula, "values": values}) + "\n" for formula, values in questions)
    oracle = build.executables()["formula-oracle"]
    return subprocess.run([str(oracle)], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()


def answer(formula: str, values: Values) -> str:
    """What the engine says, in the form of the oracle; ``left out`` for what it does not support."""
    try:
        parsed = parse_formula(formula, NAMES)
    except FormulaError as error:
        return "left out" if any(part in str(error) for part in LEFT_OUT) else "refused"
    try:
        result = parsed.evaluate(values)
    except FormulaError:
        return "error"
    return "nil" if result is None else struct.pack(">d", result).hex()


def same(formula: str, theirs: str, ours: str) -> bool:
    """Equal; NaN has several forms, and the last bits of a power with a fraction as exponent are Go's own."""
    if theirs == ours or len(theirs) != 16 or len(ours) != 16:
        return theirs == ours
    left, right = (struct.unpack(">d", bytes.fromhex(bits))[0] for bits in (theirs, ours))
    both_nan = math.isnan(left) and math.isnan(right)
    return both_nan or (("**" in formula or "^" in formula) and math.isclose(left, right, rel_tol=1e-12))


def test_formulas_are_those_of_keda() -> None:
    generator = Generator(SEED)
    questions = [generator.question() for _ in range(FORMULAS)]
    theirs = ask(questions)
    ours = [answer(*question) for question in questions]
    different = [
        f"{question}: KEDA {expected}, we {given}"
        for question, expected, given in zip(questions, theirs, ours, strict=True)
        if given != "left out" and not same(question[0], expected, given)
    ]
    assert different[:5] == []
    kinds = Counter(each if each in ("refused", "error", "nil", "left out") else "number" for each in ours)
    assert min(kinds.values()) > 2, kinds
    assert len(kinds) == 5
    assert kinds["number"] > FORMULAS / 10
