# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter hpa_behavior, as a template calls it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.gpufleet.llm.plugins.filter.hpa_behavior import FilterModule

hpa_behavior = FilterModule().filters()["hpa_behavior"]


def test_defaults_are_filled_in() -> None:
    behavior = hpa_behavior({"scaleDown": {"selectPolicy": "Disabled"}})
    assert behavior["scaleDown"]["selectPolicy"] == "Disabled"
    assert "stabilizationWindowSeconds" not in behavior["scaleDown"]
    assert [policy["value"] for policy in behavior["scaleUp"]["policies"]] == [4, 100]


@pytest.mark.parametrize(
    ("behavior", "line"),
    [
        (None, "behavior: must be a dictionary, got null."),
        (
            {"scaleUp": {"stabilizationWindowSeconds": 4000}},
            "behavior.scaleUp.stabilizationWindowSeconds: must be a whole number, at least 0 and at most 3600, "
            "got 4000.",
        ),
    ],
    ids=["none", "a window"],
)
def test_what_is_wrong_is_one_line(behavior: object, line: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^{line}$"):
        hpa_behavior(behavior)
