# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module apply: arguments in, one JSON result out."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.gpufleet.llm.plugins.module_utils import _cluster
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.build import COMPONENTS
from ansible_collections.gpufleet.llm.plugins.modules import apply
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import VALID, declaration
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.runs import SCALER, converged

UID = VALID["cluster"]["uid"]
pytestmark = pytest.mark.skipif(_cluster.IMPORT_ERROR is not None, reason="needs kubernetes and kubernetes.core")


@pytest.fixture(name="call")
def fixture_call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the module against a server in memory; returns its result."""

    def call(api: FakeApi, component: str, *changes: tuple[str, Any], **options: Any) -> dict[str, Any]:
        api.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": UID}})
        monkeypatch.setattr(_cluster, "connect", lambda params: api.cluster())
        arguments = {**declaration(*changes), "component": component, **options}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            apply.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return call


def test_a_first_run_and_a_second(call: Any) -> None:
    api = FakeApi()
    first = call(api, "vllm")
    assert (first["changed"], first["verdict"], first["msg"]) == (True, "ready", "vllm: 9 created")
    assert {entry["action"] for entry in first["objects"]} == {"create"} and len(first["diff"]) == 9
    second = call(api, "vllm")
    assert (second["changed"], second["msg"], second["diff"]) == (False, "vllm: 9 unchanged", [])


def test_check_mode(call: Any) -> None:
    api = FakeApi()
    result = call(api, "vllm", _ansible_check_mode=True)
    assert (result["changed"], result["msg"]) == (True, "vllm: 9 to be created")
    assert api.writes() == []


def test_nothing_to_do_is_said_with_its_reason(call: Any) -> None:
    nodes_exist = [("cluster.provider", "none"), ("pools[0].instance_types", []), ("pools[0].nodes", None),
                   ("pools[0].node_selector", {"a": "b"}), ("pools[0].node_class", None)]  # fmt: skip
    said = "karpenter: nothing to do, because the cluster has no provider: its nodes exist"
    result = call(FakeApi(), "karpenter", *nodes_exist)
    assert (result["changed"], result["msg"]) == (False, said)
    assert call(FakeApi(), "keda", ("models", []))["msg"] == "keda: nothing to do, because nothing is declared for it"


def test_a_change_is_shown_field_by_field(call: Any) -> None:
    result = call(converged(), "keda", ("models[0].replicas.max", 5))
    (changed,) = [entry for entry in result["objects"] if entry["action"] != "unchanged"]
    assert changed == {
        "api_version": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "namespace": "inference",
        "name": "llama-70b",
        "action": "update",
        "diff": [{"field": "spec.maxReplicaCount", "before": 6, "after": 5}],
    }
    (shown,) = result["diff"]
    assert shown["before_header"] == "ScaledObject inference/llama-70b"
    assert shown["before"]["spec"]["maxReplicaCount"] == 6 and shown["after"]["spec"]["maxReplicaCount"] == 5


def test_a_conflict_is_one_line_and_force_ends_it(call: Any) -> None:
    api = converged()
    api.edit(SCALER, {"spec": {"maxReplicaCount": 9}})
    refused = call(api, "keda")
    assert refused["failed"] and refused["verdict"] == "broken" and "\n" not in refused["msg"]
    assert [finding["id"] for finding in refused["findings"]] == ["conflict"]
    assert call(api, "keda", force_conflicts=True)["changed"]


def test_orphans_are_told_and_pruned_on_demand(call: Any) -> None:
    api = converged()
    kept = call(api, "keda", ("models", []))
    assert not kept["changed"] and len(kept["findings"]) == 2
    assert call(api, "keda", ("models", []), prune=True)["msg"] == "keda: 2 deleted"


@pytest.mark.parametrize("change", [("models[0].namespace", 'x"} or vector(99) #'), ("models[0].pool", "none")])
def test_bad_input_reaches_no_server(call: Any, change: tuple[str, Any]) -> None:
    api = FakeApi()
    result = call(api, "vllm", change)
    assert result["failed"] and result["msg"].startswith(f"gpufleet_{change[0]}: ") and api.calls == []


def test_an_unknown_component_is_refused(call: Any) -> None:
    assert call(FakeApi(), "vllmm")["failed"]


def test_options_are_documented_as_they_are() -> None:
    documented = yaml.safe_load(apply.DOCUMENTATION)["options"]
    own = {name: spec for name, spec in apply.OPTIONS.items() if name in documented}
    assert set(documented) == {"component", "prune", "force_conflicts"} == set(own)
    assert documented["component"]["choices"] == own["component"]["choices"] == list(COMPONENTS)
    for name, spec in own.items():
        assert (documented[name]["type"], documented[name].get("default")) == (spec["type"], spec.get("default"))


def test_examples_and_returns_are_yaml() -> None:
    for example in yaml.safe_load(apply.EXAMPLES):
        assert set(example["gpufleet.llm.apply"]) <= set(apply.OPTIONS)
    assert {"verdict", "findings", "objects"} <= set(yaml.safe_load(apply.RETURN))


def test_the_wrong_cluster_is_left_alone(call: Any) -> None:
    api = FakeApi()
    result = call(api, "vllm", ("cluster.uid", "00000000-0000-0000-0000-000000000000"))
    assert [finding["id"] for finding in result["findings"]] == ["wrong-cluster"]
    assert [call.path for call in api.calls if "kube-system" not in call.path] == ["/api/v1"]
