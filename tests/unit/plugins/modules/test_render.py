# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module render: arguments in, files and one JSON result out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.gpufleet.llm.plugins.module_utils import _cluster
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.build import COMPONENTS
from ansible_collections.gpufleet.llm.plugins.modules import render
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import declaration


@pytest.fixture(name="call")
def fixture_call(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the module where there is no client of Kubernetes; returns its result."""

    def call(*changes: tuple[str, Any], **options: Any) -> dict[str, Any]:
        monkeypatch.setattr(_cluster, "IMPORT_ERROR", "Traceback")
        arguments = {**declaration(*changes), "dest": str(tmp_path / "east"), **options}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            render.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return call


def test_a_first_run_and_a_second(call: Any, tmp_path: Path) -> None:
    first = call()
    assert (first["changed"], first["verdict"], first["msg"]) == (True, "ready", f"{tmp_path}/east: 15 created")
    assert first["files"][1] == {"path": "10-karpenter/PriorityClass-gpufleet-warm.yaml", "action": "create"}
    second = call()
    assert (second["changed"], second["msg"], second["diff"]) == (False, f"{tmp_path}/east: 15 unchanged", [])


def test_check_mode_predicts_and_writes_nothing(call: Any, tmp_path: Path) -> None:
    predicted = call(_ansible_check_mode=True)
    assert predicted["changed"] and predicted["msg"].endswith("15 to be created")
    assert list(tmp_path.iterdir()) == []
    assert predicted["files"] == call()["files"]


def test_stale_files_are_removed(call: Any) -> None:
    call()
    assert call(("models", []))["msg"].endswith("11 deleted, 4 unchanged")


def test_bad_input_writes_nothing(call: Any, tmp_path: Path) -> None:
    result = call(("models[0].pool", "none"))
    assert result["failed"] and result["msg"].startswith("gpufleet_models[0].pool: ")
    assert list(tmp_path.iterdir()) == []


def test_an_autoscaler_that_cannot_work_writes_nothing(call: Any, tmp_path: Path) -> None:
    asleep = ("models[0].overrides", {"ScaledObject": {"spec": {"minReplicaCount": 0}}})
    result = call(asleep)
    assert result["failed"] and "nothing wakes it" in result["msg"]
    assert list(tmp_path.iterdir()) == []
    assert call(asleep, components=["vllm"])["changed"]


def test_without_yaml_the_library_is_named(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render._render, "IMPORT_ERROR", "Traceback")
    assert "PyYAML" in call()["msg"]


def test_options_are_documented_as_they_are() -> None:
    documented = yaml.safe_load(render.DOCUMENTATION)["options"]
    assert documented["components"]["choices"] == documented["components"]["default"] == list(COMPONENTS)
    own = {name: spec for name, spec in render.OPTIONS.items() if name in documented}
    assert set(documented) == {"cluster", "dest", "components"} == set(own)
    for name, spec in own.items():
        assert (documented[name]["type"], documented[name].get("default")) == (spec["type"], spec.get("default"))


def test_examples_and_returns_are_yaml() -> None:
    for example in yaml.safe_load(render.EXAMPLES):
        assert set(example["gpufleet.llm.render"]) <= set(render.OPTIONS)
    assert {"verdict", "findings", "files"} <= set(yaml.safe_load(render.RETURN))
