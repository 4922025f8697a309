# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of the GPU Operator's Helm release in a cluster."""

from __future__ import annotations

from ._cluster import Cluster
from .checks.gpu_operator import COMPONENT, Release, foreign_findings, pending_findings
from .errors import ClusterError
from .findings import Finding, Severity
from .objects.gpu_operator import CLUSTER_POLICY


def obstacles(cluster: Cluster, own: Release) -> list[Finding]:
    """Everything that forbids to install or change the release, and what could not be read. Raises ClusterError."""
    operators = cluster.list_objects("apps/v1", "Deployment", labels=COMPONENT)
    policies = cluster.list_objects(CLUSTER_POLICY.api_version, CLUSTER_POLICY.kind)
    try:
        selector = f"owner=helm,name={own.name}"
        pending = pending_findings(cluster.list_objects("v1", "Secret", own.namespace, labels=selector))
    except ClusterError as error:
        pending = error.when_denied(Severity.WARNING)
    return [*foreign_findings(own, operators, policies), *pending]
