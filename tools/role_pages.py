# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README of each role, from its argument spec and its defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from stage import ROOT

ABOUT: dict[str, list[str]] = {
    "preflight": [
        "Checks the declaration against itself and against the cluster, and reports every error at once.",
        "Writes nothing. Warns of what costs money or availability, and names the versions that it found.",
    ],
    "gpu_operator": [
        "Installs the chart of the vendor in a pinned version, as a release of a fixed name.",
        "Waits until the operator has made the GPUs usable. An operator of somebody else's is refused by name.",
    ],
    "karpenter": [
        "Applies a NodePool for each pool with instance types, its node class, and placeholders for warm nodes.",
        "Does nothing for pools with a node selector: their nodes exist. Waits until Karpenter accepts the pools.",
    ],
    "mig": [
        "Applies the ConfigMap of MIG layouts, and changes the nodes of pools with a node selector, some at a time.",
        "A node is cordoned, drained, cut, checked and given back; or taken back to what it was.",
        "Nodes that Karpenter buys are born with their layout, and replaced for another one.",
    ],
    "vllm": [
        "Applies a Deployment, a Service and a PodDisruptionBudget for each model.",
        "Probes and grace follow from the declared durations. Waits until the replicas serve.",
    ],
    "keda": [
        "Applies a ScaledObject for each model with a range of replicas. The model has to be there.",
        "Waits until the autoscaler has seen a metric.",
    ],
}
"""What each role does."""

_LONGEST = 60
PARTS = ("cluster", "pools", "models", "versions")


def page(role: str, spec: Mapping[str, Any]) -> str:
    """Content of a role's README.md, from what its meta/argument_specs.yml holds."""
    entries = spec["argument_specs"]
    options, title = entries["main"]["options"], entries["main"]["short_description"]
    lines = ["<!-- Written by tools/generate.py. -->", f"# gpufleet.llm.{role}", "", f"{title}.", "", *ABOUT[role], ""]
    lines += ["## Variables", "", *_table(role, options), ""]
    lines += ["Keys of the structured ones, with bounds and defaults: the guide *Variables* in `docs/docsite/rst`.", ""]
    lines += ["## Example", "", "```yaml", *_example(role, [part for part in PARTS if f"{role}_{part}" in options])]
    lines += ["```", "", "## Uninstall", "", *_uninstall(role, entries.get("uninstall"))]
    return "\n".join(lines) + "\n"


def _table(role: str, options: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    defaults = yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text())
    yield "| variable | type | default | what it is |"
    yield "|---|---|---|---|"
    for name, option in options.items():
        said = re.sub(r" Defaults to C\([^)]*\)\.", "", option["description"])
        about = re.sub(r"C\(([^)]*)\)", r"`\1`", said)
        choices = f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}." if "choices" in option else ""
        yield f"| `{name}` | {option['type']} | {_default(defaults[name])} | {about}{choices} |"


def _default(value: Any) -> str:
    """A default as people read it: the variable that it comes from, and what holds without that."""
    found = re.fullmatch(r"\{\{ (\w+)(?: \| default\((.*)\))? \}\}", value) if isinstance(value, str) else None
    if not found:
        text = yaml.dump(value, default_flow_style=True, width=1000).splitlines()[0] if value != "" else ""
        # The address of a vendor stands in one place.
        if len(text) > _LONGEST or "://" in text:
            return "as in `defaults/main.yml`"
        return f"`{text}`" if text else ""
    return f"`{found[1]}`" + (f", else `{found[2]}`" if found[2] else "")


def _example(role: str, parts: list[str]) -> Iterator[str]:
    yield f"- name: The role {role} alone, with variables of another declaration"
    yield "  hosts: clusters"
    yield "  gather_facts: false"
    yield "  roles:"
    yield f"    - role: gpufleet.llm.{role}"
    yield "      vars:"
    for part in parts:
        yield f'        {role}_{part}: "{{{{ my_{part} }}}}"'


def _uninstall(role: str, entry: Mapping[str, Any] | None) -> Iterator[str]:
    if entry is None:
        yield "There is nothing to take away."
        return
    yield "Takes away what the role wrote for this cluster, and nothing else."
    yield "The playbook `gpufleet.llm.uninstall` does so for all roles, in order."
    yield ""
    yield "```yaml"
    yield f"- name: Take away what the role {role} wrote"
    yield "  ansible.builtin.include_role:"
    yield f"    name: gpufleet.llm.{role}"
    yield "    tasks_from: uninstall"
    yield "```"
    yield ""
    yield from _table(role, entry["options"])
