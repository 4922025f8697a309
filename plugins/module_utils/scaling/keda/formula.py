# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The formula of scalingModifiers, as far as it computes with numbers.

Grammar, precedence and numbers of expr-lang/expr v1.17.8 (parser/), in which KEDA v2.20.2 writes formulas: arithmetic,
comparison, conditions, a choice, ``??``, some functions and the names of triggers. Anything else is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Optional

from .formula_nodes import (
    DEEPEST,
    FUNCTIONS,
    FormulaError,
    FormulaUnsupported,
    Node,
    Values,
    binary,
    call,
    conditional,
    literal,
    trigger,
    unary,
)

#: parser/operator/operator.go. Those of _RIGHT bind from the right.
_BINARY = {
    "or": 10,
    "||": 10,
    "and": 15,
    "&&": 15,
    "+": 30,
    "-": 30,
    "*": 60,
    "/": 60,
    "%": 60,
    "**": 100,
    "^": 100,
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), 20),
    "??": 500,
}
_UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}
_COMPARISONS = ("<", ">", "<=", ">=")
_RIGHT = ("**", "^")
_WORDS = {"true": True, "false": False, "nil": None}
_KEYWORDS = ("in", "matches", "contains", "startsWith", "endsWith", "let", "if", "else")
_TOKEN = re.compile(
    r"(?as)(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w$])"
    r"|(?P<name>[A-Za-z_$][\w$]*)"
    r"|(?P<sign>\*\*|&&|\|\||==|!=|<=|>=|\?\?|[-+*%^<>!:(),]|\?(?!\.)|/(?![/*]))"
    r"|(?P<space>[ \t\r\n]+)"
    r"|(?P<other>\?\.|//|/\*|.)"
)
_UNSUPPORTED = "is not supported in a formula here"


@dataclass(frozen=True)
class Formula:
    """A formula that was understood. ``names`` are the triggers that it reads."""

    text: str
    names: tuple[str, ...]
    _run: Callable[[Values], Any] = field(repr=False, compare=False)

    def evaluate(self, values: Values) -> Optional[float]:
        """The result with these values by trigger; one that is missing or None is nil. None for nil.

        Raises FormulaError where expr-lang fails: nil in place of a number, for example.
        """
        result = self._run(values)
        # KEDA casts the result to a float, and lets nil pass only where it sees ?? (castToFloatIfNecessary).
        if result is None and "??" not in self.text:
            raise FormulaError("gives nil, which is no number")
        return None if result is None else float(result)


def parse_formula(text: str, names: Iterable[str]) -> Formula:
    """The formula; ``names`` are those of the triggers that have one.

    Raises FormulaError, and FormulaUnsupported for what KEDA may take.
    """
    parser = _Parser(text, frozenset(names))
    node = parser.whole()
    if node.kind in ("bool", "nil"):
        raise FormulaError(f"gives {'a condition' if node.kind == 'bool' else 'nil'}, which is no number")
    formula = Formula(text, tuple(dict.fromkeys(parser.used)), node.run)
    try:
        formula.evaluate(dict.fromkeys(parser.used, -1.0))
    except FormulaError as error:
        # validateScalingModifiersFormula in apis/keda/v1alpha1/scaledobject_webhook.go
        raise FormulaError(f"{error} while each trigger is -1, as KEDA tries it") from error
    return formula


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def _tokens(text: str) -> list[_Token]:
    found = [_Token(match.lastgroup or "", match.group(), match.start() + 1) for match in _TOKEN.finditer(text)]
    return [*(token for token in found if token.kind != "space"), _Token("end", "", len(text) + 1)]


class _Parser:
    """Precedence climbing, as parser/parser.go does it."""

    def __init__(self, text: str, names: frozenset[str]) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._open = 0
        self._names = names
        self.used: list[str] = []

    def whole(self) -> Node:
        """The formula to its end."""
        node = self._expression(0)
        if self._token.kind != "end":
            raise self._unexpected()
        return node

    @property
    def _token(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._token
        self._at += 1
        return token

    def _expect(self, sign: str) -> None:
        if self._token.text != sign:
            raise self._unexpected(f", where {sign!r} should stand")
        self._at += 1

    def _unexpected(self, more: str = "") -> FormulaError:
        token = self._token
        if token.kind == "other" or token.text in _KEYWORDS:
            return FormulaUnsupported(f"{token.text!r} {_UNSUPPORTED}", token.position)
        what = f"{token.text!r} is unexpected" if token.text else "it ends too early"
        return FormulaError(f"{what}{more}", token.position)

    def _expression(self, precedence: int) -> Node:
        self._open += 1
        if self._open > DEEPEST:
            raise FormulaUnsupported(f"is nested more than {DEEPEST} deep", self._token.position)
        left, previous = self._primary(), ""
        while _BINARY.get(self._token.text, -1) >= precedence:
            sign = self._take()
            if previous == "??" and sign.text != "??":
                raise FormulaError(f"{sign.text} next to ?? needs parentheses around either", sign.position)
            left = self._comparison(left, sign) if sign.text in _COMPARISONS else self._operation(left, sign)
            previous = sign.text
        while precedence == 0 and self._token.text == "?":
            position = self._take().position
            then = self._expression(0)
            self._expect(":")
            left = conditional(left, then, self._expression(0), position)
        self._open -= 1
        return left

    def _operation(self, left: Node, sign: _Token) -> Node:
        own = _BINARY[sign.text]
        return binary(sign.text, left, self._expression(own if sign.text in _RIGHT else own + 1), sign.position)

    def _comparison(self, left: Node, sign: _Token) -> Node:
        """A chain: a < b < c is a < b and b < c."""
        right = self._expression(_BINARY["<"] + 1)
        result = binary(sign.text, left, right, sign.position)
        while self._token.text in _COMPARISONS:
            sign = self._take()
            left, right = right, self._expression(_BINARY["<"] + 1)
            result = binary("&&", result, binary(sign.text, left, right, sign.position), sign.position)
        return result

    def _primary(self) -> Node:
        token = self._token
        if token.text in _UNARY:
            self._at += 1
            return unary(token.text, self._expression(_UNARY[token.text]), token.position)
        if token.text == "(":
            self._at += 1
            node = self._expression(0)
            self._expect(")")
            return node
        if token.kind == "number":
            self._at += 1
            return literal(_number(token))
        if token.kind == "name":
            return self._named()
        raise self._unexpected()

    def _named(self) -> Node:
        token = self._token
        name = token.text
        if name in _KEYWORDS or name in _BINARY:
            raise self._unexpected()
        self._at += 1
        if name in _WORDS:
            return literal(_WORDS[name])
        if self._token.text == "(" and name not in self._names:
            return self._call(token)
        if name not in self._names:
            known = ", ".join(sorted(self._names)) or "none"
            raise FormulaError(f"{name!r} is not the name of a trigger (those with a name: {known})", token.position)
        self.used.append(name)
        return trigger(name)

    def _call(self, token: _Token) -> Node:
        if token.text not in FUNCTIONS:
            known = ", ".join(sorted(FUNCTIONS))
            raise FormulaUnsupported(f"the function {token.text!r} {_UNSUPPORTED} (known: {known})", token.position)
        self._expect("(")
        arguments = []
        while self._token.text != ")":
            arguments.append(self._expression(0))
            if self._token.text != ")":
                self._expect(",")
        self._at += 1
        return call(token.text, arguments, token.position)


def _number(token: _Token) -> Any:
    text = token.text
    number: Any = float(text) if set(text) & set(".eE") else int(text)
    if number >= 1 << 63 and isinstance(number, int) or number == float("inf"):
        raise FormulaError(f"{text} is too large", token.position)
    return number
