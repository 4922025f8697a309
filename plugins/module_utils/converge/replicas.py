# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who decides ``spec.replicas`` of a workload, and how the field changes hands without the count falling.

Server-side apply removes a field that its last owner stops to send, and the API server then defaults replicas to 1. So
before we stop sending it, a second field manager of ours takes it over with the live value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..objects.meta import MANAGER

#: Holds spec.replicas between our last apply with the field and the first decision of an autoscaler.
HOLDER = "gpufleet-replicas"
#: Field managers that write replicas for an autoscaler: the HPA controller of Kubernetes v1.35, the KEDA v2.20
#: operator, and our own holder.
_AUTOSCALERS = ("kube-controller-manager", "keda", "keda-operator", HOLDER)


@dataclass(frozen=True)
class ReplicasStep:
    """What must happen to spec.replicas before the object is applied.

    ``obj`` is what to apply. ``hold`` is the live count that HOLDER takes over first; ``retired`` tells that only an
    autoscaler that is gone objects to our count.
    """

    obj: dict[str, Any]
    hold: Optional[int] = None
    retired: bool = False


def replicas_step(wanted: dict[str, Any], live: Optional[Mapping[str, Any]], autoscaled: bool) -> ReplicasStep:
    """Decide for one workload. ``autoscaled`` tells whether an autoscaler owns its count."""
    if "replicas" in wanted["spec"] and autoscaled:
        wanted = {**wanted, "spec": {key: value for key, value in wanted["spec"].items() if key != "replicas"}}
    count = wanted["spec"].get("replicas")
    current = (live or {}).get("spec", {}).get("replicas")
    if live is None or current is None:
        return ReplicasStep(wanted)
    owners = replicas_owners(live)
    if count is None:
        return ReplicasStep(wanted, hold=current if owners == [MANAGER] else None)
    retired = any(owner in _AUTOSCALERS for owner in owners) and all(
        owner in _AUTOSCALERS or owner == MANAGER for owner in owners
    )
    return ReplicasStep(wanted, retired=retired)


def replicas_owners(live: Mapping[str, Any]) -> list[str]:
    """Field managers of spec.replicas, without repetition."""
    entries = live.get("metadata", {}).get("managedFields") or []
    owners = (entry["manager"] for entry in entries if "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {}))
    return list(dict.fromkeys(owners))


def scale_targets(scalers: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """(namespace, kind, name) of every workload that a ScaledObject or HPA owns the count of."""
    targets = set()
    for scaler in scalers:
        reference = scaler.get("spec", {}).get("scaleTargetRef", {})
        kind = reference.get("kind") or "Deployment"
        targets.add((scaler["metadata"].get("namespace", ""), kind, str(reference.get("name"))))
    return targets
