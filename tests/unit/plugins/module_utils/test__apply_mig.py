# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The component mig: layouts of others and former ones stay, and what nobody can read is left alone."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import PreflightError
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import CUT
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.runs import run

yaml = pytest.importorskip("yaml")
pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")

LAYOUTS = Ref("v1", "ConfigMap", "gpu-operator", "gpufleet-mig-config")
OTHER = (*CUT, ("pools[0].mig", {"layout": {"1g.10gb": 5, "2g.20gb": 1}, "strategy": "mixed"}))


def names(api: FakeApi) -> list[str]:
    """Names of the entries that are there, without their digests."""
    text = api.objects[LAYOUTS].obj["data"]["config.yaml"]
    return [name.rsplit("-", 1)[0] for name in yaml.safe_load(text)["mig-configs"]]


def test_it_is_made_once_and_then_left_alone() -> None:
    api = FakeApi()
    assert run(api, "mig", *CUT, check=True).actions == run(api, "mig", *CUT).actions
    assert set(names(api)) == {"all", "gpufleet-7x1g.10gb"}
    api.calls.clear()
    assert run(api, "mig", *CUT).actions == {} and api.writes() == []


def test_a_former_layout_stays_for_nodes_that_have_it() -> None:
    api = FakeApi()
    run(api, "mig", *CUT)
    assert run(api, "mig", *OTHER).actions == {str(LAYOUTS): "update"}
    assert set(names(api)) == {"all", "gpufleet-7x1g.10gb", "gpufleet-5x1g.10gb_1x2g.20gb"}
    assert run(api, "mig", *CUT).actions == {}, "all of it is there"


def test_what_nobody_can_read_is_left_alone() -> None:
    api = FakeApi()
    run(api, "mig", *CUT)
    api.objects[LAYOUTS].obj["data"]["config.yaml"] = "version: v1\nmig-configs: {a: [}"
    api.calls.clear()
    with pytest.raises(PreflightError) as raised:
        run(api, "mig", *CUT)
    assert "ConfigMap gpu-operator/gpufleet-mig-config config.yaml: is no YAML" in raised.value.line()
    assert api.writes() == []
