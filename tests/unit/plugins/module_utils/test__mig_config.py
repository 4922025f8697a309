# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of mig-manager as text."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils import _mig_config
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import PreflightError
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.layout import NodeLayout, config_name
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.profiles import gpu_of_product

H100 = gpu_of_product("NVIDIA-H100-80GB-HBM3")
SEVEN = NodeLayout(({"1g.10gb": 6, "1g.10gb+me": 1},))
WHERE = "ConfigMap gpu-operator/theirs"
#: As people write it: comments, flow lists, no all-disabled.
THEIRS = """\
# Ours, do not touch
version: v1
mig-configs:
  "on":
    - device-filter: ["0x233010DE"]
      devices: [0]
      mig-enabled: true
      mig-devices: {"1g.10gb": 7}
"""


def test_new_text_is_yaml_that_reads_back() -> None:
    assert H100 is not None
    text = _mig_config.updated(None, WHERE, [(H100, SEVEN)])
    assert _mig_config.load(text, WHERE) == {
        "all-disabled": [{"devices": "all", "mig-enabled": False}],
        config_name(SEVEN): SEVEN.entries(),
    }
    assert _mig_config.updated(text, WHERE, [(H100, SEVEN)]) == text


def test_text_of_others_is_left_alone_where_nothing_is_missing() -> None:
    assert H100 is not None
    added = _mig_config.updated(THEIRS, WHERE, [(H100, SEVEN)])
    assert _mig_config.load(added, WHERE)["on"] == _mig_config.load(THEIRS, WHERE)["on"]
    commented = f"# A comment\n{added}"
    assert _mig_config.updated(commented, WHERE, [(H100, SEVEN)]) == commented


@pytest.mark.parametrize("text", ["a: [", "\t- x", "!!python/object:os.system {}"], ids=["open", "tab", "tag"])
def test_text_that_is_no_yaml_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(PreflightError, match=rf"{WHERE} config.yaml: is no YAML: .* Mend or delete it") as caught:
        _mig_config.updated(text, WHERE, [])
    assert "\n" not in caught.value.line()
