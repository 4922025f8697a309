# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter explain_replicas."""

from __future__ import annotations

DOCUMENTATION = r"""
name: explain_replicas
author:
  - gpufleet.llm contributors (@gpufleet)
version_added: 0.1.0
short_description: Why KEDA and the HPA decide a replica count, in plain lines
description:
  - Explains what P(gpufleet.llm.desired_replicas#filter) computes. The first line begins with the count. Each says a
    reason with its numbers, and the last ones when the count can move next.
  - Without O(now) it is now.
extends_documentation_fragment:
  - gpufleet.llm.situation
positional: _input
options:
  _input:
    description: The manifest of the ScaledObject.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Why four replicas and not five?
  ansible.builtin.debug:
    msg: "{{ scaled_object | gpufleet.llm.explain_replicas(values={'demand': 21}, replicas=4) }}"
  vars:
    scaled_object: "{{ lookup('ansible.builtin.file', 'scaledobject.yml') | from_yaml }}"
  # => ["4, not 5: demand 21 is within 10 % of 4 x 5 (more than 22 or at most 15 changes that).",
  #     "It stays 4 while all metrics stay as they are.", ...]
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ..module_utils.scaling.explain import explain
from ..module_utils.scaling.target import decide
from ..plugin_utils.filters import situation_of_filter


def explain_replicas(scaled_object: Mapping[str, Any], **given: Any) -> list[str]:
    """The explanation. Raises AnsibleFilterError: one line that says what is wrong."""
    situation = situation_of_filter("explain_replicas", scaled_object, given)
    return explain(situation, decide(situation))


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """The filter by its name."""
        return {"explain_replicas": explain_replicas}
