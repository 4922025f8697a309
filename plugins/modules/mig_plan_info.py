#!/usr/bin/python
# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module mig_plan_info: documentation, and one look at a pool."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mig_plan_info
short_description: Tell what it takes to give a pool the MIG slices that it declares
version_added: 0.1.0
description:
  - Says of each node whether its slices stay, whether GPUs are cut anew, or whether MIG is turned on or off, which
    resets every GPU of the node; which pods would be evicted and where there is room for them; and what is allocatable
    before and after.
  - It is what M(gpufleet.llm.mig_geometry) says in check mode, and never writes.
options:
  pool:
    description: Name of the pool, which has C(mig).
    type: str
    required: true
  selector:
    description: Labels that a node of the pool must have to be looked at; all nodes if absent.
    type: dict
    default: {}
  max_unavailable:
    description: How many nodes would be disrupted at once; that of the pool if absent.
    type: int
  allow_unmanaged:
    description: Plan with the eviction of GPU pods that nothing makes again.
    type: bool
    default: false
  allow_empty_dir:
    description: Plan with the eviction of GPU pods with data in an C(emptyDir).
    type: bool
    default: false
extends_documentation_fragment:
  - gpufleet.llm.fleet.cluster
  - gpufleet.llm.fleet
  - gpufleet.llm.attributes
attributes:
  check_mode:
    description: Changes nothing in either mode.
  diff_mode:
    support: none
    description: Changes nothing.
author:
  - gpufleet.llm contributors (@gpufleet)
"""

EXAMPLES = r"""
- name: See what would be done to the nodes of a pool
  gpufleet.llm.mig_plan_info:
    cluster: "{{ gpufleet_cluster }}"
    pools: "{{ gpufleet_pools }}"
    models: "{{ gpufleet_models }}"
    pool: h100
  register: planned

- name: Read it
  ansible.builtin.debug:
    var: planned.text
"""

RETURN = r"""
verdict:
  description: C(ready), or C(broken) where a node would be refused.
  returned: always
  type: str
  sample: ready
text:
  description: The plan for people, a line for each node.
  returned: success
  type: list
  elements: str
  sample:
    - "gpu-7: cordon it and keep Karpenter from removing it; set nvidia.com/mig.config from nothing to 8x1g.10gb-x7"
nodes:
  description:
    - The plan of each node. C(change) is C(nothing), C(label) (mig-manager does not know yet), C(geometry) or C(mode).
    - C(gpus) has the indices of the GPUs whose slices are lost, null where all may be. C(to) is a node with room for a
      pod, null where there is none.
  returned: success
  type: list
  elements: dict
  sample:
    - node: gpu-7
      change: mode
      before: {config: null, resources: {nvidia.com/gpu: 8}}
      after: {config: 8x1g.10gb-x7, resources: {nvidia.com/gpu: 56}}
      gpus: null
      displaced:
        - {pod: inference/llama-6d5f9c7b8-x2x7k, requests: {nvidia.com/gpu: 1}, to: gpu-8}
      steps: []
      refused: false
      summary: "gpu-7: would be refused"
findings:
  description: What a person should know, each with a stable id, severity, object, field, message and fix.
  returned: always
  type: list
  elements: dict
  sample:
    - id: mig-displaced
      severity: warning
      object: Node gpu-7
      field: ""
      message: "displaces 1 nvidia.com/gpu that no other node has free: inference/llama-6d5f9c7b8-x2x7k"
      fix: They stay Pending until there is room, and Karpenter may buy a node for them; add capacity first.
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._mig_check import Check
from ..module_utils._mig_plan import findings_of, plans, result
from ..module_utils._mig_task import task_of
from ..module_utils._module import FLEET_OPTIONS, connect, fleet_of, report, run
from ..module_utils.findings import verdict_of

OPTIONS = {
    **FLEET_OPTIONS,
    "pool": {"type": "str", "required": True},
    "selector": {"type": "dict", "default": {}},
    "max_unavailable": {"type": "int"},
    "allow_unmanaged": {"type": "bool", "default": False},
    "allow_empty_dir": {"type": "bool", "default": False},
}


def mig_plan_info(module: AnsibleModule) -> dict[str, object]:
    """The plan, and what is to be said of it."""
    fleet = fleet_of(module)
    task, _timeout_s = task_of(module.params, fleet)
    cluster = connect(fleet)
    check = Check(cluster, fleet, task.pool)
    planned = plans(cluster, fleet, task, check)
    findings, told = findings_of(planned, check), result(task, planned)
    told.pop("diff")
    return {"changed": False, "verdict": verdict_of(findings).value, **told, "findings": report(module, findings)}


def main() -> None:
    """Entry point."""
    run(OPTIONS, mig_plan_info)


if __name__ == "__main__":
    main()
