# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types that a declared value can have: each parses one value, and describes itself for docs and errors."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import Enum
from typing import Any, Optional

from ..findings import Finding, Severity
from ..quantity import parse_duration, parse_quantity

#: Longest part of a refused value that a message repeats.
_SHOWN = 80
#: What a parser returns after it reported a problem: the record around it is not built.
INVALID: Any = object()


class Problems:
    """Collects everything that is wrong with a declaration, so that all of it is reported at once."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def add(self, path: str, message: str, fix: str = "", finding_id: str = "invalid-input") -> Any:
        """Record one problem; returns INVALID so that parsers can return it."""
        # A key of the user's is part of the path, and may hold anything.
        self.findings.append(Finding(finding_id, Severity.ERROR, message, field=" ".join(path.split()), fix=fix))
        return INVALID


class FieldType:
    """Parses one declared value. ``ansible_type`` is its type in an argument spec."""

    ansible_type = "str"

    def describe(self) -> str:
        """What is allowed, as a noun phrase: "a whole number, at least 1"."""
        raise NotImplementedError

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        """The value as the engine uses it, or INVALID after reporting a problem."""
        raise NotImplementedError

    def reject(self, value: Any, path: str, problems: Problems, fix: str = "") -> Any:
        """Report that a value is not what describe() says."""
        shown = repr(value) if isinstance(value, (str, int, float)) else f"a {kind_of(value)}"
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        return problems.add(path, f"must be {self.describe()}, got {shown}", fix)


#: A boolean is also an int, so it comes first.
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "number"),
    (float, "number"),
    (str, "text"),
    (Mapping, "dictionary"),
    (list, "list"),
    (type(None), "null"),
)


def kind_of(value: Any) -> str:
    """The YAML name of a value's type, for messages."""
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return type(value).__name__


@dataclass(frozen=True)
class Text(FieldType):
    """A string that matches ``pattern`` as a whole."""

    pattern: str = r"[^\x00-\x1f\x7f]+"
    allowed: str = "a text"
    fix: str = ""

    def describe(self) -> str:
        return self.allowed

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value, re.ASCII):
            return self.reject(value, path, problems, self.fix)
        return str(value)


#: RFC 1123 label; k8s.io/apimachinery v0.35 pkg/util/validation. 50 leaves room for our suffixes within 63.
NAME = Text(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?", "a name of at most 50 lower case letters, digits and '-'")
#: A Service name starts with a letter (RFC 1035). Queries find the pods of a Deployment as <name>-<hash>-<suffix>, and
#: only up to 46 does k8s.io/apiserver v0.35 (pkg/storage/names, cut at 58) leave the dash after a hash of 10.
MODEL_NAME = Text(
    r"[a-z]([a-z0-9-]{0,44}[a-z0-9])?",
    "a name of at most 46 lower case letters, digits and '-' that starts with a letter",
)
NAMESPACE = Text(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "a namespace of at most 63 lower case letters, digits and '-'")
OBJECT_NAME = Text(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "the name of a Kubernetes object")
LABEL_KEY = Text(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", "a label key")
LABEL_VALUE = Text(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", "a label value")
#: Without a user and password: URLs are written into objects.
URL = Text(
    r"https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?", "an http or https URL without credentials"
)


@dataclass(frozen=True)
class Number(FieldType):
    """A number within bounds; ``whole`` ones become int. Digits in a string count, as ``-e`` passes them."""

    minimum: float
    maximum: float
    whole: bool = False
    ansible_type = "float"

    def describe(self) -> str:
        low, high = (int(bound) if self.whole else f"{bound:g}" for bound in (self.minimum, self.maximum))
        return f"a {'whole ' if self.whole else ''}number, at least {low} and at most {high}"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        number = value
        if isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
            number = float(value)
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not self.fits(number):
            return self.reject(value, path, problems)
        return int(number) if self.whole else float(number)

    def fits(self, number: float) -> bool:
        """Whether a number is within the bounds, and whole where it must be. NaN is within none."""
        return self.minimum <= number <= self.maximum and (not self.whole or number == int(number))


def integer(minimum: int, maximum: int) -> Number:
    """A whole number within bounds."""
    return Number(minimum, maximum, whole=True)


@dataclass(frozen=True)
class Duration(FieldType):
    """A Go duration; parsed to whole seconds. ``never`` allows the word Never, parsed to None."""

    minimum: int = 0
    maximum: int = 365 * 24 * 3600
    never: bool = False

    def describe(self) -> str:
        bounds = f"from {self.minimum} s to {self.maximum} s"
        return f"a duration such as 90s, 10m or 1h30m, {bounds}{', or Never' if self.never else ''}"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        if self.never and value == "Never":
            return None
        try:
            seconds = parse_duration(value) if isinstance(value, str) else -1
        except ValueError:
            seconds = -1
        if not self.minimum <= seconds <= self.maximum:
            fix = f'Write the unit, for example "{value}s".' if kind_of(value) == "number" else ""
            return self.reject(value, path, problems, fix)
        return seconds


@dataclass(frozen=True)
class Quantity(FieldType):
    """A Kubernetes quantity above zero; kept as written, because the API server normalises it."""

    def describe(self) -> str:
        return "a Kubernetes quantity above zero, such as 16Gi or 500m"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        text = str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
        try:
            positive = parse_quantity(text) > 0
        except ValueError:
            positive = False
        return text if positive else self.reject(value, path, problems)


@dataclass(frozen=True)
class Choice(FieldType):
    """One member of an enum, or of some of its members, by its value."""

    members: Iterable[Enum]

    def describe(self) -> str:
        return f"one of {', '.join(member.value for member in self.members)}"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        for member in self.members:
            if member.value == value:
                return member
        return self.reject(value, path, problems, nearest(value, [member.value for member in self.members]))


@dataclass(frozen=True)
class ListOf(FieldType):
    """A list; parsed to a tuple, with INVALID in the place of entries that are not.

    ``unique`` names the key in which no two entries may agree.
    """

    item: FieldType
    unique: str = ""
    ansible_type = "list"

    def describe(self) -> str:
        return f"a list; each entry {self.item.describe()}"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, (list, tuple)):
            return problems.add(path, f"must be a list, got {kind_of(value)}", "Start each entry with '- '.")
        items = [self.item.parse(entry, f"{path}[{index}]", problems) for index, entry in enumerate(value)]
        seen: dict[Any, int] = {}
        for index, entry in enumerate(items if self.unique else []):
            key = getattr(entry, self.unique, None)
            if key is not None and seen.setdefault(key, index) != index:
                taken = f"{path}[{seen[key]}]"
                problems.add(f"{path}[{index}].{self.unique}", f"{key!r} is already used by {taken}", "Rename one.")
        return tuple(items)


@dataclass(frozen=True)
class OneOrMore(ListOf):
    """A list without repetition and never empty, for which its only entry may stand; parsed to a tuple."""

    def describe(self) -> str:
        return f"{self.item.describe()}, or a list of such"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, (list, tuple)):
            item = self.item.parse(value, path, problems)
            return INVALID if item is INVALID else (item,)
        items = super().parse(value, path, problems)
        if not items:
            return problems.add(path, "is an empty list", "Give at least one.")
        twice = [entry for index, entry in enumerate(items) if entry is not INVALID and entry in items[:index]]
        return problems.add(path, f"names {twice[0]!r} twice", "Remove one.") if twice else items


@dataclass(frozen=True)
class MapOf(FieldType):
    """A dictionary with checked keys and values."""

    key: FieldType
    value: FieldType
    ansible_type = "dict"

    def describe(self) -> str:
        return f"a dictionary from {self.key.describe()} to {self.value.describe()}"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, Mapping):
            return problems.add(path, f"must be a dictionary, got {kind_of(value)}")
        parsed = {
            self.key.parse(key, path, problems): self.value.parse(entry, f"{path}.{key}", problems)
            for key, entry in value.items()
        }
        return INVALID if any(INVALID in pair for pair in parsed.items()) else parsed


@dataclass(frozen=True)
class Tree(FieldType):
    """A free-form dictionary, handed on as it is."""

    ansible_type = "dict"

    def describe(self) -> str:
        return "a dictionary of Kubernetes fields"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        return value if isinstance(value, Mapping) else self.reject(value, path, problems)


@dataclass(frozen=True)
class Record(FieldType):
    """A dictionary that becomes a frozen dataclass, its keys declared by ``declare``."""

    cls: type[Any]
    ansible_type = "dict"

    def describe(self) -> str:
        return "a dictionary with the keys " + ", ".join(entry.name for entry in fields(self.cls))

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, Mapping):
            return problems.add(path, f"must be a dictionary, got {kind_of(value)}")
        known = {entry.name: entry for entry in fields(self.cls)}
        before = len(problems.findings)
        for key in value:
            if key not in known:
                problems.add(f"{path}.{key}", "is not a known key", nearest(key, known), "unknown-key")
        parsed = {}
        for name, entry in known.items():
            given = value.get(name)
            if given is not None:
                parsed[name] = entry.metadata["type"].parse(given, f"{path}.{name}", problems)
            elif entry.default is MISSING and entry.default_factory is MISSING:
                problems.add(f"{path}.{name}", "is required", f"Set it to {entry.metadata['type'].describe()}.")
        return self.cls(**parsed) if len(problems.findings) == before else INVALID


@dataclass(frozen=True)
class NamedRecord(Record):
    """A record for which the value of its key ``name`` may stand."""

    def describe(self) -> str:
        return f"a name, or {super().describe()}"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        if isinstance(value, Mapping):
            return super().parse(value, path, problems)
        (kind,) = (entry.metadata["type"] for entry in fields(self.cls) if entry.name == "name")
        name = kind.parse(value, path, problems)
        return INVALID if name is INVALID else self.cls(name=name)


def declare(kind: FieldType, doc: str, default: Any = MISSING, factory: Any = MISSING) -> Any:
    """A dataclass field whose metadata is the one source of parser, docs table and argument spec."""
    options: dict[str, Any] = {"default": default} if factory is MISSING else {"default_factory": factory}
    # The result stands in a dataclass, which pylint cannot see from here.
    # pylint: disable-next=invalid-field-call
    return field(**options, metadata={"type": kind, "doc": doc})


def nearest(key: Any, known: Iterable[str]) -> str:
    """A fix that names the nearest known word, or all of them."""
    words = list(known)
    match: Optional[list[str]] = difflib.get_close_matches(str(key), words, n=1)
    return f"Did you mean {match[0]}?" if match else f"Known are {', '.join(words)}."
