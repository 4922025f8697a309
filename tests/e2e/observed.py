# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What really is in the cluster: objects as fields, and every change that they went through."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from e2e.playbook import Task
from testbed.api import Api, resource_path

Json = dict[str, Any]
#: Kind, namespace and name.
Key = tuple[str, str, str]
#: Values by path, such as ``spec.triggers[0].metadata.threshold``.
Fields = dict[str, Any]

_T = TypeVar("_T")
_OURS = {"labelSelector": "app.kubernetes.io/managed-by=gpufleet"}
_POLL_S = 0.1

#: Every kind that the collection writes.
PLURALS: Mapping[str, tuple[str, str]] = {
    "Namespace": ("v1", "namespaces"),
    "ServiceAccount": ("v1", "serviceaccounts"),
    "Service": ("v1", "services"),
    "Deployment": ("apps/v1", "deployments"),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets"),
    "PriorityClass": ("scheduling.k8s.io/v1", "priorityclasses"),
    "KWOKNodeClass": ("karpenter.kwok.sh/v1alpha1", "kwoknodeclasses"),
    "NodePool": ("karpenter.sh/v1", "nodepools"),
    "ScaledObject": ("keda.sh/v1alpha1", "scaledobjects"),
    "TriggerAuthentication": ("keda.sh/v1alpha1", "triggerauthentications"),
}

_BOOKKEEPING = ("metadata.managedFields", "metadata.resourceVersion", "metadata.uid", "metadata.generation")
#: What controllers write into our objects in answer to a write of ours; apiVersion and kind are not in lists.
_FOREIGN = (
    "status",
    "apiVersion",
    "kind",
    "metadata.creationTimestamp",
    "metadata.finalizers",
    "metadata.annotations.deployment.kubernetes.io/revision",
    "metadata.annotations.karpenter.sh/nodepool-hash",
    "metadata.labels.scaledobject.keda.sh/name",
)


def path(kind: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    return resource_path(*PLURALS[kind], namespace, name, subresource)


def fields(value: Any, at: str = "") -> Fields:
    """The leaves of an object by path, without what the server and controllers keep in it."""
    if at in _BOOKKEEPING or at in _FOREIGN:
        return {}
    if isinstance(value, Mapping) and value:
        below = (fields(item, f"{at}.{key}" if at else key) for key, item in value.items())
    elif isinstance(value, list) and value:
        below = (fields(item, f"{at}[{index}]") for index, item in enumerate(value))
    else:
        return {at: value}
    return {key: item for found in below for key, item in found.items()}


def snapshot(api: Api) -> dict[Key, Fields]:
    """Every object of the collection. Those that other objects own are made by controllers and left out."""
    found = {}
    for kind in PLURALS:
        for item in api.list(path(kind), _OURS):
            meta = item["metadata"]
            if "ownerReferences" not in meta:
                found[kind, meta.get("namespace", ""), meta["name"]] = fields(_without_foreign_count(item))
    return found


def _without_foreign_count(item: Json) -> Json:
    """A count that is not ours moves whenever an autoscaler wants."""
    if "gpufleet" in count_owners(item):
        return item
    return {**item, "spec": {key: value for key, value in item.get("spec", {}).items() if key != "replicas"}}


def count_owners(item: Json) -> set[str]:
    """Field managers of spec.replicas."""
    entries = item["metadata"]["managedFields"]
    return {entry["manager"] for entry in entries if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})}


def moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """Paths whose value differs between two states of one object."""
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}


def reported(task: Task) -> dict[Key, set[str]]:
    """Every field that a task says it changes, as moved() would name it."""
    return {
        (entry["kind"], entry["namespace"], entry["name"]): {
            leaf
            for change in entry["diff"]
            for side in ("before", "after")
            for leaf in fields(change[side], change["field"])
            if change[side] is not None
        }
        for entry in task.result["objects"]
        if entry["action"] != "unchanged"
    }


def until(question: Callable[[], _T | None], within_s: float, what: str) -> _T:
    """The first answer that is not None or False. Fails naming ``what``."""
    deadline = time.monotonic() + within_s
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(_POLL_S)
    return answer


@dataclass(frozen=True)
class Event:
    """One change. ``revision`` orders changes of all objects of one API server: it is etcd's."""

    revision: int
    kind: str
    object: Json

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])


class Recorder:
    """Keeps every change of the collections behind some paths while it is open."""

    def __init__(self, api: Api, *paths: str) -> None:
        self._api = api
        self._events: dict[str, list[Event]] = {each: [] for each in paths}
        self._open = True

    def __enter__(self) -> Self:
        for each in self._events:
            # A daemon: it notices that we are closed at the next change only.
            threading.Thread(target=self._follow, args=(each,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._open = False

    def _follow(self, collection: str) -> None:
        for kind, item in self._api.watch(collection):
            if not self._open:
                return
            revision = int(item["metadata"]["resourceVersion"])
            self._events[collection].append(Event(revision, kind, item))

    def of(self, collection: str, name: str = "") -> Iterator[Event]:
        """Changes so far behind one path, in order; of one object or of all."""
        return (event for event in list(self._events[collection]) if name in ("", event.name))
