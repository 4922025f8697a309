#!/usr/bin/python
# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module gpu_operator_release: documentation and glue."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gpu_operator_release
short_description: Work out the Helm release of the NVIDIA GPU Operator, and refuse a second operator
version_added: 0.1.0
description:
  - Returns name, version and values for M(kubernetes.core.helm), and what to wait for afterwards. Writes nothing.
  - Fails where the cluster has a GPU Operator of another release, a ClusterPolicy that is not of this release, or a
    release that Helm holds for being changed.
options:
  namespace:
    description: Namespace of the release.
    type: str
    default: gpu-operator
  driver:
    description:
      - Who installs the NVIDIA driver and the container toolkit.
      - With V(host) they are part of the image of the nodes, as in NVIDIA's images for EKS, and the operator leaves
        both alone.
    type: str
    choices: [operator, host]
    default: operator
  mig_strategy:
    description: How the device plugin names MIG devices, on all nodes.
    type: str
    choices: [none, single, mixed]
    default: single
  tolerations:
    description:
      - Tolerations for taints of GPU nodes beyond C(nvidia.com/gpu) and the startup taint of a gated pool. They go to
        the operands and to node discovery, which the chart keeps in two lists.
    type: list
    elements: dict
    default: []
  values:
    description: Values of the chart that are merged last. Lists replace those of the chart.
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
- name: Work out the release
  gpufleet.llm.gpu_operator_release:
    cluster: "{{ gpufleet_cluster }}"
    pools: "{{ gpufleet_pools }}"
    driver: host
  register: release

- name: Install it
  kubernetes.core.helm:
    name: "{{ release.name }}"
    namespace: gpu-operator
    create_namespace: true
    chart_ref: ./gpu-operator
    chart_version: "{{ release.version }}"
    values: "{{ release.chart_values }}"
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
  sample: []
name:
  description: Name of the release; it is fixed.
  returned: success
  type: str
  sample: gpu-operator
version:
  description: Version of the chart.
  returned: success
  type: str
  sample: v26.7.0
chart_values:
  description: Values of the chart.
  returned: success
  type: dict
  sample:
    driver: {enabled: false}
    toolkit: {enabled: false}
ready:
  description: What M(gpufleet.llm.wait_for) is to wait for, and which reasons it may accept.
  returned: success
  type: dict
  sample:
    accept: [NoGPUNodes]
    objects:
      - {api_version: nvidia.com/v1, kind: ClusterPolicy, name: cluster-policy}
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._gpu_operator import obstacles
from ..module_utils._module import FLEET_OPTIONS, connect, fleet_of, report, run
from ..module_utils.checks.gpu_operator import Release
from ..module_utils.checks.versions import version_findings
from ..module_utils.errors import PreflightError
from ..module_utils.findings import Severity, Verdict
from ..module_utils.objects.gpu_operator import (
    CLUSTER_POLICY,
    NAMESPACE,
    NO_GPU_NODES,
    RELEASE,
    Driver,
    MigStrategy,
    may_have_no_gpus,
    values,
)
from ..module_utils.objects.meta import Ref

OPTIONS = {
    **FLEET_OPTIONS,
    "namespace": {"type": "str", "default": NAMESPACE},
    "driver": {"type": "str", "default": "operator", "choices": [entry.value for entry in Driver]},
    "mig_strategy": {"type": "str", "default": "single", "choices": [entry.value for entry in MigStrategy]},
    "tolerations": {"type": "list", "elements": "dict", "default": []},
    "values": {"type": "dict", "default": {}},
}


def gpu_operator_release(module: AnsibleModule) -> dict[str, object]:
    """Work out the release. Raises PreflightError with all that stands in its way."""
    fleet, params = fleet_of(module), module.params
    own, version = Release(RELEASE, params["namespace"]), fleet.versions.gpu_operator
    findings = [*obstacles(connect(fleet), own), *version_findings({"GPU Operator": version})]
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise PreflightError(findings)
    objects = [Ref("apps/v1", "Deployment", own.namespace, RELEASE), CLUSTER_POLICY]
    driver, strategy = Driver(params["driver"]), MigStrategy(params["mig_strategy"])
    return {
        "changed": False,
        "verdict": Verdict.READY.value,
        "msg": f"{own}, {version}",
        "findings": report(module, findings),
        "name": own.name,
        "version": version,
        "chart_values": values(driver, strategy, params["tolerations"], params["values"]),
        "ready": {
            "objects": [asdict(ref) for ref in objects],
            "accept": [NO_GPU_NODES] if may_have_no_gpus(fleet) else [],
        },
    }


def main() -> None:
    """Entry point."""
    run(OPTIONS, gpu_operator_release)


if __name__ == "__main__":
    main()
