#!/usr/bin/python
# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module preflight: documentation and glue."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: preflight
short_description: Refuse what cannot work, before anything is written
version_added: 0.1.0
description:
  - Checks a fleet declaration against itself and against its cluster. Writes nothing.
  - Refuses a cluster with another uid than the declared one, an API that is not served, calls that the user of the run
    may not make, a second autoscaler on a workload, a startup taint that nothing removes, node classes that do not
    exist and pods that no existing node of their pool can take. All errors are reported at once.
  - Warns of versions outside the tested ones, of a Prometheus that does not answer the controller, of autoscalers that
    are paused, of overrides that ask for more than the pools can hold, and of choices that cost money or availability.
options:
  components:
    description: The parts of the fleet that the run will apply.
    type: list
    elements: str
    choices: [karpenter, vllm, keda]
    default: [karpenter, vllm, keda]
extends_documentation_fragment:
  - gpufleet.llm.fleet
  - gpufleet.llm.fleet.cluster
  - gpufleet.llm.attributes
attributes:
  check_mode:
    description: Does the same as in a normal run.
  diff_mode:
    support: none
    description: Changes nothing.
author:
  - gpufleet.llm contributors (@gpufleet)
"""

EXAMPLES = r"""
- name: Check all that the run needs
  gpufleet.llm.preflight:
    cluster: "{{ gpufleet_cluster }}"
    pools: "{{ gpufleet_pools }}"
    models: "{{ gpufleet_models }}"

- name: Check the node pools alone
  gpufleet.llm.preflight:
    cluster: "{{ gpufleet_cluster }}"
    pools: "{{ gpufleet_pools }}"
    components: [karpenter]
"""

RETURN = r"""
verdict:
  description: C(ready), or C(broken) when there is an error among the findings.
  returned: always
  type: str
  sample: ready
findings:
  description: What a person should know, errors first, each with a stable id, severity, object, field, message and fix.
  returned: always
  type: list
  elements: dict
  sample:
    - id: cluster-uid-missing
      severity: warning
      object: ""
      field: gpufleet_cluster.uid
      message: is not set, so that a wrong kubeconfig goes unnoticed
      fix: "Add this line to gpufleet_cluster: uid: 5f3a4f55-6c62-4b0c-8f5e-0a3f7d0a9f11"
versions:
  description: What runs, by component; null where a component does not say.
  returned: success
  type: dict
  sample:
    Kubernetes: v1.35.4
    KEDA: 2.20.2
    Karpenter: 1.14.3
    vLLM: 0.32.0
calls_checked:
  description: How many different calls were checked against the permissions of the user.
  returned: success
  type: int
  sample: 31
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import FLEET_OPTIONS, fleet_of, login, report, run
from ..module_utils._preflight import Preflight
from ..module_utils._prometheus import instant_query
from ..module_utils.errors import PreflightError
from ..module_utils.findings import Verdict, verdict_of
from ..module_utils.objects.build import COMPONENTS

OPTIONS = {
    **FLEET_OPTIONS,
    "components": {
        "type": "list",
        "elements": "str",
        "choices": list(COMPONENTS),
        "default": list(COMPONENTS),
    },
}


def preflight(module: AnsibleModule) -> dict[str, object]:
    """Check everything. Raises PreflightError with all findings if one of them is an error."""
    fleet = fleet_of(module)
    checks = Preflight(login(fleet), fleet, module.params["components"], query=instant_query)
    findings = checks.run()
    verdict = verdict_of(findings)
    if verdict is Verdict.BROKEN:
        raise PreflightError(findings)
    return {
        "changed": False,
        "verdict": verdict.value,
        "msg": f"{len(findings)} findings, no error among them",
        "findings": report(module, findings),
        "versions": checks.versions,
        "calls_checked": checks.calls_checked,
    }


def main() -> None:
    """Entry point."""
    run(OPTIONS, preflight)


if __name__ == "__main__":
    main()
