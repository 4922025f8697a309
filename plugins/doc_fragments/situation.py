# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of a situation of an autoscaled workload as people write it down."""

from __future__ import annotations


class ModuleDocFragment:
    """The fields of a situation beside its ScaledObject (scaling/offline.py reads them)."""

    DOCUMENTATION = r"""
options:
  values:
    description:
      - What the source of each trigger answers, by the trigger's name, or by the name of its metric where it has none.
      - A number, V(NaN), V(Inf), a list with the value of each series, or null where the source fails.
    type: dict
    required: true
  replicas:
    description: The count that the scale target wants.
    type: int
    required: true
  status_replicas:
    description: Pods that exist; as many as are wanted where it is left out.
    type: int
  ready:
    description: Pods that are ready; all that exist where it is left out.
    type: int
  hpa:
    description: The manifest of the HPA that KEDA made. It tells the targets of triggers other than prometheus.
    type: dict
  recommendations:
    description:
      - What the metrics asked for before, which windows remember.
      - Without it the HPA remembers nothing, as after a restart of its controller.
    type: list
    elements: dict
    suboptions:
      replicas:
        description: What the metrics asked for.
        type: int
        required: true
      age:
        description: How long ago, such as V(90s) or V(10m).
        type: str
        required: true
  events:
    description: Changes that the HPA made before, which rates remember.
    type: list
    elements: dict
    suboptions:
      change:
        description: Replicas added, or below 0 those removed.
        type: int
        required: true
      age:
        description: How long ago.
        type: str
        required: true
  last_active:
    description: How long ago a trigger was active last. KEDA goes to zero, or to the idle count, so much later as
      C(cooldownPeriod) says.
    type: str
  now:
    description: The time of the decision in UTC, such as V(2026-12-24T18:00:00Z).
    type: str
  controller:
    description: The kube-controller-manager.
    type: dict
    suboptions:
      version:
        description: Its version, from 1.33 to 1.37.
        type: str
        default: '1.35'
      tolerance:
        description: Its flag C(--horizontal-pod-autoscaler-tolerance).
        type: float
        default: 0.1
      downscale_stabilization:
        description: Its flag C(--horizontal-pod-autoscaler-downscale-stabilization).
        type: str
        default: 5m
"""
