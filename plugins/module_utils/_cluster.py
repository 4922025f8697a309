# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to Kubernetes: one client that speaks plain dictionaries, with timeouts and bounded retries.

Login is kubernetes.core's (options, K8S_AUTH_* variables, kubeconfig, in-cluster). Its dynamic client is not used: it
walks the whole API at each start, caches the result in a predictable file in the shared temporary directory, and waits
for a silent server without end.
"""

from __future__ import annotations

import json
import ssl
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Optional, TypeVar, Union
from urllib.parse import urlencode

from ._answers import ahead_s, decode, retry_after
from .errors import ClusterError
from .findings import Finding, Severity
from .objects.meta import Ref

IMPORT_ERROR: Optional[str] = None
try:
    import kubernetes
    import urllib3
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import (
        _create_auth_spec,
        _create_configuration,
        _create_headers,
    )
except ImportError:
    IMPORT_ERROR = traceback.format_exc()

_T = TypeVar("_T")
_R = TypeVar("_R")

#: Seconds for a connection to come about: a wrong address should not cost minutes.
_CONNECT_S = 5
#: Calls in flight at once; also the size of the connection pool.
_PARALLEL = 8
_TIMEOUT_S = 30.0
#: How long a call is tried again. An API server that is replaced is away for about half a minute.
_PATIENCE_S = 45.0
#: The same after an internal error: a webhook or a leader of etcd that restarts is back at once, or stays away.
_FAULT_PATIENCE_S = 2.0
#: For so long after it was away a server may refuse what it allows: its cache of roles fills after it has begun to
#: answer (seen for 0.6 s with kube-apiserver v1.35.4).
_SETTLING_S = 10.0
_BACKOFF_S = 0.5
_BACKOFF_MAX_S = 4.0
#: Answers that say "later": throttling, and servers that restart.
_LATER = (429, 502, 503, 504)

_FIXES = {
    403: "Grant the verb to the user of the run.",
    429: "Run again later, or give the user of the run a FlowSchema with a priority level of its own.",
}

APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_MERGE = "application/merge-patch+json"
#: All groups at once (GA since Kubernetes 1.30), and objects without their content; from servers behind the API server
#: that know no such form, whole ones.
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True)
class Reply:
    """What the API server answered; ``body`` is an object, a list or a Status.

    ``retry_after_s`` is how long it asks to be left alone, within reason.
    """

    status: int
    body: Mapping[str, Any]
    retry_after_s: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the call did what it was asked to do."""
        return 200 <= self.status < 300

    @property
    def message(self) -> str:
        """The server's own words, on one line."""
        return " ".join(str(self.body.get("message") or f"HTTP {self.status}").split())


@dataclass(frozen=True)
class Resource:
    """How one kind is addressed."""

    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()


@dataclass
class Cluster:
    """A logged-in client. Every method raises ClusterError when the server cannot be reached or refuses the login.

    ``timeout_s`` bounds one try of a call. No further try starts more than ``patience_s`` after the first. ``ahead_s``
    is by how much the server's clock was ahead of ours when it last answered; it tells whole seconds.
    """

    http: Any
    configuration: Any
    headers: Mapping[str, str]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    timeout_s: float = _TIMEOUT_S
    patience_s: float = _PATIENCE_S
    _resources: dict[str, Optional[dict[str, Resource]]] = field(default_factory=dict)
    ahead_s: float = 0.0
    _away_at: float = float("-inf")

    @property
    def url(self) -> str:
        """Address of the API server."""
        return str(self.configuration.host)

    def request(
        self,
        method: str,
        path: str,
        query: Optional[Mapping[str, str]] = None,
        body: Union[Mapping[str, Any], Sequence[Any], None] = None,
        content_type: str = "application/json",
    ) -> Reply:
        """One call, repeated where that can help: none of ours does more when it is made twice."""
        url = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        start, backoff = self.clock(), _BACKOFF_S
        while True:
            outcome = self._try(method, url, data, content_type)
            pause = max(backoff, outcome.retry_after_s) if isinstance(outcome, Reply) else backoff
            if self.clock() - start + pause > self._patience(outcome):
                break
            self.sleep(pause)
            backoff = min(2 * backoff, _BACKOFF_MAX_S)
        if isinstance(outcome, Reply):
            return outcome
        raise self._unreachable(str(getattr(outcome, "reason", None) or outcome)) from outcome

    def _try(self, method: str, url: str, data: Optional[bytes], content_type: str) -> Union[Reply, Exception]:
        """The answer, or why there is none."""
        try:
            answer = self._send(method, url, data, content_type)
        except urllib3.exceptions.HTTPError as error:
            return error
        self.ahead_s = ahead_s(answer.headers)
        body = decode(answer.data)
        words = {"message": answer.data[:300].decode(errors="replace")}
        reply = Reply(answer.status, words if body is None else body, retry_after(answer.headers))
        if reply.status == 401:
            raise self._refused()
        if reply.ok and body is None:
            return urllib3.exceptions.ProtocolError(f"{reply.status} with something that is not a whole JSON object")
        return reply

    def _patience(self, outcome: Union[Reply, Exception]) -> float:
        """For how many seconds to try again; negative where that cannot help."""
        if not isinstance(outcome, Reply):
            self._away_at = self.clock()
            return self.patience_s if _may_pass(outcome) else -1.0
        if outcome.status == 500:
            return min(_FAULT_PATIENCE_S, self.patience_s)
        if outcome.status == 403 and "cannot get path" in outcome.message:
            # Everybody may discover (system:discovery): it is a server that has not read its roles yet.
            return min(_SETTLING_S, self.patience_s)
        settling = outcome.status == 403 and self.clock() - self._away_at < _SETTLING_S
        return self.patience_s if settling or outcome.status in _LATER else -1.0

    def _send(self, method: str, url: str, data: Optional[bytes], content_type: str) -> Any:
        headers = {"Accept": "application/json", "User-Agent": "gpufleet.llm", **self.headers}
        for setting in self.configuration.auth_settings().values():
            headers[setting["key"]] = setting["value"]
        if data is not None:
            headers["Content-Type"] = content_type
        timeout = urllib3.Timeout(connect=min(_CONNECT_S, self.timeout_s), read=self.timeout_s)
        return self.http.request(method, url, body=data, headers=headers, timeout=timeout, retries=False)

    def _unreachable(self, reason: str) -> ClusterError:
        reason = reason.split(": ", 1)[-1] if "object at 0x" in reason else reason
        fix = "Check gpufleet_cluster.auth (or K8S_AUTH_*), the network and the API server, then run again."
        message = f"{self.url} cannot be reached: {reason}"
        return ClusterError([Finding("unreachable", Severity.ERROR, message, object="API server", fix=fix)])

    def _refused(self) -> ClusterError:
        fix = "Log in anew: the token or certificate is missing, wrong or expired."
        message = f"{self.url} refuses the credentials (401 Unauthorized)"
        return ClusterError([Finding("unauthorized", Severity.ERROR, message, object="API server", fix=fix)])

    def resources(self, api_version: str) -> Optional[dict[str, Resource]]:
        """Kinds of one API version, or None where the cluster does not serve it. Asked once a client."""
        if api_version not in self._resources:
            reply = self.request("GET", f"{_root(api_version)}")
            if not reply.ok and reply.status != 404:
                raise self.failed(f"API {api_version}", reply)
            listed = reply.body.get("resources", []) if reply.ok else None
            self._resources[api_version] = None if listed is None else _by_kind(listed)
        return self._resources[api_version]

    def discover(self) -> dict[tuple[str, str], Resource]:
        """Every kind that the cluster serves, by API version (the most preferred of those that have it) and kind."""
        asking, found = self._accepting(_DISCOVERY), {}
        for root in ("/api", "/apis"):
            reply = asking.request("GET", root)
            if not reply.ok:
                raise self.failed("API discovery", reply)
            for group in reply.body.get("items") or []:
                name = group["metadata"].get("name")
                known: set[str] = set()
                for version in group["versions"]:
                    api_version = f"{name}/{version['version']}" if name else version["version"]
                    kinds = _by_discovered_kind(version.get("resources") or [])
                    self._resources[api_version] = kinds
                    found.update({(api_version, kind): kinds[kind] for kind in kinds.keys() - known})
                    known |= kinds.keys()
        return found

    def metadata_only(self) -> Cluster:
        """This client, which reads no more of listed objects than their metadata."""
        return self._accepting(_METADATA)

    def _accepting(self, form: str) -> Cluster:
        return replace(self, headers={**self.headers, "Accept": form})

    def serves(self, api_version: str, kind: str) -> bool:
        """Whether the cluster knows a kind."""
        return kind in (self.resources(api_version) or {})

    def path(self, ref: Ref) -> str:
        """URL path of an object, or of its collection where the name is empty. Raises ClusterError: kind not served."""
        resource = (self.resources(ref.api_version) or {}).get(ref.kind)
        if resource is None:
            message = f"the cluster does not serve {ref.api_version}"
            fix = "Install the component that brings this API, or correct the provider."
            raise ClusterError([Finding("missing-api", Severity.ERROR, message, object=ref.kind, fix=fix)])
        namespace = f"/namespaces/{ref.namespace}" if resource.namespaced and ref.namespace else ""
        return f"{_root(ref.api_version)}{namespace}/{resource.plural}" + (f"/{ref.name}" if ref.name else "")

    def get(self, ref: Ref) -> Optional[dict[str, Any]]:
        """The object, or None where it, its namespace or its kind does not exist."""
        if not self.serves(ref.api_version, ref.kind):
            return None
        reply = self.request("GET", self.path(ref))
        if reply.ok:
            return dict(reply.body)
        if reply.status == 404:
            return None
        raise self.failed(str(ref), reply)

    def list_objects(
        self, api_version: str, kind: str, namespace: str = "", labels: str = "", fields: str = ""
    ) -> list[dict[str, Any]]:
        """Objects of a kind, in one namespace or in all; empty where the kind is not served."""
        if not self.serves(api_version, kind):
            return []
        selectors = {"labelSelector": labels, "fieldSelector": fields}
        query = {key: value for key, value in selectors.items() if value}
        reply = self.request("GET", self.path(Ref(api_version, kind, namespace, "")), query)
        if reply.status == 404:
            return []
        if not reply.ok:
            raise self.failed(f"{kind} list", reply)
        return [{**item, "apiVersion": api_version, "kind": kind} for item in reply.body.get("items") or []]

    def apply(self, ref: Ref, obj: Mapping[str, Any], manager: str, dry_run: bool, force: bool = False) -> Reply:
        """Server-side apply. 409 names the fields that others own."""
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        return self.request("PATCH", self.path(ref), {**query, **_dry(dry_run)}, obj, APPLY)

    def patch(self, ref: Ref, patch: Mapping[str, Any], dry_run: bool, manager: str = "") -> Reply:
        """Merge a patch into an object that is not ours to apply. The client's own name is the default manager."""
        query = {"fieldManager": manager} if manager else {}
        return self.request("PATCH", self.path(ref), {**query, **_dry(dry_run)}, patch, _MERGE)

    def remove_annotation(self, ref: Ref, name: str, text: str, manager: str) -> Reply:
        """Remove an annotation whoever owns it, unless it holds something else than ``text`` by now."""
        path = f"/metadata/annotations/{name.replace('~', '~0').replace('/', '~1')}"
        steps = [{"op": "test", "path": path, "value": text}, {"op": "remove", "path": path}]
        return self.request("PATCH", self.path(ref), {"fieldManager": manager}, steps, _JSON_PATCH)

    def delete(self, ref: Ref, dry_run: bool, dependents_first: bool = False) -> Reply:
        """Delete an object. What it owns follows in the background, or goes first, and the object stays until then."""
        policy = "Foreground" if dependents_first else "Background"
        return self.request("DELETE", self.path(ref), {"propagationPolicy": policy, **_dry(dry_run)})

    def identity_findings(self, declared: Optional[str]) -> list[Finding]:
        """Whether this is the declared cluster. Its identity is the uid of kube-system, not its address or name."""
        where = "gpufleet_cluster.uid"
        try:
            system = self.get(Ref("v1", "Namespace", "", "kube-system")) or {}
        except ClusterError as error:
            return error.when_denied(Severity.ERROR)
        live = str(system.get("metadata", {}).get("uid", ""))
        if declared is None:
            message = "is not set, so that a wrong kubeconfig goes unnoticed"
            fix = f"Add this line to gpufleet_cluster: uid: {live}"
            return [Finding("cluster-uid-missing", Severity.WARNING, message, field=where, fix=fix)]
        if declared != live:
            message = f"is {declared}, but {self.url} is the cluster {live}"
            fix = "Correct gpufleet_cluster.auth, or the uid if the cluster was made anew."
            return [Finding("wrong-cluster", Severity.ERROR, message, field=where, fix=fix)]
        return []

    def in_parallel(self, function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
        """Results in the order of the items."""
        work = list(items)
        if len(work) < 2:
            return [function(item) for item in work]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(function, work))

    def failed(self, what: str, reply: Reply) -> ClusterError:
        """An answer that the caller has no use for."""
        kind = {400: "invalid-input", 403: "missing-permission"}.get(reply.status, "unreachable")
        fix = _FIXES.get(reply.status, "See the API server's log, then run again.")
        return ClusterError([Finding(kind, Severity.ERROR, reply.message, object=what, fix=fix)])


def connect(params: Mapping[str, Any], timeout_s: float = _TIMEOUT_S, patience_s: float = _PATIENCE_S) -> Cluster:
    """Log in with kubernetes.core's authentication options; those absent come from K8S_AUTH_* variables.

    Raises ClusterError for a kubeconfig that cannot be used.
    """
    options = {key: value for key, value in params.items() if value is not None}
    try:
        configuration = _create_configuration(_create_auth_spec(None, **options))
        configuration.connection_pool_maxsize = _PARALLEL
        client = kubernetes.client.ApiClient(configuration)
    except Exception as error:  # a kubeconfig fails in as many ways as YAML, base64 and TLS libraries can
        fix = "Set gpufleet_cluster.auth.kubeconfig and context, or K8S_AUTH_* variables."
        message = f"no usable login: {' '.join(str(error).split())}"
        raise ClusterError(
            [Finding("unauthorized", Severity.ERROR, message, object="gpufleet_cluster.auth", fix=fix)]
        ) from error
    headers = {key: ",".join(value) if isinstance(value, list) else value for key, value in _headers(options).items()}
    http = client.rest_client.pool_manager
    return Cluster(http, configuration, headers, timeout_s=timeout_s, patience_s=patience_s)


def _headers(options: Mapping[str, Any]) -> Mapping[str, Any]:
    return _create_headers(None, **options)  # type: ignore[no-any-return]  # kubernetes.core is not typed


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _by_kind(resources: Iterable[Mapping[str, Any]]) -> dict[str, Resource]:
    main = (entry for entry in resources if "/" not in entry["name"])
    return {entry["kind"]: Resource(entry["name"], bool(entry["namespaced"])) for entry in main}


def _by_discovered_kind(resources: Iterable[Mapping[str, Any]]) -> dict[str, Resource]:
    """k8s.io/api v0.35 apidiscovery/v2: APIResourceDiscovery."""
    return {
        entry["responseKind"]["kind"]: Resource(
            entry["resource"], entry["scope"] == "Namespaced", frozenset(entry.get("verbs") or ())
        )
        for entry in resources
        if (entry.get("responseKind") or {}).get("kind")
    }


def _may_pass(error: Exception) -> bool:
    """Whether trying again can help. Not a wrong host name or certificate."""
    if isinstance(error, urllib3.exceptions.SSLError):
        # The server went away while TLS was being set up.
        return bool(error.args) and isinstance(error.args[0], ssl.SSLEOFError)
    # urllib3 1.26 tells a host name that does not resolve only in words.
    unresolved = type(error).__name__ == "NameResolutionError" or "Name or service not known" in str(error)
    return not unresolved and not isinstance(error, urllib3.exceptions.LocationValueError)
