# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declared fleet that playbooks run against."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from e2e import playbook
from e2e.playbook import Run

Json = dict[str, Any]
COMPONENTS = ("karpenter", "vllm", "keda")


@dataclass(frozen=True)
class Fleet:
    """``hosts`` has the variables of each host of the inventory; ``folder`` takes the files of the runs."""

    folder: Path
    hosts: Mapping[str, Json]

    def having(self, path: str, value: Any) -> Fleet:
        """A fleet with one value set on every host, as in ``gpufleet_models.0.replicas.max``; None removes it."""
        return replace(
            self, hosts={host: _set(declared, path.split("."), value) for host, declared in self.hosts.items()}
        )

    def site(self, *options: str, fails: bool | None = False, environment: Mapping[str, str] | None = None) -> Run:
        """The playbook that users run."""
        return self.run("gpufleet.llm.site", *options, fails=fails, environment=environment)

    def apply(self, *options: str, components: Sequence[str] = COMPONENTS, fails: bool = False, **more: Any) -> Run:
        """The module apply, once a component, without the roles' waiting. ``more`` are options of the module."""
        return self.run(play(*(apply_task(component, **more) for component in components)), *options, fails=fails)

    def run(
        self,
        what: str | Sequence[Json],
        *options: str,
        fails: bool | None = False,
        environment: Mapping[str, str] | None = None,
    ) -> Run:
        """A playbook by name, or plays."""
        return playbook.run(self.folder, what, self.inventory(), *options, fails=fails, environment=environment)

    def inventory(self) -> Path:
        file = self.folder / "hosts.json"
        file.write_text(json.dumps({"gpufleet": {"hosts": self.hosts}}))
        return file


def play(*tasks: Json) -> list[Json]:
    return [{"hosts": "gpufleet", "gather_facts": False, "tasks": list(tasks)}]


def apply_task(component: str, **more: Any) -> Json:
    """One task; ``more`` replaces or adds options of the module."""
    declared = {name: f"{{{{ gpufleet_{name} }}}}" for name in ("cluster", "pools", "models")}
    versions = {"versions": "{{ gpufleet_versions | default({}) }}"}
    return {"name": component, "gpufleet.llm.apply": {"component": component, **declared, **versions, **more}}


def _set(declared: Json, path: Sequence[str], value: Any) -> Json:
    result = copy.deepcopy(declared)
    parent: Any = result
    for step in path[:-1]:
        parent = parent[int(step)] if isinstance(parent, list) else parent.setdefault(step, {})
    last: Any = int(path[-1]) if isinstance(parent, list) else path[-1]
    if value is None:
        del parent[last]
    else:
        parent[last] = value
    return result
