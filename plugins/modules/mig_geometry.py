#!/usr/bin/python
# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module mig_geometry: documentation, and one bounded step of a change; the action plugin repeats it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mig_geometry
short_description: Cut the GPUs of a pool's nodes into the MIG slices that it declares
version_added: 0.1.0
description:
  - Each node is a transaction. It is cordoned, its GPU pods are evicted, mig-manager of the GPU Operator is given the
    new layout, and the node serves again once exactly what follows from the layout is allocatable and the operands are
    healthy. What was there before is recorded on the node, so that a run that was killed is continued by the next one.
  - The layout is written to the node only while no GPU pod is on it.
  - Pods leave by evictions alone, which honour PodDisruptionBudgets. Pods of vLLM finish their requests first, as far
    as Prometheus knows of them.
  - A Lease keeps two runs from changing one pool at once. The second waits.
  - When a node fails, no further node is begun.
  - The ConfigMap with the layout has to be there before, as M(gpufleet.llm.apply) writes it for the component C(mig).
options:
  pool:
    description: Name of the pool, which has C(mig).
    type: str
    required: true
  selector:
    description: Labels that a node of the pool must have to be changed; all nodes if absent.
    type: dict
    default: {}
  max_unavailable:
    description:
      - How many nodes of the pool may be disrupted at once; that of the pool if absent.
      - Nodes that others have cordoned or that are not ready count.
    type: int
  on_failure:
    description:
      - What becomes of a node that does not get its layout. V(rollback) gives it its former one where no pod is on its
        GPUs, and else holds it.
      - V(hold) leaves it cordoned, with the reason in its annotation C(gpufleet.io/mig-change).
    type: str
    choices: [rollback, hold]
    default: rollback
  drain_timeout:
    description: How long the GPU pods of a node may take to be gone, before it is released as it was.
    type: str
    default: 15m
  idle_timeout:
    description: How long a pod of vLLM may take to finish its requests, before it is evicted with what it has.
    type: str
    default: 1m
  geometry_timeout:
    description: How long mig-manager may take for a node.
    type: str
    default: 40m
  allow_unmanaged:
    description: Evict GPU pods that nothing makes again.
    type: bool
    default: false
  allow_empty_dir:
    description: Evict GPU pods with data in an C(emptyDir), which is lost.
    type: bool
    default: false
  timeout:
    description: How long all nodes together may take, such as V(90m) or V(4h). On expiry the task fails. What was begun
      is continued by the next run.
    type: str
    default: 4h
  carried:
    description: What one step hands to the next. It is set by the action plugin alone.
    type: dict
    default: {}
extends_documentation_fragment:
  - gpufleet.llm.fleet.cluster
  - gpufleet.llm.fleet
  - gpufleet.llm.attributes
author:
  - gpufleet.llm contributors (@gpufleet)
"""

EXAMPLES = r"""
- name: Cut the nodes of a pool as it declares
  gpufleet.llm.mig_geometry:
    cluster: "{{ gpufleet_cluster }}"
    pools: "{{ gpufleet_pools }}"
    models: "{{ gpufleet_models }}"
    pool: h100

- name: Begin with one node, and leave it as it is if that fails
  gpufleet.llm.mig_geometry:
    cluster: "{{ gpufleet_cluster }}"
    pools: "{{ gpufleet_pools }}"
    models: "{{ gpufleet_models }}"
    pool: h100
    selector:
      kubernetes.io/hostname: gpu-7
    on_failure: hold
"""

RETURN = r"""
verdict:
  description: C(ready) when all nodes are as declared, C(waiting) when time ran out, or C(broken) when one is not.
  returned: always
  type: str
  sample: ready
done:
  description: Whether all nodes are as declared.
  returned: success
  type: bool
  sample: true
progress:
  description: How many nodes are done, and what is waited for.
  returned: success
  type: str
  sample: "pool h100: 1 of 2 nodes done, node gpu-8, evict: 3 pods to be gone"
waited_s:
  description: How long all of it took, in seconds.
  returned: success
  type: float
  sample: 312.5
nodes:
  description:
    - Every node of the pool that was looked at. C(outcome) is null while it is under change.
    - In check mode it is the plan of each, as M(gpufleet.llm.mig_plan_info) returns it.
  returned: success
  type: list
  elements: dict
  sample:
    - name: gpu-7
      outcome: changed
      phase: release
      evicted_pods: 8
      waits_for: ""
text:
  description: In check mode the plan for people, a line for each node.
  returned: check mode
  type: list
  elements: str
  sample:
    - "gpu-7: cordon it and keep Karpenter from removing it; evict 1 pod: llm/chat-0 (fits on gpu-8)"
findings:
  description: What a person should know, each with a stable id, severity, object, field, message and fix.
  returned: always
  type: list
  elements: dict
  sample:
    - id: mig-drain-late
      severity: error
      object: Pod inference/llama-6d5f9c7b8-x2x7k
      field: ""
      message: "was not gone in 900 s: PodDisruptionBudget inference/llama allows no eviction now"
      fix: Let its PodDisruptionBudget allow its eviction, or raise drain_timeout.
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._cluster import Cluster
from ..module_utils._mig import Driver
from ..module_utils._mig_check import Check
from ..module_utils._mig_plan import findings_of, plans, result
from ..module_utils._mig_task import Memory, Task, task_of
from ..module_utils._module import FLEET_OPTIONS, connect, fail, fleet_of, report, run
from ..module_utils.errors import GpufleetError, PreflightError
from ..module_utils.findings import Verdict, verdict_of
from ..module_utils.fleet.types import Fleet

#: A step ends before a person misses its progress line.
_STEP_S = 8
_CALL_S = 4

OPTIONS = {
    **FLEET_OPTIONS,
    "pool": {"type": "str", "required": True},
    "selector": {"type": "dict", "default": {}},
    "max_unavailable": {"type": "int"},
    "on_failure": {"type": "str", "choices": ["rollback", "hold"], "default": "rollback"},
    "drain_timeout": {"type": "str", "default": "15m"},
    "idle_timeout": {"type": "str", "default": "1m"},
    "geometry_timeout": {"type": "str", "default": "40m"},
    "allow_unmanaged": {"type": "bool", "default": False},
    "allow_empty_dir": {"type": "bool", "default": False},
    "timeout": {"type": "str", "default": "4h"},
    "carried": {"type": "dict", "default": {}},
}


def predict(module: AnsibleModule, cluster: Cluster, fleet: Fleet, task: Task, check: Check) -> dict[str, object]:
    """What a run would do."""
    planned = plans(cluster, fleet, task, check)
    findings, told = findings_of(planned, check), result(task, planned)
    if verdict_of(findings) is Verdict.BROKEN:
        message = told.pop("msg")
        fail(module, PreflightError(findings), done={"changed": False, "progress": message, **told})
    verdict = {"done": True, "verdict": Verdict.READY.value, "progress": told["msg"]}
    return {"changed": bool(told["diff"]), **verdict, **told, "findings": report(module, findings)}


def mig_geometry(module: AnsibleModule) -> dict[str, object]:
    """Take at most one step, and say how far it is."""
    fleet = fleet_of(module)
    task, timeout_s = task_of(module.params, fleet)
    # A silent API server must not make a step longer than a step may be: the action plugin tries again.
    cluster = connect(fleet, timeout_s=_CALL_S, patience_s=_CALL_S)
    check = Check(cluster, fleet, task.pool)
    if module.check_mode:
        return predict(module, cluster, fleet, task, check)
    driver = Driver(cluster, fleet, task, Memory.of(module.params["carried"]), check)
    try:
        driver.step(min(_STEP_S, timeout_s), last=timeout_s <= _STEP_S)
    except GpufleetError as error:
        fail(module, error, done={"changed": driver.wrote, "carried": driver.memory.to_dict()})
    done, findings = driver.verdict is Verdict.READY, driver.findings
    return {
        "changed": driver.wrote,
        "diff": driver.diff(),
        "done": done,
        "verdict": driver.verdict.value,
        "progress": driver.progress,
        "next": 0,
        "timeout_s": timeout_s,
        "patience_s": 0,
        "msg": driver.summary(),
        "nodes": [state.to_dict() for state in driver.states],
        "findings": report(module, findings) if done else [finding.to_dict() for finding in findings],
        "carried": driver.memory.to_dict(),
    }


def main() -> None:
    """Entry point."""
    run(OPTIONS, mig_geometry)


if __name__ == "__main__":
    main()
