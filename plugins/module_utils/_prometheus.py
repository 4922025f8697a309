# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to Prometheus: queries over its HTTP API (v1), each bounded in time and in the size of its answer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

from ansible.module_utils.urls import open_url

from .errors import ClusterError, QueryRefused
from .findings import Finding, Severity
from .fleet.types import Prometheus

_TIMEOUT_S = 10
#: A day of one series at 15 s is 0.2 MiB. More than this is a query that no autoscaler can use, or no Prometheus.
_MAX_BYTES = 32 * 2**20
_CHUNK = 2**16
#: Prometheus refuses a range with more points a series (web/api/v1/api.go, v3.13).
MAX_POINTS = 11_000
#: What Prometheus answers to a query that it cannot parse, or not execute (web/api/v1/api.go, v3.13).
_BAD_QUERY = (400, 422)


def instant_query(
    prometheus: Prometheus, query: str, timeout_s: float = _TIMEOUT_S
) -> list[tuple[Mapping[str, str], float]]:
    """(labels, value) of every series that a query returns now.

    Raises QueryRefused where whoever asks Prometheus this is refused, and ClusterError where it does not answer us.
    The controller's own URL is used, not the one at which KEDA reaches Prometheus inside the cluster.
    """
    return [(series["metric"], series["value"][1]) for series in _ask(prometheus, "query", {"query": query}, timeout_s)]


def range_query(
    prometheus: Prometheus, query: str, start: int, end: int, step: int
) -> list[tuple[Mapping[str, str], dict[int, float]]]:
    """(labels, value by time) of every series that a query returned at ``start`` and each ``step`` up to ``end``.

    Times are in seconds, and whole. Raises as instant_query does.
    """
    parameters = {"query": query, "start": str(start), "end": str(end), "step": str(step)}
    result = _ask(prometheus, "query_range", parameters)
    return [(series["metric"], {round(at): value for at, value in series["values"]}) for series in result]


def _ask(
    prometheus: Prometheus, call: str, parameters: Mapping[str, str], timeout_s: float = _TIMEOUT_S
) -> list[dict[str, Any]]:
    """The series of an answer, with numbers for texts."""
    base = (prometheus.url or prometheus.in_cluster_url).rstrip("/")
    variable = prometheus.credentials.environment if prometheus.credentials else None
    token = os.environ.get(variable, "") if variable else ""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{base}/api/v1/{call}?{urlencode(parameters)}"
    try:
        reply: Any = open_url(url, headers=headers, ca_path=prometheus.ca, timeout=timeout_s)
        data = json.loads(_read(reply, timeout_s))["data"]
        if data.get("resultType") in ("scalar", "string"):
            raise _refused(base, f"it returns a {data['resultType']}, which KEDA cannot read: wrap it in vector()")
        return [_numbered(series) for series in data["result"]]
    except HTTPError as error:
        raise _http_error(base, error) from error
    except (OSError, HTTPException, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _unreachable(base, _words(error)) from error


def _read(reply: Any, timeout_s: float) -> bytes:
    """The whole answer. Raises OSError where it is too long, or comes too slowly."""
    end, answer = time.monotonic() + timeout_s, bytearray()
    while part := reply.read1(_CHUNK):
        answer += part
        if len(answer) > _MAX_BYTES:
            raise OSError(f"the answer is larger than {_MAX_BYTES >> 20} MiB")
        if time.monotonic() > end:
            raise TimeoutError(f"the answer is not complete after {timeout_s:g} s")
    return bytes(answer)


def _numbered(series: Mapping[str, Any]) -> dict[str, Any]:
    if "values" in series:
        return {"metric": series["metric"], "values": [(float(at), float(value)) for at, value in series["values"]]}
    at, value = series["value"]
    return {"metric": series["metric"], "value": (float(at), float(value))}


def _http_error(base: str, error: HTTPError) -> ClusterError:
    """What an answer with an error status means."""
    if error.code in (401, 403):
        fix = "Name the variable that holds a valid token in gpufleet_cluster.prometheus.credentials.environment."
        return _unreachable(base, f"{error.code} {error.reason}", fix, "unauthorized")
    try:
        said = json.loads(error.read(_CHUNK))["error"]
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return _unreachable(base, f"{error.code} {error.reason}")
    if error.code in _BAD_QUERY:
        return _refused(base, str(said))
    return _unreachable(base, f"{error.code} {error.reason}: {' '.join(str(said).split())}")


def _words(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"what it sends is not JSON, but begins with {error.doc[:40]!r}"
    if isinstance(error, (OSError, HTTPException)):
        return " ".join(str(error).split())
    return "what it sends is not the answer of a Prometheus"


def _refused(base: str, said: str) -> QueryRefused:
    message = f"{base} refuses a query: {' '.join(said.split())}"
    return QueryRefused([Finding("metric-missing", Severity.ERROR, message, object="Prometheus", fix="Correct it.")])


def _unreachable(url: str, why: str, fix: str = "", finding_id: str = "unreachable") -> ClusterError:
    usual = "Check gpufleet_cluster.prometheus: url is where the controller reaches it, in_cluster_url where KEDA does."
    message = f"{url} does not answer a query: {why}"
    return ClusterError([Finding(finding_id, Severity.ERROR, message, object="Prometheus", fix=fix or usual)])
