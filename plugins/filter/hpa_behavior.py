# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter hpa_behavior."""

from __future__ import annotations

DOCUMENTATION = r"""
name: hpa_behavior
author:
  - gpufleet.llm contributors (@gpufleet)
version_added: 0.1.0
short_description: The behavior of a HorizontalPodAutoscaler with the defaults of the API server
description:
  - Fills in what the API server of Kubernetes fills in where an object of C(autoscaling/v2) has a C(spec.behavior).
  - A behavior that is left out altogether stays so, and the controller then takes another way than with an empty one.
    It lets one replica become four at once, where an empty behavior lets it become five.
  - The window of C(scaleDown) is not filled in. It is C(--horizontal-pod-autoscaler-downscale-stabilization) of the
    controller where it is left out, 300 seconds unless somebody changed it.
  - What the API server refuses is an error, and so is a policy of more than 1000000 pods or per cent. The controller
    adds it as an integer of 32 bits, and what overflows blocks every change.
positional: _input
options:
  _input:
    description: The behavior as it is written; an empty dictionary is one.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: How fast may it scale up where only the way down is written?
  ansible.builtin.debug:
    msg: "{{ ({'scaleDown': {'selectPolicy': 'Disabled'}} | gpufleet.llm.hpa_behavior).scaleUp.policies }}"
  # => [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]
"""

RETURN = r"""
_value:
  description: The behavior as the API server returns it, with C(scaleUp) and C(scaleDown).
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ..module_utils.errors import InvalidInput
from ..module_utils.scaling.hpa.defaults import filled
from ..plugin_utils.filters import refusal


def hpa_behavior(behavior: Any) -> dict[str, Any]:
    """The behavior with defaults. Raises AnsibleFilterError: one line that says what is wrong."""
    try:
        return filled(behavior)
    except InvalidInput as error:
        raise refusal(error) from None


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        """The filter by its name."""
        return {"hpa_behavior": hpa_behavior}
