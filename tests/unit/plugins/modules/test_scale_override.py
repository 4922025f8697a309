# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module scale_override: arguments in, one JSON result out."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.gpufleet.llm.plugins.module_utils import _cluster
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.override import ANNOTATION
from ansible_collections.gpufleet.llm.plugins.modules import scale_override
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import VALID, declaration
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.runs import SCALER, converged

pytestmark = pytest.mark.skipif(_cluster.IMPORT_ERROR is not None, reason="needs kubernetes and kubernetes.core")

ASKED = {"model": "llama-70b", "min": 4, "max": 8, "for": "6h", "who": "ann", "why": "launch day"}


@pytest.fixture(name="call")
def fixture_call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the module against a server in memory; returns its result."""

    def call(api: FakeApi, **options: Any) -> dict[str, Any]:
        monkeypatch.setattr(_cluster, "connect", lambda params: api.cluster())
        with patch_module_args({**declaration(), **options}), pytest.raises(SystemExit):
            scale_override.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return call


@pytest.fixture
def api() -> FakeApi:
    api = converged()
    system = {"name": "kube-system", "uid": VALID["cluster"]["uid"]}
    api.add({"apiVersion": "v1", "kind": "Namespace", "metadata": system})
    api.objects[SCALER].obj["metadata"].update(uid="u-1", generation=1)
    return api


def test_planned_then_recorded_then_nothing_to_do(call: Any, api: FakeApi) -> None:
    planned = call(api, **ASKED, _ansible_check_mode=True)
    assert (planned["changed"], api.writes()) == (True, [])
    assert planned["bounds"] == {"min": 4, "max": 8}
    assert planned["text"][0] == "ScaledObject inference/llama-70b in cluster east"
    (shown,) = planned["diff"]
    assert shown["before_header"] == "ScaledObject inference/llama-70b"
    done = call(api, plan=planned["plan"])
    assert (done["changed"], done["plan"], done["objects"]) == (True, planned["plan"], planned["objects"])
    until = planned["plan"]["override"]["until"]
    assert done["msg"] == f"ScaledObject inference/llama-70b: 4 to 8 replicas until {until}, recorded"
    api.calls.clear()
    for again in (call(api, plan=planned["plan"]), call(api, **ASKED)):
        assert (again["changed"], again["diff"], api.writes()) == (False, [], [])
        assert again["msg"] == "ScaledObject inference/llama-70b: nothing to record"
    back = call(api, model="llama-70b", state="absent", who="bob", why="over")
    assert back["changed"] and ANNOTATION not in api.objects[SCALER].obj["metadata"]["annotations"]


def test_a_refusal_is_one_line(call: Any, api: FakeApi) -> None:
    plan = call(api, **ASKED, _ansible_check_mode=True)["plan"]
    refused = call(api, plan={**plan, "made_at": "2026-01-01T00:00:00Z"})
    assert refused["failed"] and refused["verdict"] == "broken" and "\n" not in refused["msg"]
    assert [finding["id"] for finding in refused["findings"]] == ["plan-outdated"]


@pytest.mark.parametrize(
    "options", [{}, {**ASKED, "min": 9}, {"plan": {"model": "llama-70b"}}, {**ASKED, "plan_max_age": "1"}]
)
def test_bad_input_reaches_no_server(call: Any, options: dict[str, Any]) -> None:
    api = FakeApi()
    assert call(api, **options)["failed"] and api.calls == []


def test_options_are_documented_as_they_are() -> None:
    documented = yaml.safe_load(scale_override.DOCUMENTATION)["options"]
    own = {name: spec for name, spec in scale_override.OPTIONS.items() if name in documented}
    assert set(documented) == set(own) == set(scale_override.OPTIONS) - {"cluster", "pools", "models", "versions"}
    for name, spec in own.items():
        described = documented[name]
        assert (described["type"], described.get("default")) == (spec["type"], spec.get("default"))
        assert described.get("choices") == spec.get("choices")


def test_examples_and_returns_are_yaml() -> None:
    for example in yaml.safe_load(scale_override.EXAMPLES):
        assert set(example["gpufleet.llm.scale_override"]) <= set(scale_override.OPTIONS)
    assert {"verdict", "findings", "objects", "plan", "text", "bounds"} == set(yaml.safe_load(scale_override.RETURN))
