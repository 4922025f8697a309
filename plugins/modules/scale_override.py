#!/usr/bin/python
# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module scale_override: documentation and glue."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: scale_override
short_description: Record other bounds for a model, for a while
version_added: 0.1.0
description:
  - Writes the annotation C(gpufleet.io/override) of the ScaledObject of a model, and an Event that says so. It writes
    nothing else, and no replica count.
  - The bounds follow when M(gpufleet.llm.apply) runs for the component C(keda), as C(gpufleet.llm.scale) does. The
    first such run after the end gives the declared bounds back.
  - In check mode it makes a plan, which says what would be written, and what that would come to. Given as O(plan) to a
    later run, the plan is carried out as it was made, or refused when it is too old or the cluster has moved on.
options:
  model:
    description: Name of a declared model that is autoscaled.
    type: str
  state:
    description: C(present) records bounds, C(absent) gives the declared ones back before the end.
    type: str
    choices: [present, absent]
    default: present
  min:
    description: Fewest replicas.
    type: int
  max:
    description: Most replicas.
    type: int
  until:
    description: When it ends, in UTC, such as C(2026-12-24T18:00:00Z). Either this or O(for).
    type: str
  for:
    description:
      - How long it lasts, such as C(4h). The same bounds by the same person for the same reason that are recorded
        already stay as they are and end when they did. Give O(until) to move their end.
    type: str
  who:
    description: Who decides.
    type: str
  why:
    description: Why.
    type: str
  plan:
    description: A plan that this module made. It stands for all options above.
    type: dict
  plan_max_age:
    description: Oldest plan to carry out.
    type: str
    default: 30m
extends_documentation_fragment:
  - gpufleet.llm.fleet
  - gpufleet.llm.fleet.cluster
  - gpufleet.llm.attributes
author:
  - gpufleet.llm contributors (@gpufleet)
"""

EXAMPLES = r"""
- name: Plan four replicas at least for the launch
  gpufleet.llm.scale_override:
    cluster: "{{ gpufleet_cluster }}"
    pools: "{{ gpufleet_pools }}"
    models: "{{ gpufleet_models }}"
    model: llama-70b
    min: 4
    max: 12
    until: "2026-12-24T18:00:00Z"
    who: oncall
    why: launch day
  check_mode: true
  register: planned

- name: Record what was planned
  gpufleet.llm.scale_override:
    cluster: "{{ gpufleet_cluster }}"
    pools: "{{ gpufleet_pools }}"
    models: "{{ gpufleet_models }}"
    plan: "{{ planned.plan }}"
"""

RETURN = r"""
verdict:
  description: C(ready) when it is recorded, C(broken) when it was refused.
  returned: always
  type: str
  sample: ready
findings:
  description: What a person should know, each with a stable id, severity, object, field, message and fix.
  returned: always
  type: list
  elements: dict
  sample:
    - id: override-beyond-pools
      severity: warning
      object: ScaledObject inference/llama-70b
      field: metadata.annotations.gpufleet.io/override.max
      message: allows 12 replicas of 4 GPUs, but h100 can hold 8 at most
      fix: Raise nodes.max or add nodes, or decide for less.
text:
  description: The plan for people, a line each.
  returned: success
  type: list
  elements: str
  sample:
    - ScaledObject inference/llama-70b in cluster east
    - "Now:  2 to 6 replicas, as declared; 3 asked for."
    - "Plan: 4 to 12 replicas until 2026-12-24T18:00:00Z, by oncall (launch day)."
plan:
  description: The plan as data, which C(set_stats) can carry to another job.
  returned: success
  type: dict
  sample:
    cluster: east
    namespace: inference
    model: llama-70b
    generation: 3
    made_at: "2026-12-24T08:00:00Z"
bounds:
  description: What holds after it.
  returned: success
  type: dict
  sample:
    min: 4
    max: 12
objects:
  description: The ScaledObject, what was done to it, and the fields that differ.
  returned: success
  type: list
  elements: dict
  sample:
    - api_version: keda.sh/v1alpha1
      kind: ScaledObject
      namespace: inference
      name: llama-70b
      action: update
      diff: []
"""

from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import FLEET_OPTIONS, connect, fleet_of, report, run
from ..module_utils._scale import Scaler
from ..module_utils.converge.plan import done
from ..module_utils.converge.scale import age_of, bounds_after, parse_plan, parse_wish, summary, told, wish_of

OPTIONS = {
    **FLEET_OPTIONS,
    "model": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "min": {"type": "int"},
    "max": {"type": "int"},
    "until": {"type": "str"},
    "for": {"type": "str"},
    "who": {"type": "str"},
    "why": {"type": "str"},
    "plan": {"type": "dict"},
    "plan_max_age": {"type": "str", "default": "30m"},
}


def scale(module: AnsibleModule) -> dict[str, object]:
    """Plan, and carry out that plan or the one that is given."""
    params, fleet = module.params, fleet_of(module)
    max_age_s = age_of(params["plan_max_age"])
    given = parse_plan(params["plan"]) if params["plan"] else None
    wish = wish_of(given, fleet) if given else parse_wish(params, fleet, datetime.now(timezone.utc))
    scaler = Scaler(connect(fleet), fleet)
    fresh = scaler.plan(wish)
    plan = given if given and fresh.changed else fresh
    change = scaler.carry_out(plan, fresh, max_age_s, module.check_mode)
    return {
        **done([change]),
        "verdict": "ready",
        "msg": summary(plan, wish.model, module.check_mode),
        "text": told(plan, wish.model, scaler.findings),
        "plan": plan.to_dict(),
        "bounds": bounds_after(plan, wish.model),
        "findings": report(module, scaler.findings),
    }


def main() -> None:
    """Entry point."""
    run(OPTIONS, scale)


if __name__ == "__main__":
    main()
