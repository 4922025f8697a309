#!/usr/bin/python
# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module render: documentation and glue."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: render
short_description: Write the Kubernetes objects of a GPU fleet to files
version_added: 0.1.0
description:
  - Writes the objects that M(gpufleet.llm.apply) would apply, one a file, for a repository that a GitOps tool watches.
  - Needs no cluster. Equal declarations give equal files, in names, order and content.
  - Removes files that it wrote before and that the declaration no longer asks for; files of others stay.
options:
  cluster:
    description: The cluster, as in the inventory variable C(gpufleet_cluster). It is not asked.
    type: raw
    required: true
  dest:
    description:
      - Folder to write to, made if it does not exist. Give each cluster its own.
    type: path
    required: true
  components:
    description: The parts of the fleet to write.
    type: list
    elements: str
    choices: [mig, karpenter, vllm, keda]
    default: [mig, karpenter, vllm, keda]
requirements:
  - python >= 3.9
  - PyYAML
extends_documentation_fragment:
  - gpufleet.llm.fleet
  - gpufleet.llm.attributes
author:
  - gpufleet.llm contributors (@gpufleet)
"""

EXAMPLES = r"""
- name: Render the fleet for a GitOps repository
  gpufleet.llm.render:
    dest: "deploy/{{ gpufleet_cluster.name }}"
    cluster: "{{ gpufleet_cluster }}"
    pools: "{{ gpufleet_pools }}"
    models: "{{ gpufleet_models }}"
"""

RETURN = r"""
verdict:
  description: C(ready) when the files are written, C(broken) when one cannot be.
  returned: always
  type: str
  sample: ready
findings:
  description: What a person should know, each with a stable id, severity, object, field, message and fix.
  returned: always
  type: list
  elements: dict
  sample: []
files:
  description: Every file in the order of a run, relative to O(dest), and what was done to it.
  returned: success
  type: list
  elements: dict
  sample:
    - path: 10-karpenter/NodePool-h100.yaml
      action: create
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _render
from ..module_utils._module import FLEET_OPTIONS, fleet_of, report, require, run
from ..module_utils.checks.declaration import declaration_findings
from ..module_utils.checks.scaling import scaling_findings
from ..module_utils.converge.plan import Action, summary
from ..module_utils.errors import RenderError
from ..module_utils.findings import Verdict, errors_first, verdict_of
from ..module_utils.objects.build import COMPONENTS
from ..module_utils.objects.manifests import manifests

OPTIONS = {
    **FLEET_OPTIONS,
    "dest": {"type": "path", "required": True},
    "components": {"type": "list", "elements": "str", "choices": list(COMPONENTS), "default": list(COMPONENTS)},
}


def render(module: AnsibleModule) -> dict[str, object]:
    """Write the files, and say what was done."""
    fleet, dest, components = fleet_of(module), module.params["dest"], module.params["components"]
    findings = scaling_findings(fleet, COMPONENTS["keda"].build(fleet)) if "keda" in components else []
    if verdict_of(findings) is Verdict.BROKEN:
        raise RenderError(errors_first(findings))
    changes = _render.plan(dest, manifests(fleet, components), components)
    if not module.check_mode:
        _render.write(dest, changes)
    actions = [change.action for change in changes]
    return {
        "changed": any(action is not Action.UNCHANGED for action in actions),
        "verdict": "ready",
        "msg": f"{dest}: {summary(actions, module.check_mode)}",
        "findings": report(module, [*declaration_findings(fleet), *findings]),
        "files": [{"path": change.path, "action": change.action.value} for change in changes],
        "diff": _render.ansible_diff(dest, changes),
    }


def main() -> None:
    """Entry point."""
    run(OPTIONS, render, needs=lambda module: require(module, "PyYAML", _render.IMPORT_ERROR))


if __name__ == "__main__":
    main()
