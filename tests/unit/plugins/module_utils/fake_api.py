# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server in memory, at the place of urllib3: discovery, GET, LIST, server-side apply, DELETE and faults.

It answers and counts; it validates nothing. Faithful where the code under test depends on it: dry-runs change nothing,
a missing namespace is a 404, fields have owners.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ansible_collections.gpufleet.llm.plugins.module_utils._cluster import Cluster
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref, ref_of
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.ownership import (
    Conflict,
    Owned,
    leaves,
    remove,
    value,
)

#: Kind -> plural name and whether it is namespaced, by API version.
KINDS: dict[str, dict[str, tuple[str, bool]]] = {
    "v1": {
        "Namespace": ("namespaces", False),
        "ServiceAccount": ("serviceaccounts", True),
        "Service": ("services", True),
        "Node": ("nodes", False),
        "Pod": ("pods", True),
        "Event": ("events", True),
        "ConfigMap": ("configmaps", True),
    },
    "apps/v1": {"Deployment": ("deployments", True)},
    "policy/v1": {"PodDisruptionBudget": ("poddisruptionbudgets", True)},
    "scheduling.k8s.io/v1": {"PriorityClass": ("priorityclasses", False)},
    "events.k8s.io/v1": {"Event": ("events", True)},
    "autoscaling/v2": {"HorizontalPodAutoscaler": ("horizontalpodautoscalers", True)},
    "karpenter.sh/v1": {"NodePool": ("nodepools", False)},
    "karpenter.sh/v1alpha1": {"NodeOverlay": ("nodeoverlays", False)},
    "karpenter.kwok.sh/v1alpha1": {"KWOKNodeClass": ("kwoknodeclasses", False)},
    "keda.sh/v1alpha1": {
        "ScaledObject": ("scaledobjects", True),
        "TriggerAuthentication": ("triggerauthentications", True),
    },
}


@dataclass(frozen=True)
class Call:
    """One request as it arrived, and the status that it was answered with."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]
    status: int = 0

    @property
    def is_list(self) -> bool:
        """Whether it read a collection."""
        return self.method == "GET" and self.status == 200 and not _is_discovery(self.path) and not _name(self.path)

    @property
    def is_write(self) -> bool:
        """Whether it changed the cluster."""
        return self.method != "GET" and 200 <= self.status < 300 and "dryRun" not in self.query


@dataclass
class Answer:
    """What urllib3 returns."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        """The body as it is sent."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def status(code: int, message: str, **details: Any) -> Answer:
    """A refusal as the API server words it."""
    body = {"kind": "Status", "status": "Failure", "code": code, "message": message, "details": details}
    return Answer(code, body)


class FakeApi:
    """The server. ``calls`` holds every request in order, ``sleeps`` the pauses between them."""

    def __init__(self, *missing: str) -> None:
        self.kinds = {version: kinds for version, kinds in KINDS.items() if version not in missing}
        self.objects: dict[Ref, Owned] = {}
        self.calls: list[Call] = []
        self.sleeps: list[float] = []
        self.on_delete: Callable[[Ref], None] = lambda ref: None
        self._faults: list[tuple[Callable[[Call], bool], list[Answer | Exception]]] = []
        self._versions = itertools.count(1)

    def cluster(self) -> Cluster:
        """A client of this server."""
        configuration = SimpleNamespace(host="https://api.example.com:6443", auth_settings=dict)
        return Cluster(self, configuration, {}, sleep=self.sleeps.append, clock=self.clock)

    def clock(self) -> float:
        """Seconds that the client has slept."""
        return sum(self.sleeps)

    def add(self, obj: dict[str, Any], manager: str = "kubectl") -> Ref:
        """Put an object there as somebody else's."""
        ref = ref_of(obj)
        bare = {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {"name": ref.name}}
        self.objects[ref] = Owned({**bare, "metadata": obj["metadata"]}).update(manager, obj)
        return ref

    def scale(self, ref: Ref, count: int, manager: str = "kube-controller-manager") -> None:
        """What an HPA does."""
        self.objects[ref] = self.objects[ref].update(manager, {"spec": {"replicas": count}}, "scale")

    def edit(self, ref: Ref, patch: dict[str, Any], manager: str = "kubectl-edit") -> None:
        """What a person does."""
        self.objects[ref] = self.objects[ref].update(manager, patch)

    def fail(self, matches: Callable[[Call], bool], *answers: Answer | Exception) -> None:
        """Answer the next matching calls so, one each."""
        self._faults.append((matches, list(answers)))

    def writes(self) -> list[Call]:
        """Calls that changed the cluster."""
        return [call for call in self.calls if call.is_write]

    def lists(self) -> list[str]:
        """Paths of the collections that were read."""
        return [call.path for call in self.calls if call.is_list]

    def request(self, method: str, url: str, body: bytes | None, headers: dict[str, str], **options: Any) -> Answer:
        """urllib3's method of that name."""
        parts = urlsplit(url)
        call = Call(method, parts.path, dict(parse_qsl(parts.query)), json.loads(body) if body else None, headers)
        answer = self._fault(call) or self._answer(call)
        self.calls.append(Call(**{**vars(call), "status": answer.status if isinstance(answer, Answer) else -1}))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _fault(self, call: Call) -> Answer | Exception | None:
        for matches, answers in self._faults:
            if answers and matches(call):
                return answers.pop(0)
        return None

    def _answer(self, call: Call) -> Answer:
        if call.path == "/version":
            return Answer(200, {"gitVersion": "v1.35.4"})
        if call.path in ("/api", "/apis"):
            return self._discover_all(call.path == "/api")
        if _is_discovery(call.path):
            return self._discover(_version(call.path))
        ref = self._ref(call.path)
        if ref is None:
            return Answer(404, b"404 page not found")
        if call.method == "GET":
            shown = self._get(ref) if ref.name else self._list(ref, call.query)
            return _scale(shown) if call.path.endswith("/scale") and shown.status == 200 else shown
        if call.method == "POST":
            return self._create(ref, call)
        if call.headers.get("Content-Type") == "application/json-patch+json":
            return self._json_patch(ref, call)
        if call.headers.get("Content-Type") == "application/merge-patch+json":
            return self._merge(ref, call)
        return self._delete(ref, call) if call.method == "DELETE" else self._apply(ref, call)

    def _discover(self, version: str) -> Answer:
        if version not in self.kinds:
            return Answer(404, b"404 page not found")
        found = [{"kind": kind, "name": name, "namespaced": own} for kind, (name, own) in self.kinds[version].items()]
        scales = [{**entry, "kind": "Scale", "name": f"{entry['name']}/scale"} for entry in found]
        return Answer(200, {"resources": [*found, *scales]})

    def _discover_all(self, core: bool) -> Answer:
        groups: dict[str, dict[str, Any]] = {}
        for version, kinds in self.kinds.items():
            group, number = version.rpartition("/")[::2]
            resources = [
                {
                    "resource": name,
                    "responseKind": {"group": group, "version": number, "kind": kind},
                    "scope": "Namespaced" if own else "Cluster",
                    "verbs": ["delete", "get", "list"],
                }
                for kind, (name, own) in kinds.items()
            ]
            if core is not bool(group):
                entry = {"metadata": {"name": group} if group else {}, "versions": []}
                groups.setdefault(group, entry)["versions"].append({"version": number, "resources": resources})
        return Answer(200, {"kind": "APIGroupDiscoveryList", "items": list(groups.values())})

    def _ref(self, path: str) -> Ref | None:
        version, rest = _version(path), _rest(path)
        namespace = rest[1] if len(rest) > 2 and rest[0] == "namespaces" else ""
        plural, *name = rest[2:] if namespace else rest
        for kind, known in self.kinds.get(version, {}).items():
            if known[0] == plural:
                return Ref(version, kind, namespace, name[0] if name else "")
        return None

    def _get(self, ref: Ref) -> Answer:
        found = self.objects.get(ref)
        return Answer(200, found.shown()) if found else status(404, f"{ref} not found")

    def _list(self, ref: Ref, query: dict[str, str]) -> Answer:
        found = [
            owned.shown()
            for key, owned in self.objects.items()
            if (key.api_version, key.kind) == (ref.api_version, ref.kind) and ref.namespace in ("", key.namespace)
        ]
        labels = _selector(query.get("labelSelector"))
        fields = _selector(query.get("fieldSelector"))
        nodes, reason = fields.get("spec.nodeName"), fields.get("reason")
        chosen = [
            {key: entry for key, entry in obj.items() if key not in ("apiVersion", "kind")}
            for obj in found
            if labels.items() <= obj["metadata"].get("labels", {}).items()
            and (nodes is None or obj["spec"].get("nodeName") == nodes)
            and (reason is None or obj.get("reason") == reason)
        ]
        return Answer(200, {"items": chosen or None})

    def _apply(self, ref: Ref, call: Call) -> Answer:
        if ref.namespace and Ref("v1", "Namespace", "", ref.namespace) not in self.objects:
            return status(404, f'namespaces "{ref.namespace}" not found')
        body = dict(call.body or {})
        bare = {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": body["metadata"]}
        before = self.objects.get(ref, Owned(bare))
        try:
            after = before.apply(call.query["fieldManager"], body, call.query["force"] == "true")
        except Conflict as conflict:
            message = f"Apply failed with {len(conflict.causes)} conflicts"
            return status(409, message, causes=conflict.causes)
        if after.obj != before.obj or ref not in self.objects:
            after.obj["metadata"]["resourceVersion"] = str(next(self._versions))
        if "dryRun" not in call.query:
            self.objects[ref] = after
        return Answer(200 if ref in self.objects else 201, after.shown())

    def _create(self, ref: Ref, call: Call) -> Answer:
        ref = replace(ref, name=call.body["metadata"]["name"])
        if ref in self.objects:
            return status(409, f"{ref} already exists")
        self.add(call.body, call.query["fieldManager"])
        return Answer(201, self.objects[ref].shown())

    def _merge(self, ref: Ref, call: Call) -> Answer:
        """A merge patch (RFC 7386) of an object in the version that it names."""
        owned = self.objects[ref]
        patch = copy.deepcopy(call.body)
        if patch["metadata"].pop("resourceVersion", None) != owned.obj["metadata"].get("resourceVersion"):
            return status(409, "the object has been modified; please apply your changes to the latest version")
        for path in [path for path in leaves(patch) if value(patch, path) is None]:
            owned = owned.without(path)
            remove(patch, path)
        owned = owned.update(call.query["fieldManager"], patch)
        owned.obj["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[ref] = owned
        return Answer(200, owned.shown())

    def _json_patch(self, ref: Ref, call: Call) -> Answer:
        """Tests and removals alone (RFC 6902)."""
        owned = self.objects[ref]
        for step in call.body or ():
            path = tuple(part.replace("~1", "/").replace("~0", "~") for part in step["path"][1:].split("/"))
            if value(owned.obj, path) is None or value(owned.obj, path) != step.get("value", value(owned.obj, path)):
                return status(422, "the server rejected our request due to an error in our request")
            owned = owned.without(path) if step["op"] == "remove" else owned
        self.objects[ref] = owned
        return Answer(200, owned.shown())

    def _delete(self, ref: Ref, call: Call) -> Answer:
        if ref not in self.objects:
            return status(404, f"{ref} not found")
        metadata = self.objects[ref].obj["metadata"]
        if "dryRun" not in call.query:
            if metadata.get("finalizers"):
                metadata.setdefault("deletionTimestamp", "2026-11-01T00:00:00Z")
            else:
                del self.objects[ref]
            self.on_delete(ref)
        return Answer(200, {"kind": "Status", "status": "Success"})


def _scale(shown: Answer) -> Answer:
    """autoscaling/v1 Scale of a workload."""
    labels = shown.body["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    spec, count = {"replicas": shown.body["spec"]["replicas"]}, shown.body["status"]["replicas"]
    return Answer(200, {"kind": "Scale", "spec": spec, "status": {"replicas": count, "selector": selector}})


def _parts(path: str) -> list[str]:
    return path.strip("/").split("/")


def _version(path: str) -> str:
    parts = _parts(path)
    return parts[1] if parts[0] == "api" else "/".join(parts[1:3])


def _rest(path: str) -> list[str]:
    parts = _parts(path)
    return parts[2 if parts[0] == "api" else 3 :]


def _is_discovery(path: str) -> bool:
    return not _rest(path)


def _name(path: str) -> str:
    rest = _rest(path)
    return "".join((rest[2:] if rest[0] == "namespaces" and len(rest) > 2 else rest)[1:])


def _selector(text: str | None) -> dict[str, str]:
    return dict(part.split("=", 1) for part in (text or "").split(",") if part)
