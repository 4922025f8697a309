# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does Prometheus have what the triggers of an autoscaler ask for?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Optional

from ..findings import Finding, Severity
from ..keda_metadata import FALSE, same_server
from ..readiness.state import title
from ..scaling.promql import read, selectors
from ..scaling.series import is_of_replica

#: Until then a new replica may not have been scraped yet; most scrape once a minute or more often.
_SCRAPED_WITHIN = timedelta(minutes=2)


class Asked(NamedTuple):
    """A query of a trigger. ``certain`` is whether it has a value wherever a replica serves, and fails without one."""

    path: str
    query: str
    certain: bool


def queries_of(scaled: Mapping[str, Any], address: str) -> Iterator[Asked]:
    """What the triggers of a ScaledObject ask the Prometheus at that address."""
    triggers = scaled["spec"].get("triggers")
    for index, trigger in enumerate(triggers if isinstance(triggers, list) else ()):
        asks = isinstance(trigger, Mapping) and trigger.get("type") == "prometheus"
        metadata = trigger.get("metadata") if asks else None
        if not isinstance(metadata, Mapping) or "query" not in metadata:
            continue
        if same_server(str(metadata.get("serverAddress")), address):
            # KEDA takes nothing for 0 unless it is told not to.
            fails = metadata.get("ignoreNullValues") in FALSE
            query = str(metadata["query"])
            yield Asked(f"spec.triggers[{index}].metadata.query", query, fails and _is_of_replicas(query))


def _is_of_replicas(query: str) -> bool:
    """Whether it asks only for what every replica has: a counter of a gateway has no series until the first request."""
    node = read(query)
    found = selectors(node) if node else []
    return bool(found) and all(is_of_replica(selector.metric) for selector in found)


def series_findings(
    scaled: Mapping[str, Any], asked: Asked, series: int, target: Optional[Mapping[str, Any]], now: datetime
) -> list[Finding]:
    """Whether a query returns one series, as KEDA wants it; ``target`` is the live Deployment, if there is one."""
    if series > 1:
        message, fix = f"returns {series} series, and KEDA takes one", "Write sum(...) around it."
        return [Finding("query-not-summed", Severity.ERROR, message, title(scaled), asked.path, fix)]
    if series == 1 or target is None:
        return []
    ready, since = (target.get("status") or {}).get("readyReplicas") or 0, _available_since(target)
    fix = "Compare its labels with those in Prometheus; gpufleet_cluster.prometheus.labels names two of them."
    if ready and since and now - since > _SCRAPED_WITHIN:
        severity = Severity.ERROR if asked.certain else Severity.WARNING
        message = f"returns nothing, although {ready} replicas are ready"
        return [Finding("metric-missing", severity, message, title(scaled), asked.path, fix)]
    reason = f"{ready} replicas have been ready only for a moment" if ready else "no replica is ready"
    message = f"returns nothing yet: {reason}"
    return [Finding("metric-missing", Severity.WARNING, message, title(scaled), asked.path, fix)]


def _available_since(target: Mapping[str, Any]) -> Optional[datetime]:
    for condition in (target.get("status") or {}).get("conditions") or []:
        if (condition["type"], condition["status"]) == ("Available", "True"):
            return datetime.fromisoformat(condition["lastTransitionTime"].replace("Z", "+00:00"))
    return None
