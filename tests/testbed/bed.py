# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running bed, as tests and tools see it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbed.api import Api
from testbed.audit import AuditLog
from testbed.layout import bed_directory, default_name


@dataclass(frozen=True)
class Bed:
    """What ``bed.json`` of a bed says. Paths are absolute.

    ``kubeconfig`` is the administrator's, ``kubeconfigs`` has one per user. ``uid`` is that of the namespace
    kube-system, by which a cluster is told from others. ``processes`` is how they were when ``up`` ended:
    ``python -m testbed status`` shows how they are. ``pod_network`` is ``127.A``: a pod of the vLLM stand-in
    with the address 10.A.B.C listens on 127.A.B.C. ``vllm_journal`` is the file to which that stand-in appends
    what happens to its pods, one JSON object a line. ``tools`` is the directory of helm and kubectl. ``versions``
    is the part of ``versions.py`` that it runs, with its name.
    """

    name: str
    kubeconfig: str
    kubeconfigs: Mapping[str, str]
    api_url: str
    ca: str
    uid: str
    prometheus_url: str
    audit_log: str
    ports: Mapping[str, int]
    pod_network: str
    vllm_journal: str
    tools: str
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    processes: tuple[Mapping[str, Any], ...]

    @classmethod
    def load(cls, name: str | None = None) -> Bed:
        """The bed ``name`` (default: GPUFLEET_BED, else "default"). Raises FileNotFoundError when it is not up."""
        content = json.loads((bed_directory(name or default_name()) / "bed.json").read_text())
        return cls(**{**content, "processes": tuple(content["processes"])})

    def save(self) -> None:
        """Write ``bed.json``, whole or not at all."""
        path = self.directory / "bed.json"
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n")
        partial.rename(path)

    @property
    def directory(self) -> Path:
        return bed_directory(self.name)

    def api(self, user: str = "admin") -> Api:
        """A new connection as ``user``: one of ``kubeconfigs``."""
        return Api.from_kubeconfig(self.kubeconfigs[user])

    def audit(self) -> AuditLog:
        return AuditLog(Path(self.audit_log), self.api())
