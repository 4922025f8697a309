# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a formula is made of: typed nodes, checked where they are made and evaluated as expr-lang does.

Rules of types from checker/checker.go, those of values from vm/runtime and builtin/lib.go of expr-lang/expr v1.17.8,
which KEDA v2.20.2 uses. An ``int`` stays one until it meets a ``float``; a quotient and a power are always ``float``.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional

from .go_math import ceiling, divide, floored, modulo, power, rounded, wrapped

Values = Mapping[str, Optional[float]]
#: How deep a formula may nest, and how many operators may follow each other: bounds the stack of an evaluation.
DEEPEST = 100
_NO_REST = "% needs whole numbers, the second not 0"


class FormulaError(ValueError):
    """What is wrong with a formula. ``position`` counts characters from 1; 0 for an error of an evaluation."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(f"{message} at character {position}" if position else message)
        self.position = position


class FormulaUnsupported(FormulaError):
    """What KEDA may well take, and what is not computed here."""


class Node(NamedTuple):
    """A part of a formula: its type (int, float, bool, nil, or number where that depends), and how to evaluate it."""

    kind: str
    depth: int
    run: Callable[[Values], Any]


def literal(value: Any) -> Node:
    """A number, true, false or nil."""
    return Node("nil" if value is None else type(value).__name__, 1, lambda values: value)


def trigger(name: str) -> Node:
    """The value of a trigger: a float, and nil where it has none."""
    return Node("float", 1, lambda values: values.get(name))


def unary(sign: str, node: Node, position: int) -> Node:
    """``not``, ``!``, ``+`` or ``-`` before a node."""
    run = node.run
    if sign in ("not", "!"):
        _check(node.kind == "bool", f"{sign} takes a condition, not {node.kind}", position)
        return _node("bool", position, (node,), lambda values: not run(values))
    _check(node.kind in ("int", "float", "number"), f"{sign} takes a number, not {node.kind}", position)
    if sign == "+":
        return _node(node.kind, position, (node,), run)
    return _node(node.kind, position, (node,), lambda values: _narrow(-_number(run(values))))


def binary(sign: str, left: Node, right: Node, position: int) -> Node:
    """Two nodes and an operator between them."""
    if sign == "??":
        kind: Optional[str] = _either(sign, left.kind, right.kind, position)
    else:
        kind = _binary_kind(sign, left.kind, right.kind)
    _check(kind is not None, f"{sign} does not work with {left.kind} and {right.kind}", position)
    # Found while expr-lang folds constants, even where the division is never come to.
    _check(not (sign == "%" and right.depth == 1 and right.run({}) == 0), _NO_REST, position)
    if sign in ("==", "!=") and left.kind == right.kind == "int":
        # Compiled for ints alone, which the value of min and max need not be (compiler/compiler.go).
        left, right = (part._replace(run=_whole(part.run)) for part in (left, right))
    return _node(kind or "", position, (left, right), _binary_run(sign, left.run, right.run))


def conditional(condition: Node, then: Node, other: Node, position: int) -> Node:
    """``condition ? then : other``."""
    _check(condition.kind == "bool", f"? takes a condition, not {condition.kind}", position)
    test, first, second = condition.run, then.run, other.run
    kind = _either("?", then.kind, other.kind, position)
    parts = (condition, then, other)
    return _node(kind, position, parts, lambda values: first(values) if test(values) else second(values))


def call(name: str, arguments: Sequence[Node], position: int) -> Node:
    """A function of FUNCTIONS."""
    one, apply = FUNCTIONS[name]
    enough = len(arguments) == 1 if one else bool(arguments)
    _check(enough, f"{name} takes {'one number' if one else 'at least one number'}", position)
    for argument in arguments:
        _check(argument.kind in ("int", "float", "number"), f"{name} takes numbers, not {argument.kind}", position)
    kinds = [argument.kind for argument in arguments]
    kind = "float" if name in ("ceil", "floor", "round") else "number" if "number" in kinds else kinds[0]
    runs = [argument.run for argument in arguments]
    if len(runs) == 1 and not one:
        return _node(kind, position, arguments, runs[0])
    return _node(kind, position, arguments, lambda values: apply([_number(run(values)) for run in runs]))


def _node(kind: str, position: int, parts: Sequence[Node], run: Callable[[Values], Any]) -> Node:
    depth = 1 + max(part.depth for part in parts)
    if depth > DEEPEST:
        raise FormulaUnsupported(f"is nested more than {DEEPEST} deep", position)
    return Node(kind, depth, run)


def _check(holds: bool, message: str, position: int) -> None:
    if not holds:
        raise FormulaError(message, position)


def _binary_kind(sign: str, left: str, right: str) -> Optional[str]:
    """The type of a result; None where the types do not go together."""
    kinds, numbers = {left, right}, {"int", "float", "number"}
    if sign in ("==", "!="):
        return "bool" if left == right or kinds & {"number", "nil"} or kinds <= numbers else None
    if sign in ("and", "&&", "or", "||"):
        return "bool" if kinds == {"bool"} else None
    if not kinds <= numbers:
        return None
    if sign in _COMPARISONS:
        return "bool"
    if sign == "%":
        return "int" if "float" not in kinds else None
    if sign in ("/", "**", "^"):
        return "float"
    return "number" if "number" in kinds else "float" if "float" in kinds else "int"


def _either(sign: str, first: str, second: str, position: int) -> str:
    """The type of a choice. One between a number and a condition is refused: optimizer/fold.go makes a riddle of it."""
    if "nil" in (first, second) and "bool" not in (first, second):
        return second if first == "nil" else first
    message = f"{sign} chooses between {first} and {second}: a choice is between numbers, or between conditions"
    if (first == "bool") is not (second == "bool"):
        raise FormulaUnsupported(message, position)
    return first if first == second else "number"


def _binary_run(sign: str, left: Callable[[Values], Any], right: Callable[[Values], Any]) -> Callable[[Values], Any]:
    if sign == "??":
        return lambda values: right(values) if (value := left(values)) is None else value
    if sign in ("and", "&&"):
        return lambda values: right(values) if left(values) else False
    if sign in ("or", "||"):
        return lambda values: True if left(values) else right(values)
    if sign == "==":
        return lambda values: _equal(left(values), right(values))
    if sign == "!=":
        return lambda values: not _equal(left(values), right(values))
    apply = _COMPARISONS.get(sign) or _ARITHMETIC[sign]
    return lambda values: apply(*_alike(_number(left(values)), _number(right(values))))


def _number(value: Any) -> Any:
    if value is None:
        raise FormulaError("needs a number and has nil")
    return value


def _whole(run: Callable[[Values], Any]) -> Callable[[Values], Any]:
    def whole(values: Values) -> Any:
        value = run(values)
        if isinstance(value, bool) or not isinstance(value, int):
            raise FormulaError(f"needs a whole number and has {value}")
        return value

    return whole


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Two numbers as Go compares and adds them: an int beside a float becomes one."""
    return (left, right) if type(left) is type(right) else (float(left), float(right))


def _equal(left: Any, right: Any) -> bool:
    if type(left) in (int, float) and type(right) in (int, float):
        left, right = _alike(left, right)
    return type(left) is type(right) and bool(left == right)


def _narrow(value: Any) -> Any:
    return wrapped(value) if isinstance(value, int) else value


def _modulo(left: Any, right: Any) -> int:
    if isinstance(left, float) or right == 0:
        raise FormulaError(_NO_REST)
    return modulo(left, right)


def _least(numbers: Sequence[Any], beyond: Callable[[Any, Any], bool]) -> Any:
    """The first number, unless a later one is beyond it: one that is NaN never is."""
    best = numbers[0]
    for number in numbers[1:]:
        if beyond(*_alike(number, best)):
            best = number
    return best


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: _narrow(left + right),
    "-": lambda left, right: _narrow(left - right),
    "*": lambda left, right: _narrow(left * right),
    "/": lambda left, right: divide(float(left), float(right)),
    "%": _modulo,
    "**": lambda left, right: power(float(left), float(right)),
    "^": lambda left, right: power(float(left), float(right)),
}
#: By name, whether a function takes one number only, and what it does.
FUNCTIONS: dict[str, tuple[bool, Callable[[Sequence[Any]], Any]]] = {
    "min": (False, lambda numbers: _least(numbers, operator.lt)),
    "max": (False, lambda numbers: _least(numbers, operator.gt)),
    "abs": (True, lambda numbers: _narrow(-numbers[0]) if numbers[0] < 0 else numbers[0]),
    "floor": (True, lambda numbers: floored(float(numbers[0]))),
    "ceil": (True, lambda numbers: ceiling(float(numbers[0]))),
    "round": (True, lambda numbers: rounded(float(numbers[0]))),
}
