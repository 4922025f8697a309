# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of a Helm release: foreign components, and the lock of a Helm that was killed or hangs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Optional

from ._cluster import Cluster, Reply
from .errors import ClusterError, PreflightError
from .findings import Finding, Severity
from .objects.gpu_operator import CLUSTER_POLICY
from .objects.meta import label_of, ref_of
from .releases.charts import Install, Release
from .releases.obstacles import binary_finding, definition_findings, foreign_findings, policy_findings
from .releases.records import as_failed, lock_finding, locked_by, still_locked


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

        A lock that may be given up is a warning.
        """
        missing = [] if self.find(self.install.helm_binary or "helm") else [binary_finding(self.install)]
        return [*missing, *self._foreign(), *self._locks()]

    def unlock(self, check: bool) -> bool:
        """Give up the record of a Helm that was killed or hangs, if obstacles() found one; whether there was one.

        Raises PreflightError where the record cannot be read, or has changed since.
        """
        if self._lock is None:
            return False
        ref = ref_of(self._lock)
        try:
            reply = give_up(self.cluster, self._lock, self.now(), check)
        except ValueError as error:
            raise PreflightError([still_locked(ref, str(error))]) from error
        if not reply.ok:
            raise PreflightError([still_locked(ref, reply.message)])
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
        try:
            self._lock = lock_of(self.cluster, self.install.release)
        except ClusterError as error:
            return error.when_denied(Severity.WARNING)
        return [] if self._lock is None else [lock_finding(self._lock, self.install.timeout_s, self.now())]


def lock_of(cluster: Cluster, release: Release) -> Optional[Mapping[str, Any]]:
    """The record that keeps Helm from changing a release, if there is one. Raises ClusterError."""
    selector = f"owner=helm,name={release.name}"
    return locked_by(cluster.list_objects("v1", "Secret", release.namespace, labels=selector))


def give_up(cluster: Cluster, lock: Mapping[str, Any], now: datetime, check: bool) -> Reply:
    """Mark a record as that of a Helm that has failed. Raises ValueError where it cannot be read."""
    ref = ref_of(lock)
    reply = cluster.patch(ref, as_failed(lock, now), check)
    # Where the reply to the first of two equal calls was lost, the second one is refused: the record has changed.
    record = cluster.get(ref) if reply.status == 409 else None
    return Reply(200, record) if record and label_of(record, "status") == "failed" else reply
