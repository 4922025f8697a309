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
  - Where the run installs charts, also refuses what stands in their way, such as a component that somebody else has
    installed, a release that another Helm may be at work on, or a controller without Helm.
  - Warns of versions outside the tested ones, of a Prometheus that does not answer the controller, of autoscalers that
    are paused, of overrides that ask for more than the pools can hold, and of choices that cost money or availability.
options:
  components:
    description: The parts of the fleet that the run will apply.
    type: list
    elements: str
    choices: [mig, karpenter, vllm, keda]
    default: [mig, karpenter, vllm, keda]
  installs:
    description:
      - Charts that the run may install, each with those options of M(gpufleet.llm.helm_release) that decide whether it
        can.
    type: list
    elements: dict
    default: []
    suboptions:
      component:
        description: What is installed.
        type: str
        required: true
        choices: [gpu_operator, karpenter_crd, karpenter, keda]
      enabled:
        description: Whether the run installs it.
        type: bool
        default: true
      chart_ref:
        description: The chart; that of the provider of Karpenter by default.
        type: str
      namespace:
        description: Namespace of the release; that of the vendor by default.
        type: str
      timeout:
        description: How long every single wait of Helm may take.
        type: str
        default: 20m
      helm_binary:
        description: Path of helm; that on the path of the controller if absent.
        type: str
      values:
        description: Those values of the chart that decide whether it can be installed, which is C(crds) of KEDA.
        type: dict
        default: {}
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
adopted:
  description: Components that are there and that the run does not install, and whose they are. They stay as they are.
  returned: success
  type: dict
  sample:
    KEDA: Helm release platform/autoscaling
    GPU Operator: not installed by Helm
calls_checked:
  description: How many different calls were checked against the permissions of the user.
  returned: success
  type: int
  sample: 31
"""

from collections.abc import Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import FLEET_OPTIONS, fleet_of, login, report, run
from ..module_utils._preflight import Preflight
from ..module_utils._prometheus import instant_query
from ..module_utils.errors import PreflightError
from ..module_utils.findings import Verdict, verdict_of
from ..module_utils.objects.build import COMPONENTS
from ..module_utils.releases.charts import CHARTS, parse_install

#: Nothing is lost yet, and a wrong address is the likeliest reason for one that does not answer.
_PATIENCE_S = 5.0

OPTIONS = {
    **FLEET_OPTIONS,
    "components": {
        "type": "list",
        "elements": "str",
        "choices": list(COMPONENTS),
        "default": list(COMPONENTS),
    },
    "installs": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "component": {"type": "str", "required": True, "choices": list(CHARTS)},
            "enabled": {"type": "bool", "default": True},
            "chart_ref": {"type": "str"},
            "namespace": {"type": "str"},
            "timeout": {"type": "str", "default": "20m"},
            "helm_binary": {"type": "str"},
            "values": {"type": "dict", "default": {}},
        },
    },
}


def preflight(module: AnsibleModule) -> dict[str, object]:
    """Check everything. Raises PreflightError with all findings if one of them is an error."""
    fleet = fleet_of(module)
    cluster = login(fleet, patience_s=_PATIENCE_S)
    installs = [parse_install(entry, fleet) for entry in module.params["installs"] if entry["enabled"]]
    checks = Preflight(cluster, fleet, module.params["components"], installs, query=instant_query)
    findings = checks.run()
    verdict = verdict_of(findings)
    if verdict is Verdict.BROKEN:
        raise PreflightError(findings)
    return {
        "changed": False,
        "verdict": verdict.value,
        "msg": f"{len(findings)} findings, no error among them{_kept(checks.adopted)}",
        "findings": report(module, findings),
        "versions": checks.versions,
        "adopted": checks.adopted,
        "calls_checked": checks.calls_checked,
    }


def _kept(adopted: Mapping[str, str]) -> str:
    """What is used as it is, and whose it is."""
    return "; used as they are: " + ", ".join(f"{name} ({owner})" for name, owner in adopted.items()) if adopted else ""


def main() -> None:
    """Entry point."""
    run(OPTIONS, preflight)


if __name__ == "__main__":
    main()
