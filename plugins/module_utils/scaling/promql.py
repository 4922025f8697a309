# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PromQL as far as it has to be read to say what a query can return: a tree of what counts, or nothing at all.

Grammar of Prometheus 3 (promql/parser/generated_parser.y, lex.go). What is not understood is no error: a query that is
read wrongly would be worse than one that is not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional, Union

AGGREGATIONS = frozenset(
    ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]
    + ["quantile", "topk", "bottomk", "limitk", "limit_ratio", "count_values"]
)
#: Their first argument is no vector.
_WITH_PARAMETER = frozenset(["quantile", "topk", "bottomk", "limitk", "limit_ratio", "count_values"])
#: From the loosest to the tightest; all but the last take the left side first.
_OPERATORS = (
    ("or",),
    ("and", "unless"),
    ("==", "!=", "<=", "<", ">=", ">"),
    ("+", "-"),
    ("*", "/", "%", "atan2"),
    ("^",),
)
_TOKEN = re.compile(
    r"""(?ax)(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
      | (?P<number>(?:\d+(?:ms|[smhdwy]))+|0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
      | (?P<sign>=~|!~|==|!=|<=|>=|[-+*/%^(){}\[\],=<>@:])"""
)


@dataclass(frozen=True)
class Number:
    """A number, or a text; ``text`` as it is written, its sign left out."""

    text: str = ""


@dataclass(frozen=True)
class Selector:
    """Series by name and by labels that equal a value; other matchers do not pin a label. ``like`` are patterns."""

    metric: str
    pinned: Mapping[str, str] = field(default_factory=dict)
    like: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A function."""

    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True)
class Aggregation:
    """Many series into fewer: one for each value of the labels ``by``, or of all labels but ``without``."""

    name: str
    arg: Node
    by: tuple[str, ...] = ()
    without: Optional[tuple[str, ...]] = None
    parameter: Node = Number()


@dataclass(frozen=True)
class Binary:
    """Two sides. Of the side ``many`` (left, right, none) several series may meet the same one of the other.

    ``all_alike`` is on(): every series meets every other one, whatever its labels.
    """

    operator: str
    left: Node
    right: Node
    many: str = ""
    all_alike: bool = False


Node = Union[Number, Selector, Call, Aggregation, Binary]


class _Unknown(Exception):
    """Something that this does not read."""


def read(query: str) -> Optional[Node]:
    """The tree of a query; None where it is not understood."""
    try:
        return _Reader(query).whole()
    except (_Unknown, RecursionError):
        return None


def selectors(node: Node) -> list[Selector]:
    """Every selector of a tree."""
    return [found for found in parts(node) if isinstance(found, Selector)]


def parts(node: Node) -> list[Node]:
    """A tree with all that is in it."""
    inner: tuple[Node, ...] = ()
    if isinstance(node, Binary):
        inner = (node.left, node.right)
    elif isinstance(node, Aggregation):
        inner = (node.arg,)
    elif isinstance(node, Call):
        inner = node.args
    return [node, *(found for each in inner for found in parts(each))]


class _Reader:
    def __init__(self, query: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(query):
            match = _TOKEN.match(query, at)
            if match is None:
                raise _Unknown
            at = match.end()
            if match.lastgroup != "space":
                self._tokens.append((str(match.lastgroup), match.group()))
        self._at = 0

    def whole(self) -> Node:
        node = self._binary(0)
        if self._at != len(self._tokens):
            raise _Unknown
        return node

    def _peek(self, ahead: int = 0) -> tuple[str, str]:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ("end", "")

    def _next(self, kind: str = "") -> str:
        found, text = self._peek()
        if kind not in ("", found) or found == "end":
            raise _Unknown
        self._at += 1
        return text

    def _took(self, *texts: str) -> str:
        """The next token if it is one of these."""
        kind, text = self._peek()
        if kind == "string" or text.lower() not in texts:
            return ""
        self._at += 1
        return text.lower()

    def _must(self, text: str) -> None:
        if not self._took(text):
            raise _Unknown

    def _binary(self, level: int) -> Node:
        if level == len(_OPERATORS):
            return self._unary()
        left = self._binary(level + 1)
        while operator := self._took(*_OPERATORS[level]):
            many, all_alike = self._matching()
            # Only the tightest operator takes the right side first.
            right = self._binary(level if operator == "^" else level + 1)
            left = Binary(operator, left, right, many, all_alike)
        return left

    def _matching(self) -> tuple[str, bool]:
        self._took("bool")
        kind = self._took("on", "ignoring")
        labels = self._labels() if kind else ()
        group = self._took("group_left", "group_right")
        if group and self._peek()[1] == "(":
            self._labels()
        return group.replace("group_", ""), kind == "on" and not labels

    def _unary(self) -> Node:
        if self._took("-", "+"):
            # Binds less than ^, which makes no difference to what counts here.
            return self._unary()
        return self._ranges(self._primary())

    def _primary(self) -> Node:
        kind, text = self._peek()
        if self._took("("):
            node = self._binary(0)
            self._must(")")
            return node
        if kind in ("number", "string"):
            self._next()
            return Number(text)
        if text == "{":
            return self._selector("")
        name = self._next("name")
        if name.lower() in ("inf", "nan"):
            return Number()
        following = self._peek()[1].lower()
        if name.lower() in AGGREGATIONS and following in ("(", "by", "without"):
            return self._aggregation(name.lower())
        return Call(name, self._arguments()) if following == "(" else self._selector(name)

    def _ranges(self, node: Node) -> Node:
        """[5m], [1h:5m], offset and @: other times, the same series."""
        while True:
            if self._took("["):
                while not self._took("]"):
                    self._next()
            elif self._took("offset"):
                self._took("-", "+")
                self._next("number")
            elif self._took("@"):
                if not (self._peek()[0] == "name" and self._next() in ("start", "end") and self._arguments() == ()):
                    self._next("number")
            else:
                return node

    def _arguments(self) -> tuple[Node, ...]:
        self._must("(")
        found: list[Node] = []
        while not self._took(")"):
            found.append(self._binary(0))
            if not self._took(",") and self._peek()[1] != ")":
                raise _Unknown
        return tuple(found)

    def _aggregation(self, name: str) -> Node:
        grouping = self._grouping()
        args = self._arguments()
        grouping = grouping or self._grouping()
        if len(args) != (2 if name in _WITH_PARAMETER else 1):
            raise _Unknown
        kind, labels = grouping or ("by", ())
        by, without = (labels, None) if kind == "by" else ((), labels)
        return Aggregation(name, args[-1], by, without, args[0])

    def _grouping(self) -> Optional[tuple[str, tuple[str, ...]]]:
        kind = self._took("by", "without")
        return (kind, self._labels()) if kind else None

    def _labels(self) -> tuple[str, ...]:
        self._must("(")
        found = []
        while not self._took(")"):
            found.append(self._next("name"))
            if not self._took(",") and self._peek()[1] != ")":
                raise _Unknown
        return tuple(found)

    def _selector(self, metric: str) -> Node:
        pinned: dict[str, str] = {}
        like: dict[str, str] = {}
        if self._took("{"):
            while not self._took("}"):
                label = self._next("name")
                operator = self._took("=", "!=", "=~", "!~")
                value = self._next("string")
                if operator == "=":
                    pinned[label] = value[1:-1]
                elif operator == "=~":
                    like[label] = value[1:-1]
                if not operator or (not self._took(",") and self._peek()[1] != "}"):
                    raise _Unknown
        return Selector(metric or pinned.get("__name__", ""), pinned, like)
