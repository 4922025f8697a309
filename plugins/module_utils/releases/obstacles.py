# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""May a release be installed or changed here? One component of a kind in a cluster, and one Helm at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Optional

from ..findings import Finding, Severity
from ..quantity import format_duration
from ..readiness.state import age_s, for_long, title
from .charts import Install, Release

#: Written by Helm 3 and 4 on everything that a release installs; without them it takes nothing over
#: (pkg/action/validate.go).
_NAME, _NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
#: Statuses of a newest record with which Helm changes nothing (prepareUpgrade in pkg/action/upgrade.go of Helm 3 and 4:
#: this is its lock). Nothing ends them when Helm was killed.
_AT_WORK = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")


def release_of(obj: Mapping[str, Any]) -> Optional[Release]:
    """The release that an object belongs to, or None where Helm has not made it."""
    notes = obj["metadata"].get("annotations") or {}
    return Release(notes[_NAME], notes.get(_NAMESPACE, "")) if _NAME in notes else None


def foreign_findings(install: Install, operators: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """One finding a Deployment of the same component that is not of our release."""
    return [_operator(obj, install) for obj in operators if release_of(obj) != install.release]


def policy_findings(
    own: Release, operators: Iterable[Mapping[str, Any]], policies: Iterable[Mapping[str, Any]]
) -> list[Finding]:
    """One finding a ClusterPolicy that is not of our release.

    One that came with an operator which is named already is not named again.
    """
    named = {release_of(obj) for obj in operators} - {None, own}
    return [_policy(obj, own) for obj in policies if release_of(obj) not in (own, *named)]


def definition_findings(install: Install, definitions: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """One finding a CustomResourceDefinition that Helm would not take over."""
    return [_definition(obj, install) for obj in definitions if release_of(obj) != install.release]


def _operator(obj: Mapping[str, Any], install: Install) -> Finding:
    release, role = release_of(obj), install.chart.role
    origin = f"belongs to {release}" if release else "was not installed by Helm"
    message = f"is a {install.chart.product} that {origin}, and a second one would work against it"
    switch = "enabled" if role == "gpu_operator" else "install"
    fix = f"Leave gpufleet_{role}_{switch} out to keep it as it is, or uninstall it first."
    return Finding("foreign-release", Severity.ERROR, message, title(obj), fix=fix)


def _policy(obj: Mapping[str, Any], own: Release) -> Finding:
    message = f"is not of {own}, and the GPU Operator takes only one ClusterPolicy"
    return Finding("second-cluster-policy", Severity.ERROR, message, title(obj), fix="Delete it.")


def _definition(obj: Mapping[str, Any], install: Install) -> Finding:
    without = "keda_values.crds.install" if install.component == "keda" else "karpenter_install_crds"
    marks = f"label app.kubernetes.io/managed-by=Helm and annotations {_NAME} and {_NAMESPACE}"
    message = f"is not of {install.release}, so that Helm does not take it over"
    fix = f"Set {without} to false to keep it as it is, or hand it over with {marks}."
    return Finding("foreign-release", Severity.ERROR, message, title(obj), fix=fix)


def locked_by(records: Iterable[Mapping[str, Any]]) -> Optional[Mapping[str, Any]]:
    """The newest record (a Secret, labelled by Helm) of a release, where it keeps Helm from changing the release."""
    newest = max(records, key=lambda obj: int(_labels(obj).get("version", 0)), default=None)
    return newest if newest and _labels(newest).get("status") in _AT_WORK else None


def lock_finding(record: Mapping[str, Any], timeout_s: int, now: datetime) -> Finding:
    """Whether a record that locks a release may be dropped: its Helm is dead (warning), or may be alive (error).

    Helm writes the record when it starts, and waits for at most ``timeout_s`` seconds. Without the record the one
    before it counts, which Helm leaves as it was until the end; and what the dead Helm has made carries the marks of
    the release, so that the next one takes it over.
    """
    since, status = str(record["metadata"].get("creationTimestamp") or ""), _labels(record)["status"]
    says, left = f"says {status}{for_long(since, now)}", timeout_s - age_s(since, now)
    if left <= 0:
        message = f"{says}, longer than a Helm of this role takes: it was killed"
        return Finding("release-pending", Severity.WARNING, message, title(record), fix="The run drops this record.")
    message = f"{says}: another Helm is at work on the release, or was killed"
    fix = f"Wait for it. After {format_duration(left)} it is given up, and a run drops the record."
    return Finding("release-pending", Severity.ERROR, message, title(record), fix=fix)


def binary_finding(install: Install) -> Finding:
    """The controller has no Helm."""
    where = install.helm_binary or "helm"
    message = f"{where} is no program on the controller"
    fix = "Install Helm 3 or 4 there, or correct the path."
    return Finding("helm-missing", Severity.ERROR, message, field=f"{install.chart.role}_helm_binary", fix=fix)


def _labels(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}
