#!/usr/bin/python
# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module apply: documentation and glue."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: apply
short_description: Apply one component of a GPU fleet to its cluster
version_added: 0.1.0
description:
  - Builds the Kubernetes objects that follow from a fleet declaration, and applies those that differ.
  - Every object is admitted by the API server in a dry-run before the first one is written.
  - A run that changes nothing sends no mutating request.
  - Bounds that a person recorded on a ScaledObject, in its annotation C(gpufleet.io/override), hold instead of the
    declared ones until they end. Every run names them, and the first one after their end removes the annotation.
options:
  component:
    description: The part of the fleet to apply.
    type: str
    required: true
    choices: [mig, karpenter, vllm, keda]
  prune:
    description:
      - Delete objects of this component that the declaration no longer asks for. Without it they are findings.
      - A NodePool on which GPU pods run is never deleted.
    type: bool
    default: false
  force_conflicts:
    description:
      - Take over fields that another field manager owns with another value. Without it they are errors.
      - Replica counts that an autoscaler owns are never taken over.
    type: bool
    default: false
extends_documentation_fragment:
  - gpufleet.llm.fleet
  - gpufleet.llm.fleet.cluster
  - gpufleet.llm.attributes
author:
  - gpufleet.llm contributors (@gpufleet)
"""

EXAMPLES = r"""
- name: Apply the node pools
  gpufleet.llm.apply:
    component: karpenter
    cluster: "{{ gpufleet_cluster }}"
    pools: "{{ gpufleet_pools }}"

- name: Apply the models, and delete what is no longer declared
  gpufleet.llm.apply:
    component: vllm
    cluster: "{{ gpufleet_cluster }}"
    pools: "{{ gpufleet_pools }}"
    models: "{{ gpufleet_models }}"
    prune: true
"""

RETURN = r"""
verdict:
  description: C(ready) when everything is applied, C(broken) when an object was refused.
  returned: always
  type: str
  sample: ready
findings:
  description: What a person should know, each with a stable id, severity, object, field, message and fix.
  returned: always
  type: list
  elements: dict
  sample:
    - id: orphan
      severity: warning
      object: NodePool old
      field: ""
      message: is no longer declared
      fix: Declare it again, or run with gpufleet_prune=true to delete it.
objects:
  description: Every object, what was done to it, and the fields that differ.
  returned: success
  type: list
  elements: dict
  sample:
    - api_version: keda.sh/v1alpha1
      kind: ScaledObject
      namespace: inference
      name: llama
      action: update
      diff:
        - field: spec.maxReplicaCount
          before: 4
          after: 8
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._apply import Applier, Options
from ..module_utils._module import FLEET_OPTIONS, connect, fleet_of, report, run
from ..module_utils.converge.plan import done, summary
from ..module_utils.objects.build import COMPONENTS, idle

OPTIONS = {
    **FLEET_OPTIONS,
    "component": {"type": "str", "required": True, "choices": list(COMPONENTS)},
    "prune": {"type": "bool", "default": False},
    "force_conflicts": {"type": "bool", "default": False},
}


def apply(module: AnsibleModule) -> dict[str, object]:
    """Apply, and say what was done."""
    params, fleet = module.params, fleet_of(module)
    options = Options(check=module.check_mode, prune=params["prune"], force=params["force_conflicts"])
    applier = Applier(connect(fleet), fleet, params["component"], options)
    changes = applier.run()
    actions = [change.action for change in changes]
    said = summary(actions, module.check_mode) if actions else idle(params["component"], fleet)
    return {
        **done(changes),
        "verdict": "ready",
        "msg": f"{params['component']}: {said}",
        "findings": report(module, applier.findings),
    }


def main() -> None:
    """Entry point."""
    run(OPTIONS, apply)


if __name__ == "__main__":
    main()
