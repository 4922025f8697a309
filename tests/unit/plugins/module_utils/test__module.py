# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module ends in one way: its result, or one line and the findings as data."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.gpufleet.llm.plugins.module_utils import _cluster, _module
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ApplyError, GpufleetError, InvalidInput
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding, Severity

CLUSTER = {"name": "east", "provider": "none"}
WARNING = Finding("orphan", Severity.WARNING, "is no longer declared", "Pod a", fix="Declare it.")
ERROR = Finding("conflict", Severity.ERROR, "somebody owns it", "Pod a", "spec.x")

pytestmark = pytest.mark.skipif(_cluster.IMPORT_ERROR is not None, reason="needs kubernetes and kubernetes.core")


def outcome(body: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str], **params: Any) -> dict[str, Any]:
    """What a module with this body prints."""
    with patch_module_args({"cluster": CLUSTER, **params}), pytest.raises(SystemExit):
        _module.run(_module.FLEET_OPTIONS, body)
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_a_result_is_the_body_s(capsys: pytest.CaptureFixture[str]) -> None:
    result = outcome(lambda module: {"changed": True, "findings": _module.report(module, [WARNING])}, capsys)
    assert result["changed"] and result["findings"] == [WARNING.to_dict()]


def test_warnings_and_only_they_are_shown() -> None:
    # Where Ansible's controller code is loaded too, warnings do not appear in the result of a module.
    module = Mock(spec=AnsibleModule)
    findings = [WARNING, ERROR, Finding("orphan", Severity.INFO, "x")]
    assert _module.report(module, findings) == [finding.to_dict() for finding in findings]
    module.warn.assert_called_once_with("Pod a: is no longer declared. Declare it. [orphan]")


@pytest.mark.parametrize("error", [InvalidInput, ApplyError])
def test_an_error_is_a_line_a_verdict_and_its_findings(
    error: type[GpufleetError], capsys: pytest.CaptureFixture[str]
) -> None:
    def body(module: Any) -> dict[str, Any]:
        raise error([ERROR, WARNING])

    result = outcome(body, capsys)
    assert result["failed"] and result["verdict"] == "broken"
    assert result["msg"] == "Pod a spec.x: somebody owns it. (1 more in findings)"
    assert result["findings"] == [ERROR.to_dict(), WARNING.to_dict()]
    assert "exception" not in result


def test_absent_variables_are_absent(capsys: pytest.CaptureFixture[str]) -> None:
    result = outcome(lambda module: {"pools": len(_module.fleet_of(module).pools)}, capsys, pools=None)
    assert result["pools"] == 0


@pytest.mark.parametrize("cluster", ["text", [], 5, {"name": "east"}], ids=repr)
def test_types_are_left_to_the_fleet_which_says_all_that_is_wrong(
    cluster: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    result = outcome(lambda module: {"fleet": str(_module.fleet_of(module))}, capsys, cluster=cluster, pools={"a": 1})
    assert result["failed"] and {finding["field"] for finding in result["findings"]} >= {"gpufleet_pools"}
    assert len(result["findings"]) == 2


def test_a_missing_library_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cluster, "IMPORT_ERROR", "Traceback")
    result = outcome(lambda module: {}, capsys)
    assert result["failed"] and "kubernetes.core >= 6.4.0" in result["msg"] and "\n" not in result["msg"]


def test_the_login_of_the_fleet_is_used(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cluster, "connect", dict)
    auth = {"kubeconfig": "/k", "context": "c"}
    result = outcome(
        lambda module: {"login": _module.connect(_module.fleet_of(module))}, capsys, cluster={**CLUSTER, "auth": auth}
    )
    assert result["login"] == auth
