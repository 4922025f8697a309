# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a query of a trigger can return: how many series, and how much at most. Certain, or not said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple, Optional

from .promql import Aggregation, Binary, Call, Node, Number, Selector, parts, selectors

#: vLLM's own metrics (vllm/v1/metrics/loggers.py): one series or more for every replica, and none without one. A name
#: with another colon is a recording rule of somebody's.
_VLLM = re.compile(r"vllm:[a-z0-9_]+")
#: Functions without series to come from, or that return one whatever they are given.
_SINGLE = frozenset(["scalar", "vector", "absent", "absent_over_time", "time", "pi"])
#: Those whose result is within the bounds of what they are given.
_BOUNDED = frozenset(["avg_over_time", "max_over_time", "min_over_time", "last_over_time", "quantile_over_time"])


class Count(Enum):
    """How many series a query returns with several replicas."""

    ONE = "one"
    UNSURE = "unsure"
    MANY = "many"


class Peak(NamedTuple):
    """The most that a query returns: ``value`` in all, or times the number of replicas."""

    value: float
    per_replica: bool


def is_of_replica(metric: str) -> bool:
    """Whether every replica has a metric of its own, so that there is none without replicas."""
    return bool(_VLLM.fullmatch(metric))


def is_from_nothing(node: Node) -> bool:
    """Whether a part of a query may have a value where none of its series exists.

    Without an argument hour() and all of its kind are about now.
    """
    calls = (part for part in parts(node) if isinstance(part, Call))
    return any(call.name in _SINGLE or not call.args for call in calls)


def is_zero_without(node: Node) -> bool:
    """Whether a query ends in ``or vector(0)``, so that it is 0 where what it asks for is lost."""
    last = node.right if isinstance(node, Binary) and node.operator == "or" else None
    return isinstance(last, Call) and (last.name, last.args) == ("vector", (Number("0"),))


def count(node: Node, pod_label: str) -> Count:
    """How many series come; ``pod_label`` is the label that tells the replicas apart."""
    if isinstance(node, Selector):
        many = is_of_replica(node.metric) and pod_label not in node.pinned
        return Count.MANY if many else Count.UNSURE
    if isinstance(node, Aggregation):
        return _of_aggregation(node, pod_label)
    if isinstance(node, Call):
        return _of_call(node, pod_label)
    if isinstance(node, Binary):
        return _of_binary(node, pod_label)
    return Count.ONE


def _of_aggregation(node: Aggregation, pod_label: str) -> Count:
    inner = count(node.arg, pod_label)
    if node.name in ("topk", "bottomk", "limitk", "limit_ratio", "count_values"):
        first = node.name in ("topk", "bottomk") and node.parameter == Number("1")
        alone = first and not node.by and node.without is None
        return Count.ONE if inner is Count.ONE or alone else Count.UNSURE
    return inner if inner is Count.ONE else _grouped(node, inner, frozenset(), pod_label)


def _grouped(node: Aggregation, inner: Count, taken: frozenset[str], pod_label: str) -> Count:
    """By the labels of an aggregation, of which whoever calls has taken some away."""
    if node.without is not None:
        return Count.UNSURE
    pins = [selector.pinned for selector in selectors(node.arg)]
    free = {label for label in set(node.by) - taken if not all(label in pinned for pinned in pins)}
    if not free:
        return Count.ONE
    return Count.MANY if inner is Count.MANY and pod_label in free else Count.UNSURE


def _of_call(node: Call, pod_label: str) -> Count:
    if node.name in _SINGLE:
        return Count.ONE
    vectors = [arg for arg in node.args if not isinstance(arg, Number)]
    if node.name == "histogram_quantile" and isinstance(node.args[-1], Aggregation):
        return _grouped(node.args[-1], count(node.args[-1].arg, pod_label), frozenset(["le"]), pod_label)
    counts = {count(arg, pod_label) for arg in vectors} or {Count.ONE}
    return counts.pop() if len(counts) == 1 else Count.UNSURE


def _of_binary(node: Binary, pod_label: str) -> Count:
    left, right = count(node.left, pod_label), count(node.right, pod_label)
    if node.operator in ("and", "unless"):
        return left
    if node.operator == "or":
        both = left is right is Count.ONE and (node.all_alike or _is_bare(node.left) and _is_bare(node.right))
        return Count.ONE if both else Count.MANY if Count.MANY in (left, right) else Count.UNSURE
    if node.many:
        return left if node.many == "left" else right
    if _is_scalar(node.left):
        return right
    if _is_scalar(node.right):
        return left
    # One to one: no more than the side that has fewer.
    return Count.ONE if Count.ONE in (left, right) else left if left is right else Count.UNSURE


def _is_scalar(node: Node) -> bool:
    if isinstance(node, Binary):
        return _is_scalar(node.left) and _is_scalar(node.right)
    return isinstance(node, Number) or (isinstance(node, Call) and node.name in ("scalar", "time", "pi"))


def _is_bare(node: Node) -> bool:
    """Whether what comes has no labels, so that `or` never returns both sides."""
    if isinstance(node, Binary):
        return all(_is_bare(side) or _is_scalar(side) for side in (node.left, node.right))
    whole = isinstance(node, Aggregation) and not node.by and node.without is None and node.name != "count_values"
    return whole or (isinstance(node, Call) and node.name == "vector")


def peak(node: Node, peaks: Mapping[str, float], pod_label: str, ranks: bool) -> Optional[Peak]:
    """The most that a query returns, where it is certain; ``peaks`` are the most that single series have.

    ``ranks`` is whether a replica may have more than one series: as many as data parallel ranks.
    """
    if isinstance(node, Binary):
        left, factor = peak(node.left, peaks, pod_label, ranks), node.right
        if left and node.operator == "*" and isinstance(factor, Number) and factor.text.isdecimal():
            return left._replace(value=left.value * int(factor.text))
        return left if is_zero_without(node) else None
    if not isinstance(node, Aggregation) or node.by or node.without is not None:
        return None
    if node.name in ("max", "min", "avg", "quantile"):
        most = _most(node.arg, peaks)
        return None if most is None else Peak(most, per_replica=False)
    if node.name != "sum":
        return None
    inner, most = node.arg, None
    if isinstance(inner, Aggregation):
        of_pod = inner.by == (pod_label,) and inner.name in ("max", "min", "avg")
        most = _most(inner.arg, peaks) if of_pod else None
    elif not ranks:
        most = _most(inner, peaks)
    return None if most is None else Peak(most, per_replica=True)


def _most(node: Node, peaks: Mapping[str, float]) -> Optional[float]:
    if isinstance(node, Call) and node.name in _BOUNDED:
        return _most(node.args[-1], peaks)
    return peaks.get(node.metric) if isinstance(node, Selector) else None
