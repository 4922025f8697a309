# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter desired_replicas."""

from __future__ import annotations

DOCUMENTATION = r"""
name: desired_replicas
author:
  - gpufleet.llm contributors (@gpufleet)
version_added: 0.1.0
short_description: The replica count that KEDA and the HPA decide next
description:
  - Computes what the next poll of KEDA 2.20 and the next sync of the HorizontalPodAutoscaler of Kubernetes make of a
    ScaledObject and of the values that its triggers answer. Nothing is read from a cluster.
  - P(gpufleet.llm.explain_replicas#filter) says why.
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
- name: How many replicas does a demand of 26 make of four?
  ansible.builtin.debug:
    msg: "{{ scaled_object | gpufleet.llm.desired_replicas(values={'demand': 26}, replicas=4) }}"
  vars:
    scaled_object:
      apiVersion: keda.sh/v1alpha1
      kind: ScaledObject
      metadata:
        name: chat
        namespace: inference
      spec:
        scaleTargetRef:
          name: chat
        minReplicaCount: 1
        maxReplicaCount: 8
        triggers:
          - type: prometheus
            name: demand
            metadata:
              serverAddress: http://prometheus.monitoring:9090
              query: sum(vllm:num_requests_running)
              threshold: "5"
  # => 6

- name: The metrics asked for six replicas two minutes ago, which holds them
  ansible.builtin.debug:
    msg: >-
      {{ scaled_object | gpufleet.llm.desired_replicas(values={'demand': 18}, replicas=6,
         recommendations=[{'replicas': 6, 'age': '2m'}]) }}
  # => 6
"""

RETURN = r"""
_value:
  description: The count.
  type: int
"""

from collections.abc import Callable, Mapping
from typing import Any

from ..module_utils.scaling.target import decide
from ..plugin_utils.filters import situation_of_filter


def desired_replicas(scaled_object: Mapping[str, Any], **given: Any) -> int:
    """The count after the next poll and sync. Raises AnsibleFilterError: one line that says what is wrong."""
    return decide(situation_of_filter("desired_replicas", scaled_object, given)).desired


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., int]]:
        """The filter by its name."""
        return {"desired_replicas": desired_replicas}
