# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the node-readiness-controller (v0.5.0) does with a NodeReadinessRule, as far as pools with a startup taint go.

It removes the rule's taint from a node of the rule's selector once all conditions have their required status. What it
also does, putting the taint onto nodes that lack it, is left out: a pool that forgot its startup taint must show the
race that it runs into.
"""

from __future__ import annotations

from collections.abc import Iterable

from testbed.api import Json


def taints_left(node: Json, rules: Iterable[Json]) -> list[Json] | None:
    """The node's taints without those that a rule lets go; None when that changes nothing."""
    taints: list[Json] = node["spec"].get("taints", [])
    released = {
        (rule["spec"]["taint"]["key"], rule["spec"]["taint"]["effect"])
        for rule in rules
        if not rule["spec"].get("dryRun") and _selects(rule["spec"]["nodeSelector"], node) and _satisfied(rule, node)
    }
    left = [taint for taint in taints if (taint["key"], taint["effect"]) not in released]
    return None if left == taints else left


def _satisfied(rule: Json, node: Json) -> bool:
    statuses = {each["type"]: each["status"] for each in node["status"].get("conditions", ())}
    required = rule["spec"]["conditions"]
    return all(statuses.get(each["type"], "Unknown") == each["requiredStatus"] for each in required)


def _selects(selector: Json, node: Json) -> bool:
    labels = node["metadata"].get("labels", {})
    if any(labels.get(name) != value for name, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_matches(each, labels.get(each["key"])) for each in selector.get("matchExpressions", ()))


def _matches(expression: Json, value: str | None) -> bool:
    values = expression.get("values", ())
    answers = {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return answers[expression["operator"]]
