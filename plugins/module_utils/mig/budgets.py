# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may be disrupted now: pods as their PodDisruptionBudgets allow it, nodes as the limit of their pool does.

A budget says itself how many evictions it would grant, so that none has to be asked for in vain.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Optional

from .change import Json
from .node import is_ready


def evictable(pods: Iterable[Json], budgets: Sequence[Json]) -> tuple[list[Json], dict[str, str]]:
    """The pods whose eviction would be granted now, and why not, by uid, of the others.

    The rules are those of k8s.io/kubernetes v1.35 pkg/registry/core/pod/storage/eviction.go. A pod of several budgets
    is among the first: only the API server can say that it refuses it.
    """
    left = {_key(budget): _allowed(budget) for budget in budgets}
    now, refused = [], {}
    for pod in pods:
        own = [budget for budget in budgets if _covers(budget, pod)]
        if len(own) != 1 or _is_exempt(pod, own[0]):
            now.append(pod)
            continue
        key = _key(own[0])
        if left[key] > 0:
            left[key] -= 1
            now.append(pod)
        else:
            refused[pod["metadata"]["uid"]] = f"PodDisruptionBudget {key} allows no eviction now"
    return now, refused


def admitted(candidates: Iterable[str], disrupted: Collection[str], limit: int) -> list[str]:
    """The nodes that may be changed at once, the first candidates first, so that no more than ``limit`` are disrupted:
    those under change, and the ``disrupted`` ones, of which each candidate may be one."""
    chosen: list[str] = []
    for name in candidates:
        after = {*disrupted, *chosen, name}
        if len(chosen) < limit and (name in disrupted or len(after) <= limit):
            chosen.append(name)
    return chosen


def _key(budget: Json) -> str:
    return f"{budget['metadata']['namespace']}/{budget['metadata']['name']}"


def _allowed(budget: Json) -> int:
    """Evictions that it grants; none while its status is that of an older generation."""
    status = budget.get("status") or {}
    current = status.get("observedGeneration", 0) >= budget["metadata"].get("generation", 0)
    return int(status.get("disruptionsAllowed") or 0) if current else 0


def _covers(budget: Json, pod: Json) -> bool:
    """Whether a budget selects a pod; in policy/v1 an empty selector selects all of its namespace."""
    selector = (budget.get("spec") or {}).get("selector")
    if selector is None or budget["metadata"]["namespace"] != pod["metadata"]["namespace"]:
        return False
    labels = pod["metadata"].get("labels") or {}
    return (selector.get("matchLabels") or {}).items() <= labels.items() and all(
        _holds(labels.get(entry["key"]), entry) for entry in selector.get("matchExpressions") or ()
    )


def _holds(value: Optional[str], expression: Json) -> bool:
    """Whether a label, None where it is absent, is as an expression of a selector asks for."""
    operator, values = expression["operator"], expression.get("values") or ()
    if operator in ("In", "NotIn"):
        return (value in values) is (operator == "In")
    return (value is not None) is (operator == "Exists")


def _is_exempt(pod: Json, budget: Json) -> bool:
    """Whether a budget does not count a pod: one that has not begun or has ended, or is unready and may go."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Pending", "Succeeded", "Failed") or pod["metadata"].get("deletionTimestamp"):
        return True
    if is_ready(pod):
        return False
    healthy, desired = (budget.get("status", {}).get(key) or 0 for key in ("currentHealthy", "desiredHealthy"))
    always = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    return bool(always or 0 < desired <= healthy)
