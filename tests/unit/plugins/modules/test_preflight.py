# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module preflight as Ansible calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding, Severity
from ansible_collections.gpufleet.llm.plugins.modules import preflight
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import VALID

WARNING = Finding("cluster-uid-missing", Severity.WARNING, "is not set", field="gpufleet_cluster.uid", fix="Add it.")
ERROR = Finding(
    "missing-api", Severity.ERROR, "the cluster does not serve keda.sh/v1alpha1", "ScaledObject", fix="Install it."
)


CHART = {"chart_ref": "gpu-operator", "timeout": "20m"}


class Checks:
    """In the place of the engine."""

    findings: list[Finding] = []

    def __init__(self, cluster: Any, fleet: Any, components: list[str], installs: list[Any], query: Any) -> None:
        self.versions, self.calls_checked = {"KEDA": "2.20.2"}, len(components)
        self.adopted = {install.component: "nobody" for install in installs}

    def run(self) -> list[Finding]:
        return self.findings


def result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *findings: Finding, **args: Any
) -> dict[str, Any]:
    """What the module prints when the engine finds this, and what it warns of."""
    warned: list[str] = []

    def login(fleet: Any, patience_s: float) -> None:
        assert patience_s < 10, "a wrong address is told soon"

    monkeypatch.setattr(AnsibleModule, "warn", lambda module, text: warned.append(text))
    monkeypatch.setattr(preflight, "login", login)
    monkeypatch.setattr(preflight, "Preflight", type("Found", (Checks,), {"findings": list(findings)}))
    with patch_module_args({**VALID, **args}), pytest.raises(SystemExit):
        preflight.main()
    return {**json.loads(capsys.readouterr().out), "warned": warned}


def test_warnings_are_shown_and_stop_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = result(monkeypatch, capsys, WARNING)
    assert (found["changed"], found["verdict"], found["versions"], found["calls_checked"]) == (
        False,
        "ready",
        {"KEDA": "2.20.2"},
        4,
    )
    assert found["msg"] == "1 findings, no error among them"
    assert "gpufleet_cluster.uid: is not set. Add it. [cluster-uid-missing]" in found["warned"][0]


def test_one_error_fails_with_all_findings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = result(monkeypatch, capsys, ERROR, WARNING)
    assert (found["failed"], found["verdict"]) == (True, "broken")
    assert found["msg"] == "ScaledObject: the cluster does not serve keda.sh/v1alpha1. Install it. (1 more in findings)"
    assert [finding["id"] for finding in found["findings"]] == ["missing-api", "cluster-uid-missing"]


def test_components_are_checked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert result(monkeypatch, capsys, components=["vllm"])["calls_checked"] == 1
    assert result(monkeypatch, capsys, components=["helm"])["failed"]


def test_charts_are_checked_where_they_are_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keda = {"component": "keda", "chart_ref": "keda"}
    found = result(monkeypatch, capsys, installs=[{**keda, "enabled": False}, {"component": "gpu_operator", **CHART}])
    assert found["msg"] == "0 findings, no error among them; used as they are: gpu_operator (nobody)"
    refused = result(monkeypatch, capsys, installs=[{"component": "karpenter"}])
    assert refused["msg"].startswith("karpenter_chart_ref: is empty")
