#!/usr/bin/python
# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module wait_for: documentation, and one bounded step of a wait; the action plugin repeats it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: wait_for
short_description: Wait until objects are ready, and say why they are not
version_added: 0.1.0
description:
  - Waits until Kubernetes objects are ready, exist or are gone.
  - A Deployment is ready when a full set of replicas of its newest template is available. Replicas that an autoscaler
    adds beyond its minimum are not waited for.
  - A ScaledObject is ready when KEDA says so, no fallback stands in for a metric, and its HorizontalPodAutoscaler holds
    a value for each of its metrics. One that is paused by an annotation is ready, with a warning.
  - A ClusterPolicy of the GPU Operator is ready when it says so for the reason C(Reconciled). It also calls itself
    ready without any GPU node and without node discovery; see O(accept).
  - A NodePool, a NodeClaim, a node class of AWS or Azure and a Node are ready when their condition says so. Other kinds
    are ready when they exist.
  - Waits of more than a few seconds print their progress. On expiry the message names the most likely reason, taken
    from pods, nodes and autoscalers.
  - Warns of replicas that run on other nodes of Karpenter than they should, because those could not be had.
options:
  objects:
    description:
      - The objects to wait for, each with C(api_version), C(kind), C(namespace) (none if cluster-scoped) and C(name).
      - The value C(objects) that M(gpufleet.llm.apply) returns fits as it is. What it deleted is only waited for with
        O(until=gone).
    type: list
    elements: dict
    required: true
  until:
    description: What to wait for.
    type: str
    choices: [ready, exists, gone]
    default: ready
  timeout:
    description: How long to wait at most, such as V(90s) or V(1h30m). On expiry the task fails.
    type: str
    default: 20m
  accept:
    description:
      - Further reasons for which a ClusterPolicy is ready. With V(NoGPUNodes) a cluster without a GPU node is all
        right, as where Karpenter buys all of them.
    type: list
    elements: str
    choices: [NoGPUNodes]
    default: []
  patience:
    description:
      - How long a pod may have an image that cannot be pulled, a container that ends again and again or a missing
        Secret before the wait is given up early. Counted from the start of the wait, or from when the pod got its node
        or was last ready if that is later.
    type: str
    default: 10m
extends_documentation_fragment:
  - gpufleet.llm.fleet.cluster
  - gpufleet.llm.attributes
attributes:
  check_mode:
    description: Looks once. Is skipped, with the reason, where something is still to be waited for.
  diff_mode:
    support: none
    description: Changes nothing.
author:
  - gpufleet.llm contributors (@gpufleet)
"""

EXAMPLES = r"""
- name: Apply the models
  gpufleet.llm.apply:
    component: vllm
    cluster: "{{ gpufleet_cluster }}"
    pools: "{{ gpufleet_pools }}"
    models: "{{ gpufleet_models }}"
  register: applied

- name: Wait until they serve
  gpufleet.llm.wait_for:
    cluster: "{{ gpufleet_cluster }}"
    objects: "{{ applied.objects }}"
    timeout: 30m

- name: Wait until a namespace is gone
  gpufleet.llm.wait_for:
    cluster: "{{ gpufleet_cluster }}"
    objects:
      - api_version: v1
        kind: Namespace
        name: inference
    until: gone
"""

RETURN = r"""
verdict:
  description: C(ready), C(waiting) when time ran out, or C(broken) when waiting longer would not have helped.
  returned: always
  type: str
  sample: ready
done:
  description: Whether nothing is left to wait for.
  returned: success
  type: bool
  sample: true
progress:
  description: What is ready, or what is still waited for and how far it is.
  returned: success
  type: str
  sample: Deployment inference/llama (1 of 2 replicas available) and 1 more
waited_s:
  description: How long the wait took, in seconds.
  returned: success
  type: float
  sample: 93.5
findings:
  description: Why objects are not ready, the most likely reason first, each with a stable id, severity, object, field,
    message and fix.
  returned: always
  type: list
  elements: dict
  sample:
    - id: image-pull
      severity: warning
      object: Pod inference/llama-6d5f9c7b8-x2x7k
      field: ""
      message: "container vllm cannot get its image vllm/vllm-openai:v0.99.0: ImagePullBackOff"
      fix: Correct the image, or give the nodes access to its registry.
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import connect, report, run
from ..module_utils._wait import Until, Waiter, parse_options
from ..module_utils.fleet.parse import parse_fleet
from ..module_utils.objects.gpu_operator import NO_GPU_NODES

#: A step notices readiness within a poll, and ends before a person misses its progress line.
_STEP_S = 8
_CALL_S = 4

OPTIONS = {
    "cluster": {"type": "raw", "required": True},
    "objects": {"type": "list", "elements": "dict", "required": True},
    "until": {"type": "str", "default": "ready", "choices": [until.value for until in Until]},
    "timeout": {"type": "str", "default": "20m"},
    "accept": {"type": "list", "elements": "str", "default": [], "choices": [NO_GPU_NODES]},
    "patience": {"type": "str", "default": "10m"},
}


def wait_for(module: AnsibleModule) -> dict[str, object]:
    """Look for at most one step, and say how far it is."""
    options, fleet = parse_options(module.params), parse_fleet(module.params["cluster"])
    # A silent API server must not make a step longer than a step may be: the action plugin tries again.
    cluster = connect(fleet, timeout_s=_CALL_S, patience_s=_CALL_S)
    step = Waiter(cluster, options).step(0 if module.check_mode else min(_STEP_S, options.timeout_s))
    return {
        "changed": False,
        "done": step.done,
        "verdict": step.verdict.value,
        "progress": step.progress,
        "next": 0,
        "timeout_s": options.timeout_s,
        "patience_s": options.patience_s,
        "msg": step.progress if step.done else step.findings[0].line(),
        "findings": report(module, step.findings) if step.done else [entry.to_dict() for entry in step.findings],
    }


def main() -> None:
    """Entry point."""
    run(OPTIONS, wait_for)


if __name__ == "__main__":
    main()
