# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module remove as Ansible calls it: one step, as data."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.gpufleet.llm.plugins.modules import remove
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi, status
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.runs import SCALER, converged

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")


def result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], api: FakeApi, check: bool = False, **args: Any
) -> dict[str, Any]:
    """What the module prints."""
    monkeypatch.setattr(remove, "connect", lambda fleet, **limits: replace(api.cluster(), **limits))
    cluster = {"name": "east", "provider": "kwok"}
    options = {"cluster": cluster, "component": "keda", "timeout": "0s", "_ansible_check_mode": check, **args}
    with patch_module_args(options), pytest.raises(SystemExit):
        remove.main()
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def test_check_mode_predicts_with_a_diff(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    api = converged()
    found = result(monkeypatch, capsys, api, check=True)
    assert (found["changed"], found["done"], api.writes()) == (True, True, [])
    assert {entry["action"] for entry in found["objects"]} == {"delete"}
    assert [entry["before_header"] for entry in found["diff"]] == [
        "ScaledObject inference/llama-70b",
        "TriggerAuthentication inference/llama-70b",
    ]
    assert found["diff"][0]["after"] == {}


def test_a_held_object_is_the_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    api = converged()
    api.edit(SCALER, {"metadata": {"finalizers": ["finalizer.keda.sh"]}})
    found = result(monkeypatch, capsys, api)
    assert (found["changed"], found["done"], found["verdict"]) == (True, False, "waiting")
    assert found["msg"] == (
        "ScaledObject inference/llama-70b: is being deleted, and waits for finalizer finalizer.keda.sh, which is "
        "removed by the KEDA operator. See whether keda-operator runs and what its log says; where it is gone, "
        "install it again."
    )


def test_what_was_deleted_before_an_error_is_in_its_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = converged()
    api.edit(SCALER, {"metadata": {"annotations": {"autoscaling.keda.sh/paused": "true"}}})
    refused = status(403, "triggerauthentications is forbidden")
    api.fail(lambda call: "/triggerauthentications/" in call.path and "dryRun" not in call.query, refused)
    warned: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda module, text: warned.append(text))
    found = result(monkeypatch, capsys, api, timeout="5s")
    assert (found["failed"], found["changed"], found["verdict"]) == (True, True, "broken")
    assert [entry["kind"] for entry in found["objects"]] == ["ScaledObject"]
    assert [entry["before_header"] for entry in found["diff"]] == ["ScaledObject inference/llama-70b"]
    assert [entry["id"] for entry in found["findings"]] == ["rejected", "decision-dropped"]
    assert len(warned) == 1 and "is deleted, and with it: " in warned[0]


def test_a_wrong_timeout_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = result(monkeypatch, capsys, converged(), timeout="soon")
    assert found["failed"] and found["msg"].startswith("timeout: ")
