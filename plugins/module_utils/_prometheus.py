# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to Prometheus: instant queries over its HTTP API (v1)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

from ansible.module_utils.urls import open_url

from .errors import ClusterError
from .findings import Finding, Severity
from .fleet.types import Prometheus

_TIMEOUT_S = 10


def instant_query(prometheus: Prometheus, query: str) -> list[tuple[Mapping[str, str], float]]:
    """(labels, value) of every series that a query returns now. Raises ClusterError: unreachable, or refused.

    The controller's own URL is used, not the one at which KEDA reaches Prometheus inside the cluster.
    """
    base = (prometheus.url or prometheus.in_cluster_url).rstrip("/")
    url = f"{base}/api/v1/query?{urlencode({'query': query})}"
    variable = prometheus.credentials.environment if prometheus.credentials else None
    token = os.environ.get(variable, "") if variable else ""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        reply: Any = open_url(url, headers=headers, ca_path=prometheus.ca, timeout=_TIMEOUT_S)
        result = json.loads(reply.read())["data"]["result"]
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        raise _unreachable(base, error) from error
    return [(series["metric"], float(series["value"][1])) for series in result]


def _unreachable(url: str, error: Exception) -> ClusterError:
    fix = "Check gpufleet_cluster.prometheus: url is where the controller reaches it, in_cluster_url where KEDA does."
    message = f"{url} does not answer a query: {' '.join(str(error).split())}"
    return ClusterError([Finding("unreachable", Severity.ERROR, message, object="Prometheus", fix=fix)])
