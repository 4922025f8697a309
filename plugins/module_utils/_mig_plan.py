# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of the MIG geometry of a pool would do, without doing any of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ._cluster import Cluster
from ._mig import diff_entry
from ._mig_check import Check
from ._mig_nodes import Nodes, name_of
from ._mig_task import Task
from .findings import Finding, Severity, errors_first
from .fleet.types import Fleet
from .mig.change import CONFIG_LABEL
from .mig.node import gpu_resources, labels_of
from .mig.plan import Kind, NodePlan, plan_of
from .mig.pools import layout


def plans(cluster: Cluster, fleet: Fleet, task: Task, check: Check) -> list[NodePlan]:
    """The plan of each node of the task by name. Raises ClusterError and PreflightError."""
    nodes = {name_of(node): node for node in cluster.list_objects("v1", "Node")}
    pool = Nodes(cluster, fleet, task.pool, {})
    chosen = {*pool.labels.items(), *task.selector.items()}
    wanted = sorted(name for name, node in nodes.items() if chosen <= labels_of(node).items())
    with_gpus = [name for name, node in nodes.items() if name in wanted or gpu_resources(node)]
    views = pool.views({name: nodes[name] for name in with_gpus})
    before = check.present({name: labels_of(nodes[name]).get(CONFIG_LABEL) for name in wanted})
    after = layout(task.pool)
    if after is None:
        return []
    found = []
    now = datetime.now(timezone.utc) + timedelta(seconds=cluster.ahead_s)
    for name in wanted:
        others = [view for other, view in views.items() if other != name]
        found.append(plan_of(views[name], task.target, task.options, now, (before[name], after), others))
    return [plan for plan in found if plan]


def findings_of(planned: Sequence[NodePlan], check: Check) -> list[Finding]:
    """What a person should know of the plans; errors first. That mig-manager does not know the layout yet is no error:
    what makes it known may be planned too."""
    changed = [plan.node for plan in planned if plan.kind is not Kind.NOTHING and not plan.refused]
    told = [replace(finding, severity=Severity.WARNING) for finding in (check.configured(changed) if changed else [])]
    return errors_first([*(finding for plan in planned for finding in plan.findings), *told])


def result(task: Task, planned: Sequence[NodePlan]) -> dict[str, Any]:
    """The plans as results of modules carry them."""
    changed = [plan for plan in planned if plan.kind is not Kind.NOTHING and not plan.refused]
    pods = sum(len(plan.displaced) for plan in changed)
    entries = [plan.to_dict() for plan in planned]
    shown = {entry["node"]: (entry["before"], entry["after"]) for entry in entries}
    return {
        "nodes": entries,
        "diff": [diff_entry(plan.node, *shown[plan.node]) for plan in changed],
        "text": [plan.summary for plan in planned],
        "msg": f"pool {task.pool.name}: {len(changed)} of {len(planned)} nodes to be changed, {task.limit} at once,"
        f" and {pods} pods to be evicted",
    }
