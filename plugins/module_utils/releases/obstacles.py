# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""May a release be installed here? There can be one component of a kind in a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from ..findings import Finding, Severity
from ..objects.meta import MANAGED_BY, label_of
from ..readiness.state import title
from .charts import Install, Release

#: Written by Helm 3 and 4 on everything that a release installs; without them it takes nothing over
#: (pkg/action/validate.go).
_NAME, _NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"


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
    return [
        _definition(obj, install)
        for obj in definitions
        if release_of(obj) != install.release or label_of(obj, MANAGED_BY) != "Helm"
    ]


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


def binary_finding(install: Install) -> Finding:
    """The controller has no Helm."""
    where = install.helm_binary or "helm"
    message = f"{where} is no program on the controller"
    fix = "Install Helm 3 or 4 there, or correct the path."
    return Finding("helm-missing", Severity.ERROR, message, field=f"{install.chart.role}_helm_binary", fix=fix)
