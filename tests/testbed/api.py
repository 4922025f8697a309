# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Kubernetes REST client: JSON dicts in, JSON dicts out.

Shared by the tests, the bed and the stand-ins, so that none of them goes through the client library
that the collection itself uses: what they observe does not depend on the code under test.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
import yaml

Json = dict[str, Any]
Query = Mapping[str, str]

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_TIMEOUT_S = 30.0
_WATCH_TIMEOUT_S = 240
_RECONNECT_S = 0.5


class ApiError(Exception):
    """A request that the API server answered with a status of 400 or more.

    ``status`` is the HTTP code, ``reason`` and ``message`` those of the answered ``Status`` object
    (``reason`` is for instance ``NotFound``, ``AlreadyExists``, ``Conflict``).
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


def resource_path(api_version: str, plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Path of a resource, for instance ``/api/v1/namespaces/x/pods/y/status``; empty parts are left out."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    scope = f"/namespaces/{namespace}" if namespace else ""
    tail = "".join(f"/{part}" for part in (name, subresource) if part)
    return f"{root}{scope}/{plural}{tail}"


class Api:
    """One user's connection to one API server. Safe to share between threads."""

    def __init__(
        self, url: str, *, ca: str, client_cert: tuple[str, str] | None = None, token: str | None = None
    ) -> None:
        """``ca`` and the two of ``client_cert`` (certificate, key) are paths of PEM files."""
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = ca
        self._session.cert = client_cert
        self._session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=32))
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    @classmethod
    def from_kubeconfig(cls, path: str | Path, context: str | None = None) -> Api:
        """The user and cluster of ``context`` (default: the current one) of a kubeconfig that names PEM files.

        Raises LookupError when the context or what it names is absent.
        """
        config = yaml.safe_load(Path(path).read_text())
        chosen = _named(config, "contexts", context or config["current-context"])["context"]
        cluster = _named(config, "clusters", chosen["cluster"])["cluster"]
        user = _named(config, "users", chosen["user"])["user"]
        cert = (user["client-certificate"], user["client-key"]) if "client-certificate" in user else None
        return cls(cluster["server"], ca=cluster["certificate-authority"], client_cert=cert, token=user.get("token"))

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Query | None = None,
        content_type: str | None = None,
    ) -> Json:
        """Send one request and return the answered JSON object ({} for an empty answer).

        Raises ApiError for an answer of 400 or more, requests.RequestException when there is none.
        """
        headers = {"Content-Type": content_type or "application/json"} if body is not None else None
        data = None if body is None else json.dumps(body)
        answer = self._session.request(
            method, self.url + path, data=data, params=query, headers=headers, timeout=_TIMEOUT_S
        )
        _raise_for(answer)
        if not answer.content:
            return {}
        content: Json = answer.json()
        return content

    def text(self, path: str) -> str:
        """The body of a GET as text, for ``/readyz``, ``/metrics`` and pod logs."""
        answer = self._session.get(self.url + path, timeout=_TIMEOUT_S)
        _raise_for(answer)
        return answer.text

    def get(self, path: str) -> Json:
        return self.request("GET", path)

    def find(self, path: str) -> Json | None:
        """The object, or None when it (or its resource type) does not exist."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, path: str, query: Query | None = None) -> list[Json]:
        """The items of a list. As on the wire, they carry no apiVersion and kind for built-in types."""
        items: list[Json] = self.request("GET", path, query=query).get("items") or []
        return items

    def create(self, path: str, body: Json) -> Json:
        return self.request("POST", path, body)

    def replace(self, path: str, body: Json) -> Json:
        return self.request("PUT", path, body)

    def patch(self, path: str, body: Any, content_type: str = MERGE_PATCH, query: Query | None = None) -> Json:
        return self.request("PATCH", path, body, query, content_type)

    def apply(self, path: str, body: Json, manager: str) -> Json:
        """Server-side apply, taking fields over from other managers."""
        return self.patch(path, body, APPLY_PATCH, {"fieldManager": manager, "force": "true"})

    def delete(self, path: str, body: Json | None = None) -> bool:
        """Delete one object or a collection; False when it was not there."""
        try:
            self.request("DELETE", path, body)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def watch(self, path: str, query: Query | None = None) -> Iterator[tuple[str, Json]]:
        """Yield (ADDED | MODIFIED | DELETED, object) for ever: what exists first, then each change.

        Reconnects after a lost connection. After an expired resource version it lists again and yields the
        difference, objects that vanished meanwhile as DELETED in their last seen form.
        """
        known: dict[str, Json] = {}
        version = ""
        while True:
            try:
                if not version:
                    page = self.request("GET", path, query=query)
                    yield from _changes_since(known, page)
                    version = page["metadata"]["resourceVersion"]
                for kind, item in self._watch_once(path, {**(query or {}), "resourceVersion": version}):
                    version = item["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        _remember(known, kind, item)
                        yield kind, item
            except ApiError as error:
                if error.status != 410 and error.status < 500:
                    raise
                version = ""
                time.sleep(_RECONNECT_S)
            except requests.RequestException:
                time.sleep(_RECONNECT_S)

    def _watch_once(self, path: str, query: Query) -> Iterator[tuple[str, Json]]:
        options = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH_TIMEOUT_S)}
        with self._session.get(
            self.url + path, params={**query, **options}, stream=True, timeout=(_TIMEOUT_S, _WATCH_TIMEOUT_S + 10)
        ) as answer:
            _raise_for(answer)
            # None: hand out each chunk as it arrives (the API server sends one per event) instead of filling a buffer.
            for line in answer.iter_lines(chunk_size=None):
                event = json.loads(line)
                item = event["object"]
                if event["type"] == "ERROR":
                    raise ApiError(item.get("code", 500), item.get("reason", ""), item.get("message", ""))
                yield event["type"], item


def _named(config: Json, section: str, name: str) -> Json:
    for entry in config[section]:
        if entry["name"] == name:
            found: Json = entry
            return found
    raise LookupError(f"{section}: no entry named {name!r}")


def _raise_for(answer: requests.Response) -> None:
    if answer.status_code < 400:
        return
    try:
        status = answer.json()
        raise ApiError(answer.status_code, status.get("reason", ""), status.get("message", ""))
    except ValueError:
        raise ApiError(answer.status_code, answer.reason, answer.text.strip()) from None


def _key(item: Json) -> str:
    meta = item["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


def _remember(known: dict[str, Json], kind: str, item: Json) -> None:
    if kind == "DELETED":
        known.pop(_key(item), None)
    else:
        known[_key(item)] = item


def _changes_since(known: dict[str, Json], page: Json) -> Iterator[tuple[str, Json]]:
    listed = {_key(item): item for item in page.get("items") or []}
    for key in [key for key in known if key not in listed]:
        yield "DELETED", known.pop(key)
    for key, item in listed.items():
        before = known.get(key)
        known[key] = item
        if before is None:
            yield "ADDED", item
        elif before["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
            yield "MODIFIED", item
