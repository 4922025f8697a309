# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What site.yml installs is what its preflight checks, also where a switch is text, as ``-e`` makes it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from generate import ROOT

Json = dict[str, Any]

ROLE_OF = {"gpu_operator": "gpu_operator", "karpenter_crd": "karpenter", "karpenter": "karpenter", "keda": "keda"}


def load(path: str) -> Any:
    """A file of the collection, its templates trusted."""
    return DataLoader().load_from_file(str(ROOT / path), trusted_as_template=True)


def templar(role: str, **given: Any) -> Templar:
    """Values as a role sees them."""
    known = load(f"roles/{role}/defaults/main.yml")
    return Templar(loader=DataLoader(), variables={"gpufleet_cluster": {"name": "east"}, **known, **given})


def installs(**given: Any) -> dict[str, Json]:
    """What preflight is told to check, by component."""
    known = load("roles/preflight/vars/main.yml")
    found = templar("preflight", **known, **given).template(load("roles/preflight/defaults/main.yml"))
    return {entry["component"]: entry for entry in found["preflight_installs"]}


@pytest.mark.parametrize("component", ROLE_OF)
def test_preflight_has_the_defaults_of_the_roles(component: str) -> None:
    role = ROLE_OF[component]
    declared = templar(role).template(load(f"roles/{role}/defaults/main.yml"))
    names = {"chart_ref": f"{component}_chart_ref", "timeout": f"{role}_wait_timeout"}
    names["helm_binary"] = f"{role}_helm_binary"
    entry = installs()[component]
    assert {key: entry[key] for key in names} == {key: declared[name] for key, name in names.items()}


@pytest.mark.parametrize("said", [False, "false", "no"])
def test_a_switch_that_is_text_may_say_no(said: Any) -> None:
    switches = ("gpufleet_karpenter_install", "karpenter_install")
    for switch in switches:
        assert [installs(**{switch: said})[name]["enabled"] for name in ("karpenter_crd", "karpenter")] == [False] * 2
    assert not installs(karpenter_install=True, karpenter_install_crds=said)["karpenter_crd"]["enabled"]
    assert installs(karpenter_install="true", karpenter_install_crds="true")["karpenter_crd"]["enabled"] is True


@pytest.mark.parametrize(("said", "meant"), [(True, True), ("true", True), ("false", False), (None, False)])
def test_the_playbook_reads_a_switch_that_is_text(said: Any, meant: bool) -> None:
    (condition,) = (role["when"] for role in load("playbooks/site.yml")[0]["roles"] if "when" in role)
    given = {} if said is None else {"gpufleet_gpu_operator_enabled": said}
    assert Templar(loader=DataLoader(), variables=given).evaluate_conditional(condition) is meant


def test_of_the_values_of_a_chart_preflight_gets_what_decides() -> None:
    values = {"crds": {"install": False}, "token": "secret"}
    assert installs(keda_values=values)["keda"]["values"] == {"crds": {"install": False}}
    assert installs()["keda"]["values"] == {"crds": {}}
