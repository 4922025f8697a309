# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of a Helm release: foreign components, and the lock of a Helm that was killed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Optional

from ._cluster import Cluster
from .errors import ClusterError, PreflightError
from .findings import Finding, Severity
from .objects.gpu_operator import CLUSTER_POLICY
from .objects.meta import ref_of
from .releases.charts import Install
from .releases.obstacles import (
    binary_finding,
    definition_findings,
    foreign_findings,
    lock_finding,
    locked_by,
    policy_findings,
)


@dataclass
class Helm:
    """One release in one cluster. ``find`` returns the path of a program of the controller, or None."""

    cluster: Cluster
    install: Install
    find: Callable[[str], Optional[str]] = shutil.which
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)

    def __post_init__(self) -> None:
        self._lock: Optional[Mapping[str, Any]] = None

    def obstacles(self) -> list[Finding]:
        """Everything that forbids to install or change the release, and what could not be read. Raises ClusterError.

        A lock that may be dropped is a warning.
        """
        missing = [] if self.find(self.install.helm_binary or "helm") else [binary_finding(self.install)]
        return [*missing, *self._foreign(), *self._locks()]

    def unlock(self, check: bool) -> bool:
        """Drop the record of a Helm that was killed, if obstacles() found one; whether there was one.

        Raises PreflightError where the record has changed since.
        """
        if self._lock is None:
            return False
        ref, version = ref_of(self._lock), self._lock["metadata"]["resourceVersion"]
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"resourceVersion": version}}
        query = {"dryRun": "All"} if check else {}
        reply = self.cluster.request("DELETE", self.cluster.path(ref), query, body)
        if not reply.ok and reply.status != 404:
            fix = "Another Helm works on the release: run again when it has ended."
            raise PreflightError([Finding("release-pending", Severity.ERROR, reply.message, str(ref), fix=fix)])
        return True

    def _foreign(self) -> list[Finding]:
        install, cluster = self.install, self.cluster
        marks = install.chart.marks
        operators = cluster.list_objects("apps/v1", "Deployment", labels=marks) if marks else []
        found = foreign_findings(install, operators)
        if install.component == "gpu_operator":
            policies = cluster.list_objects(CLUSTER_POLICY.api_version, CLUSTER_POLICY.kind)
            found += policy_findings(install.release, operators, policies)
        definitions = cluster.in_parallel(cluster.get, install.owned_definitions)
        return found + definition_findings(install, [obj for obj in definitions if obj])

    def _locks(self) -> list[Finding]:
        selector = f"owner=helm,name={self.install.release.name}"
        try:
            records = self.cluster.list_objects("v1", "Secret", self.install.namespace, labels=selector)
        except ClusterError as error:
            return error.when_denied(Severity.WARNING)
        self._lock = locked_by(records)
        return [] if self._lock is None else [lock_finding(self._lock, self.install.timeout_s, self.now())]
