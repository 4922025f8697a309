#!/usr/bin/python
# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module remove: documentation, and one bounded step of a removal; the action plugin repeats it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: remove
short_description: Take one component of a GPU fleet away from its cluster
version_added: 0.1.0
description:
  - Deletes every object that the collection has written for a component, found by its labels, whether it is still
    declared or not. What uses others goes before them, and each is waited for.
  - Objects of others stay. A NodePool on whose nodes GPU pods run is refused by name, before anything is deleted.
  - A namespace goes when the collection has made it, and nothing is in it but what Kubernetes puts into each.
  - Nothing is forced, and finalizers are left to those who remove them. When time runs out, the message names the
    object, the finalizer, and who removes it.
  - A run that was killed is continued by the next one.
  - An override or a pause that goes with an autoscaler is told, finding C(decision-dropped).
options:
  component:
    description:
      - The part of the fleet to take away. A whole fleet goes in the order V(keda), V(vllm), V(karpenter),
        V(gpu_operator).
      - Operators stay, and do their part; uninstall the Helm release of one afterwards.
    type: str
    required: true
    choices: [keda, vllm, karpenter, gpu_operator, mig]
  definitions:
    description:
      - Also delete the CustomResourceDefinitions of the component's operator. Meant for operators that are gone.
      - Refused as long as there are objects of others of these kinds. In check mode that also tells whether anybody
        else needs the operator.
    type: bool
    default: false
  namespace:
    description:
      - Namespace of the Helm release of the component's operator, where the collection has installed it.
      - A release that a killed Helm has left half uninstalled is made ready for being uninstalled again. A Helm counts
        as killed after O(timeout); before that, the task fails.
      - Objects of the GPU Operator are recognized by their release. Its namespace is V(gpu-operator) unless it is set.
    type: str
    default: ""
  timeout:
    description: How long to wait at most, such as V(90s) or V(1h30m). On expiry the task fails.
    type: str
    default: 20m
extends_documentation_fragment:
  - gpufleet.llm.fleet.cluster
  - gpufleet.llm.attributes
author:
  - gpufleet.llm contributors (@gpufleet)
"""

EXAMPLES = r"""
- name: Take the autoscaling away
  gpufleet.llm.remove:
    component: keda
    cluster: "{{ gpufleet_cluster }}"

- name: Take the node pools away, and wait until their nodes are gone
  gpufleet.llm.remove:
    component: karpenter
    cluster: "{{ gpufleet_cluster }}"
    timeout: 30m
"""

RETURN = r"""
verdict:
  description: C(ready) when nothing is left, C(waiting) when time ran out, or C(broken) when it was refused.
  returned: always
  type: str
  sample: ready
done:
  description: Whether nothing is left to remove.
  returned: success
  type: bool
  sample: true
progress:
  description: What is still waited for, and by which finalizers it is held.
  returned: success
  type: str
  sample: NodePool h100 (waits for foregroundDeletion)
waited_s:
  description: How long the removal took, in seconds.
  returned: success
  type: float
  sample: 12.5
findings:
  description: What is waited for or stays behind, each with a stable id, severity, object, field, message and fix.
  returned: always
  type: list
  elements: dict
  sample:
    - id: finalizer
      severity: warning
      object: ScaledObject inference/llama
      field: ""
      message: is being deleted, and waits for finalizer finalizer.keda.sh, which is removed by the KEDA operator
      fix: See whether keda-operator runs and what its log says; where it is gone, install it again.
objects:
  description: Every object that was deleted, and Helm's record of a release that was made ready for it.
  returned: always
  type: list
  elements: dict
  sample:
    - api_version: keda.sh/v1alpha1
      kind: ScaledObject
      namespace: inference
      name: llama
      action: delete
      diff: []
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import connect, fail, report, run
from ..module_utils._remove import Options, Remover
from ..module_utils.converge.plan import done
from ..module_utils.converge.removal import GPU_OPERATOR, REMOVABLE
from ..module_utils.errors import GpufleetError, InvalidInput
from ..module_utils.fleet.fields import Duration, Problems
from ..module_utils.fleet.parse import parse_fleet
from ..module_utils.objects.gpu_operator import NAMESPACE

#: A step ends before a person misses its progress line.
_STEP_S = 8
_CALL_S = 4

OPTIONS = {
    "cluster": {"type": "raw", "required": True},
    "component": {"type": "str", "required": True, "choices": list(REMOVABLE)},
    "definitions": {"type": "bool", "default": False},
    "namespace": {"type": "str", "default": ""},
    "timeout": {"type": "str", "default": "20m"},
}


def remove(module: AnsibleModule) -> dict[str, object]:
    """Take at most one step, and say how far it is."""
    params, problems = module.params, Problems()
    timeout_s = Duration(0).parse(params["timeout"], "timeout", problems)
    if problems.findings:
        raise InvalidInput(problems.findings)
    fleet = parse_fleet(params["cluster"])
    # A silent API server must not make a step longer than a step may be: the action plugin tries again.
    cluster = connect(fleet, timeout_s=_CALL_S, patience_s=_CALL_S)
    component = params["component"]
    namespace = params["namespace"] or (NAMESPACE if component == GPU_OPERATOR else "")
    options = Options(module.check_mode, params["definitions"], namespace, timeout_s)
    remover = Remover(cluster, fleet.cluster.name, component, options)
    try:
        step = remover.predict() if module.check_mode else remover.step(min(_STEP_S, timeout_s))
    except GpufleetError as error:
        fail(module, error, report(module, remover.lost), done(remover.changes))
    told = report(module, step.findings) if step.done else [entry.to_dict() for entry in step.findings]
    return {
        **done(step.changes),
        "done": step.done,
        "verdict": step.verdict.value,
        "progress": step.progress,
        "next": 0,
        "timeout_s": timeout_s,
        "patience_s": timeout_s,
        "msg": f"{component}: done" if step.done else step.findings[0].line(),
        "findings": [*told, *report(module, remover.lost)],
    }


def main() -> None:
    """Entry point."""
    run(OPTIONS, remove)


if __name__ == "__main__":
    main()
