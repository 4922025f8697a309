# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold of every change of MIG geometries, whatever happened to it: read from what the server saw.

Each function names what is wrong, and nothing where all is well. Who asked what is in the audit log; which pods and
nodes there were at that moment follows from a watch, for every answer and every event carries etcd's revision. Nothing
here is shared with the collection: a mistake of its own would go unseen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.observed import Event
from testbed.audit import Call, writes

Json = dict[str, Any]

OPERATOR_NAMESPACE = "gpu-operator"
RECORD = "gpufleet.io/mig-change"
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
STATE = "nvidia.com/mig.config.state"
#: The label as a key of a merge patch, or as the end of a path of a JSON patch; not its state.
_RELABEL = re.compile(r'nvidia\.com(/|~1)mig\.config"')
_RESOURCE = re.compile(r"nvidia\.com/(gpu|mig-)")


@dataclass(frozen=True)
class Course:
    """What happened to the cluster: every call, and every state of every node and pod in the order of revisions."""

    calls: Sequence[Call]
    nodes: Sequence[Event]
    pods: Sequence[Event]

    def pods_at(self, revision: int) -> list[Json]:
        """The pods that there were when the server had reached a revision."""
        last: dict[str, Event] = {}
        for event in self.pods:
            if event.revision <= revision:
                last[event.object["metadata"]["uid"]] = event
        return [event.object for event in last.values() if event.kind != "DELETED"]


def holds_gpu(pod: Json) -> bool:
    """Whether a pod that is bound to a node would keep mig-manager from its GPUs. What stays on a node during a drain
    does not count: pods of DaemonSets, of the node itself, and the operator's own."""
    meta, spec = pod["metadata"], pod["spec"]
    if meta["namespace"] == OPERATOR_NAMESPACE or "kubernetes.io/config.mirror" in meta.get("annotations", {}):
        return False
    if any(owner["kind"] in ("DaemonSet", "Node") for owner in meta.get("ownerReferences", ())):
        return False
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return False
    containers = [*spec["containers"], *spec.get("initContainers", ())]
    limits = [name for each in containers for name in each.get("resources", {}).get("limits", {})]
    claims = spec.get("resourceClaims", ())
    return spec.get("runtimeClassName") == "nvidia" or bool(claims) or any(map(_RESOURCE.match, limits))


def relabelled_under_pods(course: Course) -> list[str]:
    """I3: whoever writes nvidia.com/mig.config, no pod that holds a GPU is bound to the node."""
    found = []
    for call in relabels(course.calls):
        revision = int((call.answer or {})["metadata"]["resourceVersion"])
        bound = [pod for pod in course.pods_at(revision) if pod["spec"].get("nodeName") == call.name]
        held = sorted(_title(pod) for pod in bound if holds_gpu(pod))
        found += [f"{call.user} wrote mig.config of {call.name} at {revision} under {name}" for name in held]
    return found


def relabels(calls: Sequence[Call]) -> list[Call]:
    """Writes of a node's label nvidia.com/mig.config."""
    return [call for call in writes(calls) if call.resource == "nodes" and _RELABEL.search(json.dumps(call.body))]


def too_many_at_once(course: Course, pools: Collection[Collection[str]], allowed: int) -> list[str]:
    """I4: of the nodes of a pool never more than ``allowed`` are changed, or cordoned in its course."""
    found = []
    for names in pools:
        out: dict[str, bool] = {}
        for event in course.nodes:
            if event.name in names:
                out[event.name] = event.kind != "DELETED" and _is_disrupted(event.object)
                if sum(out.values()) > allowed:
                    found.append(f"at {event.revision}: {', '.join(name for name in sorted(out) if out[name])}")
    return found


def left_behind(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[str]:
    """I2: a node is as cordoned, and as protected from Karpenter, as it was, or says on itself why not."""
    found = []
    for name, node in after.items():
        if name not in before or RECORD in _annotations(node):
            continue
        then, now = fence(before[name]), fence(node)
        if then != now:
            found.append(f"{name}: (cordoned, {DO_NOT_DISRUPT}) was {then} and is {now}")
    return found


def pods_taken(course: Course, user: str) -> list[str]:
    """Pods that were deleted past their disruption budget, or evicted although a drain leaves them where they are."""
    # One that ends holds nothing any more.
    known = {_title(event.object) for event in course.pods}
    holders = {_title(event.object) for event in course.pods if holds_gpu(event.object)}
    found = []
    for call in writes(call for call in course.calls if call.user == user):
        title = f"{call.namespace}/{call.name}"
        if call.resource == "pods" and call.verb.startswith("delete") and call.namespace != OPERATOR_NAMESPACE:
            found.append(f"{title} was deleted")
        if call.resource == "pods/eviction" and title in known - holders:
            found.append(f"{title} was evicted")
    return found


def ill_said(result: Json) -> list[str]:
    """I8: one line that begins with the object and ends with what to do, and findings that say the same."""
    message = result.get("msg", "")
    rules = {
        "is not one line": "\n" not in message and message != "",
        "does not begin with an object": bool(re.match(r"[A-Z][\w ./-]+: |[\w\[\].]+: ", message)),
        "does not end with a sentence": bool(re.search(r"[.?]( \(\d+ more in findings\))?$", message)),
        "has findings without a fix": all(finding.get("fix") for finding in _errors(result)),
        "has no finding": bool(_errors(result)),
    }
    return [f"{message!r} {wrong}" for wrong, right in rules.items() if not right]


def _errors(result: Json) -> list[Json]:
    return [finding for finding in result.get("findings", ()) if finding.get("severity") == "error"]


def violations(course: Course, user: str, pools: Collection[Collection[str]], allowed: int = 1) -> Iterator[str]:
    """Whatever must hold at every moment."""
    yield from relabelled_under_pods(course)
    yield from too_many_at_once(course, pools, allowed)
    yield from pods_taken(course, user)


def _is_disrupted(node: Json) -> bool:
    state = node["metadata"].get("labels", {}).get(STATE)
    return RECORD in _annotations(node) or state in ("pending", "rebooting")


def fence(node: Json) -> tuple[bool, str | None]:
    """Whether a node is cordoned, and how it is protected from Karpenter."""
    return bool(node["spec"].get("unschedulable")), _annotations(node).get(DO_NOT_DISRUPT)


def _annotations(item: Json) -> Mapping[str, str]:
    found: Mapping[str, str] = item["metadata"].get("annotations", {})
    return found


def _title(pod: Json) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
