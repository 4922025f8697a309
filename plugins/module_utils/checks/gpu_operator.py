# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""May the GPU Operator be installed here? There can be one in a cluster, with one ClusterPolicy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..findings import Finding, Severity
from ..readiness.state import title

#: Label of the operator's Deployment, whatever its release is called: templates/operator.yaml of NVIDIA/gpu-operator.
COMPONENT = "app.kubernetes.io/component=gpu-operator"
#: Written by Helm 3 and 4 on everything that a release installs (pkg/action/validate.go).
_NAME, _NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"


@dataclass(frozen=True)
class Release:
    """One Helm release."""

    name: str
    namespace: str

    def __str__(self) -> str:
        return f"Helm release {self.namespace}/{self.name}"


def release_of(obj: Mapping[str, Any]) -> Optional[Release]:
    """The release that an object belongs to, or None where Helm has not made it."""
    notes = obj["metadata"].get("annotations") or {}
    return Release(notes[_NAME], notes.get(_NAMESPACE, "")) if _NAME in notes else None


def foreign_findings(
    own: Release, operators: Iterable[Mapping[str, Any]], policies: Iterable[Mapping[str, Any]]
) -> list[Finding]:
    """One finding an operator (its Deployment) or ClusterPolicy that is not of our release.

    A ClusterPolicy that came with an operator which is named already is not named again.
    """
    others = [obj for obj in operators if release_of(obj) != own]
    named = {release_of(obj) for obj in others} - {None}
    stray = [obj for obj in policies if release_of(obj) not in (own, *named)]
    return [_operator(obj) for obj in others] + [_policy(obj, own) for obj in stray]


def _operator(obj: Mapping[str, Any]) -> Finding:
    release = release_of(obj)
    origin = f"belongs to {release}" if release else "was not installed by Helm"
    message = f"is a GPU Operator that {origin}, and a second one would work against it"
    fix = "Leave gpufleet_gpu_operator_enabled out to keep it as it is, or uninstall it first."
    return Finding("foreign-release", Severity.ERROR, message, title(obj), fix=fix)


def _policy(obj: Mapping[str, Any], own: Release) -> Finding:
    message = f"is not of {own}, and the GPU Operator takes only one ClusterPolicy"
    return Finding("second-cluster-policy", Severity.ERROR, message, title(obj), fix="Delete it.")


def pending_findings(records: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Whether the newest record (a Secret, labelled by Helm) of a release says that Helm is at work.

    Helm refuses to touch such a release, and nothing ends the state when Helm was killed.
    """
    newest = max(records, key=lambda obj: int(_labels(obj).get("version", 0)), default=None)
    if newest is None or not _labels(newest).get("status", "").startswith("pending-"):
        return []
    message = f"says {_labels(newest)['status']}: another Helm is at work on the release, or was killed"
    fix = "Wait for it; if none runs, delete this Secret."
    return [Finding("release-pending", Severity.ERROR, message, title(newest), fix=fix)]


def _labels(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}
