#!/usr/bin/python
# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module replica_target_info: documentation and glue."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: replica_target_info
short_description: Say how many replicas an autoscaler will want next, and why
version_added: 0.1.0
description:
  - Reads ScaledObjects of KEDA with their HorizontalPodAutoscalers, workloads, pods and metrics, and computes what both
    controllers decide next. Writes nothing.
  - Says which limit made the count what it is (tolerance, stabilization window, policy, minimum, maximum, a missing
    metric), until when, and when the count can move next.
  - Asks Prometheus what KEDA asks it, at the address that is the controller's own. Triggers of other types than
    C(prometheus), and those whose C(serverAddress) is not the declared C(in_cluster_url), have no value here.
  - What the HorizontalPodAutoscaler remembers is in no object. It is played again from its events of the last hour and
    from the metrics in Prometheus, and C(complete) is false where these do not reach back.
  - Flags of the kube-controller-manager cannot be read. Its tolerance is taken to be 10 %, its window for scaling down
    5 minutes, and its period 15 s, which are the usual ones. O(given) takes others.
  - Where the models are declared, also says how many requests one replica can hold, by its KV cache and by the lengths
    of requests in the last hour, and warns of a declared concurrency that is more than 25 % off.
  - Fails where a ScaledObject cannot work, has a trigger of type C(cpu) or C(memory), or lacks a trigger that
    O(what_if) or O(history) names. The others are in the result all the same.
options:
  cluster:
    description:
      - The cluster, as in the inventory variable C(gpufleet_cluster). Its keys are listed in the guide on variables.
      - Login is by C(cluster.auth), else by C(K8S_AUTH_*) variables, else by the service account of the pod.
      - Required without O(given).
    type: raw
  namespace:
    description: Namespace of the ScaledObjects. Required without O(given).
    type: str
  name:
    description: Name of one ScaledObject. All of the namespace are meant if neither this nor O(label_selector) is set.
    type: str
  label_selector:
    description: Labels of the ScaledObjects, such as C(gpufleet.io/model=llama).
    type: str
  given:
    description:
      - One situation or a list of them, written down instead of read. Neither a cluster nor a Prometheus is asked.
      - Each holds C(scaled_object) (its manifest), C(values) (by the name of a trigger; null for a source that fails)
        and C(replicas); and where they matter C(hpa), C(status_replicas), C(ready), C(recommendations) and C(events)
        (what the HorizontalPodAutoscaler remembers, each with an C(age)), C(last_active), C(now) and C(controller)
        (C(version), C(tolerance), C(downscale_stabilization)).
    type: raw
  what_if:
    description:
      - Also say what would be decided in the same situation with something changed.
      - Any of C(values) (of metrics, by the name of a trigger), C(replicas) (wanted, existing and ready), C(min),
        C(max), C(threshold) (by the name of a trigger) and C(behavior) (as a whole).
    type: dict
  history:
    description:
      - Also play the metrics of the last C(hours) (24 by default) through the algorithm, with the configuration that is
        there and with the one in C(proposed), which takes C(min), C(max), C(threshold) and C(behavior).
      - C(start_up) is how long a new replica takes to be ready (V(0s) by default), C(step) the time between two samples
        (V(15s) by default); Prometheus answers with at most 11,000 samples, which at V(15s) is 45 hours.
      - Both begin with the count of now, within the bounds of each configuration. The metrics are taken as they were,
        although another count would have changed them.
    type: dict
  query:
    description: A JMESPath expression, of which C(selected) is what it finds in C(targets).
    type: str
extends_documentation_fragment:
  - gpufleet.llm.fleet
  - gpufleet.llm.attributes
requirements:
  - python >= 3.9
  - kubernetes >= 33.1, without O(given)
  - the collection kubernetes.core >= 6.4.0, without O(given)
  - jmespath >= 1.0.1, with O(query)
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
- name: Ask why a model has the replicas that it has
  gpufleet.llm.replica_target_info:
    cluster: "{{ gpufleet_cluster }}"
    namespace: inference
    name: llama
  register: target

- name: Show the answer
  ansible.builtin.debug:
    var: target.targets[0].text

- name: List the targets of a namespace that are at their maximum
  gpufleet.llm.replica_target_info:
    cluster: "{{ gpufleet_cluster }}"
    namespace: inference
    query: "[?decision.bounds[?limit=='max']].name"

- name: See what a demand of 90 would do
  gpufleet.llm.replica_target_info:
    cluster: "{{ gpufleet_cluster }}"
    namespace: inference
    name: llama
    what_if:
      values:
        demand: 90

- name: Compare another threshold on the metrics of the last day
  gpufleet.llm.replica_target_info:
    cluster: "{{ gpufleet_cluster }}"
    namespace: inference
    name: llama
    history:
      hours: 24
      start_up: 4m
      proposed:
        threshold:
          demand: 16

- name: Compute a target without any cluster
  gpufleet.llm.replica_target_info:
    given:
      scaled_object: "{{ lookup('ansible.builtin.file', 'scaledobject.yml') | from_yaml }}"
      values:
        demand: 21
      replicas: 4
"""

RETURN = r"""
verdict:
  description: Always C(ready) for a result; C(broken) for a failure.
  returned: always
  type: str
  sample: ready
findings:
  description: What could not be seen or has no value, each with a stable id, severity, object, field, message and fix.
  returned: always
  type: list
  elements: dict
  sample: []
targets:
  description: What is decided next for each target, by name.
  returned: success, and where only some ScaledObjects are refused
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the ScaledObject.
      type: str
    name:
      description: Name of the ScaledObject.
      type: str
    current:
      description: Replicas that are wanted now.
      type: int
    desired:
      description: Replicas that will be wanted after the next look of the controllers.
      type: int
    text:
      description: Why, in plain lines.
      type: list
      elements: str
    decision:
      description:
        - What each trigger asks for, which limits bound the result in the order in which they acted, and when the count
          can move next.
        - Times are in UTC. Values and thresholds have the unit of the metric, C(ratio) is use over target, and between
          C(low) and C(high) the metric changes nothing.
      type: dict
    what_if:
      description: The same keys from C(current) on, with O(what_if) applied.
      type: dict
    capacity:
      description:
        - How many requests fit well into one replica (C(concurrency)), and how that follows (C(formula)), from the
          tokens in its KV cache (C(kv_tokens)), those of a request (C(request_tokens), null where none was observed)
          and C(max_num_seqs). For a declared model whose replicas tell their KV cache.
      type: dict
    history:
      description:
        - What the metrics of O(history) would have led to, C(configured) and C(proposed), in C(replica_hours),
          C(changes), C(direction_flips), C(at_max_s), C(below_demand_s) (fewer replicas were ready than the metrics
          asked for), C(no_data_s) (a trigger had no value, so that the course is a guess), C(lowest), C(highest) and a
          C(timeline); and in plain lines in C(text). A finding warns where more than 10 % of the time had no value.
      type: dict
  sample:
    - namespace: inference
      name: llama
      current: 4
      desired: 4
      text:
        - "4, not 5: demand 21 is within 10 % of 4 x 5."
selected:
  description: What O(query) finds.
  returned: success and with O(query)
  type: raw
  sample: [llama]
"""

import traceback
from time import time
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import FLEET_OPTIONS, connect, fail, fleet_of, report, require, require_client, run
from ..module_utils._replicas import answers, parse_options, summary
from ..module_utils._targets import Reader
from ..module_utils.errors import InvalidInput
from ..module_utils.findings import Finding, Severity, errors_first, verdict_of
from ..module_utils.fleet.types import Fleet

JMESPATH_ERROR: Optional[str] = None
try:
    import jmespath
except ImportError:
    JMESPATH_ERROR = traceback.format_exc()

#: A question to a person's terminal should not wait for a server that is replaced.
_PATIENCE_S = 5.0

OPTIONS = {
    **FLEET_OPTIONS,
    # Not required with situations that are given.
    "cluster": {"type": "raw"},
    "namespace": {"type": "str"},
    "name": {"type": "str"},
    "label_selector": {"type": "str"},
    "given": {"type": "raw"},
    "what_if": {"type": "dict"},
    "history": {"type": "dict"},
    "query": {"type": "str"},
}


def replica_target_info(module: AnsibleModule) -> dict[str, Any]:
    """Answer for every target. Raises InvalidInput and ClusterError."""
    options, expression = parse_options(module.params), _expression(module)
    fleet = fleet_of(module) if options.selection is not None else None
    reader = _reader(fleet) if fleet else None
    targets, refused = reader.targets(options.selection) if reader and options.selection else (options.given, [])
    results, found, unanswered = answers(targets, options, reader, fleet)
    findings, refused = errors_first(found), [*refused, *unanswered]
    selected = {} if expression is None else {"selected": _select(expression, results)}
    if refused:
        fail(module, InvalidInput(refused), report(module, findings), {"targets": results, **selected})
    return {
        "changed": False,
        "verdict": verdict_of(findings).value,
        "msg": summary(results),
        "findings": report(module, findings),
        "targets": results,
        **selected,
    }


def _libraries(module: AnsibleModule) -> None:
    if module.params["given"] is None:
        require_client(module)
    if module.params["query"] is not None:
        require(module, "jmespath >= 1.0.1", JMESPATH_ERROR)


def _reader(fleet: Fleet) -> Reader:
    if fleet.cluster.prometheus is None:
        raise _invalid(
            "gpufleet_cluster.prometheus", "is required to read metrics", "Set its in_cluster_url, or its url."
        )
    return Reader(connect(fleet, patience_s=_PATIENCE_S), fleet.cluster.prometheus, int(time()))


def _expression(module: AnsibleModule) -> Any:
    """The compiled query, or None without one."""
    text = module.params["query"]
    if text is None:
        return None
    try:
        return jmespath.compile(text)
    except jmespath.exceptions.JMESPathError as error:
        raise _invalid("query", f"is no JMESPath expression: {str(error).splitlines()[0]}", "Correct it.") from error


def _select(expression: Any, results: list[dict[str, Any]]) -> Any:
    try:
        return expression.search(results)
    except jmespath.exceptions.JMESPathError as error:
        raise _invalid(
            "query", f"cannot be applied to targets: {' '.join(str(error).split())}", "Correct it."
        ) from error


def _invalid(field: str, message: str, fix: str) -> InvalidInput:
    return InvalidInput([Finding("invalid-input", Severity.ERROR, message, field=field, fix=fix)])


def main() -> None:
    """Entry point."""
    run(OPTIONS, replica_target_info, needs=_libraries)


if __name__ == "__main__":
    main()
