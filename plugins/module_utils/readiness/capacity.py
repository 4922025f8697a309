# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do replicas run where they should, or where capacity was to be had?

Karpenter falls back without a word: what could not be had it leaves out for some minutes, and buys the next best. What
is left to see is where the pods run, and the events of an hour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional

from ..findings import Finding, Severity
from .nodes import full
from .state import age_s, title, waiting

#: Labels of Karpenter v1.14 on its nodes (pkg/apis/v1/labels.go).
_NODE_POOL = "karpenter.sh/nodepool"
_CAPACITY_TYPE = "karpenter.sh/capacity-type"
#: What Karpenter takes first where a pool allows several: getCapacityType in pkg/providers/instance/instance.go of
#: karpenter-provider-aws v1.14, getOfferingsWithPriority in karpenter-provider-azure v1.14; the kwok provider of
#: Karpenter v1.14 takes the cheapest.
_ORDER = ("reserved", "spot", "on-demand")
#: Reasons of the events that shortage() reads (pkg/events/reason.go). What they are about has no namespace, and so the
#: events are in ``default``.
SHORTAGES = ("InsufficientCapacityError", "NoCompatibleInstanceTypes")
#: While pods wait, Karpenter tries again at least so often: providers leave out for 3 minutes what could not be had.
_FRESH_S = 300
_STAYS = "They stay until their nodes go. Allow more instance types or zones, and the next ones have a choice."


@dataclass(frozen=True)
class Placed:
    """Replicas on one kind of node: how many, in which pool, of which capacity type."""

    count: int
    pool: str
    capacity_type: str


def placed(pods: Iterable[Mapping[str, Any]], nodes: Iterable[Mapping[str, Any]]) -> list[Placed]:
    """Where the pods run; those that have no node or are being deleted are left out."""
    labels = {node["metadata"]["name"]: node["metadata"].get("labels") or {} for node in nodes}
    homes = (
        labels[pod["spec"]["nodeName"]]
        for pod in pods
        if pod["spec"].get("nodeName") in labels and not pod["metadata"].get("deletionTimestamp")
    )
    counted = Counter((str(home.get(_NODE_POOL, "")), str(home.get(_CAPACITY_TYPE, ""))) for home in homes)
    return [Placed(count, pool, kind) for (pool, kind), count in sorted(counted.items())]


def has_choice(pools: Sequence[Mapping[str, Any]]) -> bool:
    """Whether pods that may use these NodePools can end up elsewhere than they should."""
    return len(pools) > 1 or any(len(_capacity_types(pool)) > 1 for pool in pools)


def fallback_reasons(
    workload: Mapping[str, Any],
    where: Sequence[Placed],
    pools: Sequence[Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
    now: datetime,
) -> list[Finding]:
    """Which replicas do not run where they should, and why; ``pools`` are NodePools, the preferred one first.

    A pool that has reached its limit is passed over as declared, and no reason.
    """
    total, order = sum(entry.count for entry in where), [_name(pool) for pool in pools]
    found = []
    for entry in (entry for entry in where if entry.pool in order):
        rank, runs = order.index(entry.pool), f"{entry.count} of {total} replicas run"
        better = _better(entry.capacity_type, _capacity_types(pools[rank]))
        if better:
            why = shortage(entry.pool, events, now) or f"no {better} instance could be had when they were placed"
            found.append(_finding(workload, runs, entry, f"on {better}", why, Severity.WARNING))
        passed = next((_name(pool) for pool in pools[:rank] if not full(pool)), "")
        if passed:
            said = shortage(passed, events, now)
            why, severity = said or "it had no room when they were placed", Severity.WARNING if said else Severity.INFO
            found.append(_finding(workload, runs, entry, f"in pool {passed}", why, severity))
    return found


def shortage(pool: str, events: Iterable[Mapping[str, Any]], now: datetime, within_s: int = 3600) -> str:
    """Why instances of a NodePool could not be had, by the newest event of Karpenter that says so; else empty.

    An instance that cannot be had costs its NodeClaim, so that only the event is left (``launchNodeClaim`` in Karpenter
    v1.14 pkg/controllers/nodeclaim/lifecycle/launch.go); a pool of which nothing is on offer gets one itself
    (``NewScheduler`` in pkg/controllers/provisioning/scheduling/scheduler.go).
    """
    said = [event for event in events if _about(event) == pool and age_s(_time(event), now) <= within_s]
    if not said:
        return ""
    newest = max(said, key=_time)
    # "NodeClaim <name> event: " goes before the error.
    message = " ".join(str(newest.get("message", "")).split()).split(" event: ", 1)[-1].rstrip(".")
    return f"{message} ({age_s(_time(newest), now) // 60} min ago)"


def shortage_reasons(pool: Mapping[str, Any], events: Iterable[Mapping[str, Any]], now: datetime) -> list[Finding]:
    """Why pods that wait for a NodePool get no node, if its instances cannot be had."""
    said = shortage(_name(pool), events, now, _FRESH_S)
    fix = "Wait, or allow the pool more instance types, zones or capacity types."
    return [waiting(pool, "no-capacity", f"its instances cannot be had: {said}", fix)] if said else []


def _about(event: Mapping[str, Any]) -> str:
    """The NodePool that an event is about. A NodeClaim is named <NodePool>-<suffix>."""
    involved = event.get("involvedObject") or {}
    name = str(involved.get("name", ""))
    return name.rpartition("-")[0] if involved.get("kind") == "NodeClaim" else name


def _time(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")


def _finding(
    workload: Mapping[str, Any], runs: str, entry: Placed, instead: str, why: str, severity: Severity
) -> Finding:
    message = f"{runs} on {entry.capacity_type} nodes of pool {entry.pool} rather than {instead}: {why}"
    return Finding("capacity-fallback", severity, message, title(workload), fix=_STAYS)


def _better(capacity_type: str, allowed: Sequence[str]) -> str:
    """The capacity type that the pool takes before this one, if there is one."""
    ranked = [kind for kind in _ORDER if kind in allowed]
    return ranked[0] if capacity_type in ranked[1:] else ""


def _capacity_types(pool: Mapping[str, Any]) -> Sequence[str]:
    requirements: Iterator[Mapping[str, Any]] = iter(pool["spec"]["template"]["spec"].get("requirements") or [])
    wanted = (entry for entry in requirements if entry["key"] == _CAPACITY_TYPE and entry.get("operator") == "In")
    first: Optional[Mapping[str, Any]] = next(wanted, None)
    return list(first["values"]) if first else []


def _name(pool: Mapping[str, Any]) -> str:
    return str(pool["metadata"]["name"])
