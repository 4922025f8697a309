# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions outside the tested ones are warnings, unknown ones are told, none of them stops a run."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.checks.versions import (
    declared_findings,
    version_findings,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Severity


@pytest.mark.parametrize(
    ("name", "version", "findings"),
    [
        pytest.param("Kubernetes", "v1.33.0", [], id="first"),
        pytest.param("Kubernetes", "v1.35.4-eks-5e0fdde", [], id="last, with a suffix"),
        pytest.param("Kubernetes", "v1.38.0", ["unsupported-version"], id="above"),
        pytest.param("Kubernetes", "v1.4.0", ["unsupported-version"], id="numbers, not text"),
        pytest.param("KEDA", "2.20.2", [], id="KEDA"),
        pytest.param("KEDA", "2.21.0", [], id="next KEDA"),
        pytest.param("Karpenter", "1.15.0", [], id="next Karpenter"),
        pytest.param("KEDA", "2.19.0", ["unsupported-version"], id="older KEDA"),
        pytest.param("Karpenter", None, ["unknown-version"], id="says nothing"),
        pytest.param("Karpenter", "latest", ["unknown-version"], id="says nothing useful"),
        pytest.param("vLLM", "0.32.0", [], id="vLLM"),
        pytest.param("vLLM", "0.9.2", ["unsupported-version"], id="without the metrics"),
    ],
)
def test_version(name: str, version: str | None, findings: list[str]) -> None:
    assert [finding.id for finding in version_findings({name: version})] == findings


@pytest.mark.parametrize(
    ("keda", "tested"),
    [
        pytest.param("2.20.2", ["1.33", "1.34", "1.35"], id="current"),
        pytest.param("2.21.0", ["1.34", "1.35", "1.36", "1.37"], id="next"),
        pytest.param(None, ["1.33", "1.34", "1.35", "1.36", "1.37"], id="unknown"),
    ],
)
def test_the_versions_of_kubernetes_are_those_of_the_keda_that_runs(keda: str | None, tested: list[str]) -> None:
    def is_tested(version: str) -> bool:
        found = version_findings({"KEDA": keda, "Kubernetes": f"v{version}.1"})
        return not [finding for finding in found if finding.object == "Kubernetes"]

    assert [version for version in (f"1.{minor}" for minor in range(30, 40)) if is_tested(version)] == tested


def test_the_line_says_what_is_tested_and_why() -> None:
    (older,) = version_findings({"KEDA": "2.19.0"})
    (newer,) = version_findings({"KEDA": "2.20.2", "Kubernetes": "v1.36.0"})
    assert older.severity is newer.severity is Severity.WARNING
    assert older.line().startswith("KEDA: version 2.19.0 is outside 2.20 to 2.21, and ")
    assert (
        newer.line()
        == "Kubernetes: version v1.36.0 is outside 1.33 to 1.35, and KEDA 2.20 is not tested on it. Run 1.33 to 1.35."
    )


@pytest.mark.parametrize(
    ("key", "version", "line"),
    [
        pytest.param("keda", "2.20.2", "", id="tested"),
        pytest.param(
            "karpenter",
            "1.16.0",
            "gpufleet_versions.karpenter: is 1.16.0, outside 1.12 to 1.15, and older ones do not know a duration in "
            "karpenter.sh/do-not-disrupt. Declare 1.12 to 1.15.",
            id="newer",
        ),
        pytest.param("gpu_operator", "v25.10.1", "gpufleet_versions.gpu_operator: is v25.10.1, outside 26.7", id="v"),
    ],
)
def test_declared_versions_name_their_variable(key: str, version: str, line: str) -> None:
    found = declared_findings({key: version})
    assert [finding.severity for finding in found] == ([Severity.WARNING] if line else [])
    assert "".join(finding.line() for finding in found).startswith(line)
