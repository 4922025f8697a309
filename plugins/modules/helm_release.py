#!/usr/bin/python
# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module helm_release: documentation and glue."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: helm_release
short_description: Work out the Helm release of a component, and clear the way for it
version_added: 0.1.0
description:
  - Returns name, version and values for M(kubernetes.core.helm), and what to wait for afterwards.
  - Fails where the cluster has the component from another release or without Helm, definitions that Helm would not take
    over, a ClusterPolicy that is not of the release, or a release that another Helm may be at work on.
  - A Helm that was killed leaves a record that locks its release for ever. Where the record is older than twice
    O(timeout), its Helm was killed or hangs, and it is marked as failed, as Helm itself does when it is interrupted.
    Nothing else is written.
options:
  component:
    description:
      - What is to be installed.
      - V(karpenter_crd) is the chart of Karpenter's definitions alone. Only with it does Helm also upgrade them.
    type: str
    required: true
    choices: [gpu_operator, karpenter_crd, karpenter, keda]
  chart_ref:
    description:
      - The chart, as M(kubernetes.core.helm) is given it.
      - That of the provider where it is absent or empty, for O(component=karpenter) and O(component=karpenter_crd).
    type: str
  namespace:
    description:
      - Namespace of the release. By default that of the vendor, which is C(gpu-operator), C(kube-system) for Karpenter
        and C(keda).
    type: str
  timeout:
    description:
      - How long every single wait of Helm may take, such as V(90s) or V(1h30m). A record of an unfinished Helm that is
        older than twice that counts as one of a Helm that was killed or hangs.
    type: str
    default: 20m
  helm_binary:
    description: Path of helm 3 or 4; that on the path of the controller if absent.
    type: str
  driver:
    description:
      - Who installs the NVIDIA driver and the container toolkit, for O(component=gpu_operator).
      - With V(host) they are part of the image of the nodes, as in NVIDIA's images for EKS, and the operator leaves
        both alone.
    type: str
    choices: [operator, host]
    default: operator
  mig_strategy:
    description:
      - How the device plugin names MIG devices, on all nodes, for O(component=gpu_operator).
      - By default what the layouts of the pools need, and V(single) where no pool has one.
    type: str
    choices: [none, single, mixed]
  tolerations:
    description:
      - Tolerations for taints of GPU nodes beyond C(nvidia.com/gpu) and the startup taint of a gated pool, for
        O(component=gpu_operator). They go to the operands and to node discovery, which the chart keeps in two lists.
    type: list
    elements: dict
    default: []
  values:
    description:
      - Values of the chart that are merged last. Lists replace those of the chart.
      - They are shown with C(-vvv) and returned as RV(chart_values). Passwords and tokens belong into a Secret that the
        chart refers to.
    type: dict
    default: {}
extends_documentation_fragment:
  - gpufleet.llm.fleet
  - gpufleet.llm.fleet.cluster
  - gpufleet.llm.attributes
attributes:
  check_mode:
    description: Says whether a record would be marked.
  diff_mode:
    support: none
    description: A record is Helm's own, and not readable.
author:
  - gpufleet.llm contributors (@gpufleet)
"""

EXAMPLES = r"""
- name: Work out the release
  gpufleet.llm.helm_release:
    component: gpu_operator
    chart_ref: ./gpu-operator
    cluster: "{{ gpufleet_cluster }}"
    pools: "{{ gpufleet_pools }}"
    driver: host
  register: release

- name: Install it
  kubernetes.core.helm:
    name: "{{ release.name }}"
    namespace: "{{ release.namespace }}"
    create_namespace: true
    chart_ref: "{{ release.chart_ref }}"
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
namespace:
  description: Namespace of the release.
  returned: success
  type: str
  sample: gpu-operator
version:
  description: Version of the chart.
  returned: success
  type: str
  sample: v26.7.0
chart_ref:
  description: The chart.
  returned: success
  type: str
  sample: ./gpu-operator
chart_values:
  description: Values of the chart. They hold no secrets unless O(values) does.
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

from ..module_utils._helm import Helm
from ..module_utils._module import FLEET_OPTIONS, connect, fleet_of, report, run
from ..module_utils.checks.versions import declared_findings
from ..module_utils.errors import PreflightError
from ..module_utils.findings import Verdict, errors_first, verdict_of
from ..module_utils.fleet.slices import MigStrategy
from ..module_utils.objects.gpu_operator import NO_GPU_NODES, Driver, may_have_no_gpus
from ..module_utils.releases.charts import CHARTS, parse_install, values_of, version_of

OPTIONS = {
    **FLEET_OPTIONS,
    "component": {"type": "str", "required": True, "choices": list(CHARTS)},
    "chart_ref": {"type": "str"},
    "namespace": {"type": "str"},
    "timeout": {"type": "str", "default": "20m"},
    "helm_binary": {"type": "str"},
    "driver": {"type": "str", "default": "operator", "choices": [entry.value for entry in Driver]},
    "mig_strategy": {"type": "str", "choices": [entry.value for entry in MigStrategy]},
    "tolerations": {"type": "list", "elements": "dict", "default": []},
    "values": {"type": "dict", "default": {}},
}


def helm_release(module: AnsibleModule) -> dict[str, object]:
    """Work out the release. Raises PreflightError with all that stands in its way."""
    fleet, params = fleet_of(module), module.params
    install = parse_install(params, fleet)
    version = version_of(install, fleet)
    helm = Helm(connect(fleet), install)
    findings = errors_first([*helm.obstacles(), *declared_findings({install.chart.role: version})])
    if verdict_of(findings) is Verdict.BROKEN:
        raise PreflightError(findings)
    empty = install.component == "gpu_operator" and may_have_no_gpus(fleet)
    return {
        "changed": helm.unlock(module.check_mode),
        "verdict": Verdict.READY.value,
        "msg": f"{install.release}, {version}",
        "findings": report(module, findings),
        "name": install.release.name,
        "namespace": install.namespace,
        "version": version,
        "chart_ref": install.chart_ref,
        "chart_values": values_of(install, fleet, params["driver"], params["mig_strategy"], params["tolerations"]),
        "ready": {"objects": [asdict(ref) for ref in install.ready()], "accept": [NO_GPU_NODES] if empty else []},
    }


def main() -> None:
    """Entry point."""
    run(OPTIONS, helm_release)


if __name__ == "__main__":
    main()
