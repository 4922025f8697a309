# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The behaviour of an HPA with what the API server fills in, and what it refuses.

Defaults and limits of Kubernetes v1.35.4 (pkg/apis/autoscaling/v2/defaults.go, pkg/apis/autoscaling/validation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from enum import Enum
from typing import Any, Optional

from ...errors import InvalidInput
from ...fleet.fields import INVALID, Choice, FieldType, ListOf, Problems, Record, declare, integer
from ...quantity import parse_quantity
from .types import Behavior, Policy, Rules, SelectPolicy

#: A policy adds its value to a count, or multiplies by it, as int32: what overflows blocks the direction without a word
#: (calculateScaleUpLimitWithScalingRules in pkg/controller/podautoscaler/horizontal.go). From here on that is near.
_LARGEST = 1_000_000
_SUFFIXES = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}


class _PolicyType(str, Enum):
    PODS = "Pods"
    PERCENT = "Percent"


class _Tolerance(FieldType):
    """A fraction, parsed to mantissa and exponent of ten as the API server keeps it."""

    def describe(self) -> str:
        return "a fraction such as 0.05 or 50m, at least 0"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        text = str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
        try:
            number = parse_quantity(text)
        except ValueError:
            return self.reject(value, path, problems)
        return _canonical(number) if number >= 0 else self.reject(value, path, problems)


def _canonical(number: Decimal) -> tuple[int, int]:
    """Mantissa and the largest exponent for which it is whole; finer than nano is rounded up."""
    mantissa = int((number * 10**9).to_integral_value(ROUND_UP))
    exponent = -9
    while mantissa and mantissa % 1000 == 0 and exponent < 18:
        mantissa, exponent = mantissa // 1000, exponent + 3
    return mantissa, exponent if mantissa else 0


@dataclass(frozen=True)
class _Policy:
    type: _PolicyType = declare(Choice(_PolicyType), "")
    value: int = declare(integer(1, _LARGEST), "")
    periodSeconds: int = declare(integer(1, 1800), "")


class _Policies(ListOf):
    """An empty list is not an absent one: the API server fills it in only where it is absent."""

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        if value in ([], ()):
            return problems.add(path, "is an empty list", "Give at least one policy, or leave it out.")
        return super().parse(value, path, problems)


@dataclass(frozen=True)
class _Rules:
    stabilizationWindowSeconds: Optional[int] = declare(integer(0, 3600), "", None)
    selectPolicy: SelectPolicy = declare(Choice(SelectPolicy), "", SelectPolicy.MAX)
    policies: Optional[tuple[_Policy, ...]] = declare(_Policies(Record(_Policy)), "", None)
    tolerance: Optional[tuple[int, int]] = declare(_Tolerance(), "", None)


@dataclass(frozen=True)
class _Behavior:
    scaleUp: _Rules = declare(Record(_Rules), "", _Rules())
    scaleDown: _Rules = declare(Record(_Rules), "", _Rules())


_BEHAVIOR = Record(_Behavior)
_UP = (_Policy(_PolicyType.PODS, 4, 15), _Policy(_PolicyType.PERCENT, 100, 15))
_DOWN = (_Policy(_PolicyType.PERCENT, 100, 15),)


def _window(rules: _Rules, window: Optional[int]) -> Optional[int]:
    return window if rules.stabilizationWindowSeconds is None else rules.stabilizationWindowSeconds


def _rules(rules: _Rules, window: Optional[int], policies: tuple[_Policy, ...]) -> Rules:
    converted = tuple(
        Policy(policy.type is _PolicyType.PERCENT, policy.value, policy.periodSeconds)
        for policy in rules.policies or policies
    )
    # Quantity.AsApproximateFloat64: 0.118 is 118 * 1e-3, which is not the float 0.118.
    tolerance = None if rules.tolerance is None else rules.tolerance[0] * float(f"1e{rules.tolerance[1]}")
    return Rules(_window(rules, window), rules.selectPolicy, converted, tolerance)


#: What an empty behaviour is.
DEFAULT = Behavior(_rules(_Rules(), 0, _UP), _rules(_Rules(), None, _DOWN))


def behavior_of(written: Optional[Mapping[str, Any]], problems: Problems, path: str) -> Optional[Behavior]:
    """A behaviour as the controller sees it. None where there is none, or after reporting what is wrong with it."""
    parsed = None if written is None else _parse(written, problems, path)
    if parsed is None:
        return None
    return Behavior(_rules(parsed.scaleUp, 0, _UP), _rules(parsed.scaleDown, None, _DOWN))


def filled(written: Mapping[str, Any]) -> dict[str, Any]:
    """A behaviour as the API server returns it. Raises InvalidInput with all that is wrong with it."""
    problems = Problems()
    parsed = _parse(written, problems, "behavior")
    if parsed is None:
        raise InvalidInput(problems.findings)
    return {"scaleUp": _written(parsed.scaleUp, 0, _UP), "scaleDown": _written(parsed.scaleDown, None, _DOWN)}


def _parse(written: Any, problems: Problems, path: str) -> Optional[_Behavior]:
    parsed = _BEHAVIOR.parse(written, path, problems)
    return None if parsed is INVALID else parsed


def _written(rules: _Rules, window: Optional[int], policies: tuple[_Policy, ...]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "stabilizationWindowSeconds": _window(rules, window),
        "selectPolicy": rules.selectPolicy.value,
        "policies": [
            {"type": policy.type.value, "value": policy.value, "periodSeconds": policy.periodSeconds}
            for policy in rules.policies or policies
        ],
        "tolerance": rules.tolerance and f"{rules.tolerance[0]}{_SUFFIXES[rules.tolerance[1]]}",
    }
    return {name: value for name, value in fields.items() if value is not None}
