# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything of a bed is: directory, addresses, ports, files.

A bed is known by one number, 1 to 250, and everything that several beds must not share follows from it:
the second octet of its pod network and its block of ports, which lies below the range from which Linux
takes the ports of outgoing connections.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from testbed.versions import CHOSEN, CURRENT

HOST = "127.0.0.1"
NAMES = (
    "etcd",
    "etcd-peer",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "karpenter-metrics",
    "karpenter-health",
    "keda-operator-metrics",
    "keda-operator-health",
    "keda-operator-grpc",
    "keda-adapter",
    "keda-adapter-metrics",
    "keda-webhooks",
    "keda-webhooks-metrics",
    "keda-webhooks-health",
    "prometheus",
)
_FIRST_PORT = 10240
_PORTS_PER_BED = 64
_NUMBERS = range(1, 251)

REPOSITORY = Path(__file__).resolve().parents[2]


def bed_directory(name: str) -> Path:
    """State directory of the bed ``name``; it need not exist."""
    return REPOSITORY / "build" / "beds" / name


def default_name() -> str:
    """That of GPUFLEET_BED; else beds of later versions have another name, so that both can be up."""
    return os.environ.get("GPUFLEET_BED") or ("default" if CHOSEN == CURRENT else CHOSEN.name)


@dataclass(frozen=True)
class Layout:
    """The addresses and files of one bed."""

    name: str
    number: int

    @property
    def directory(self) -> Path:
        return bed_directory(self.name)

    @property
    def pki(self) -> Path:
        return self.directory / "pki"

    @property
    def audit_log(self) -> Path:
        return self.directory / "audit.log"

    @property
    def vllm_journal(self) -> Path:
        return self.directory / "vllm_pods.jsonl"

    @property
    def pod_network(self) -> str:
        """First two octets of the addresses that the vLLM stand-in listens on; pod addresses have 10 for 127."""
        return f"127.{self.number}"

    @property
    def ports(self) -> dict[str, int]:
        first = _FIRST_PORT + self.number * _PORTS_PER_BED
        return {name: first + index for index, name in enumerate(NAMES)}

    def address(self, name: str) -> str:
        """``127.0.0.1:<port>`` of a port's name."""
        return f"{HOST}:{self.ports[name]}"

    def kubeconfig(self, user: str) -> Path:
        return self.directory / "kubeconfigs" / f"{user}.yaml"

    def config(self, name: str) -> Path:
        return self.directory / "config" / name


def free_number(name: str, taken: set[int]) -> int:
    """A number that no running bed has and whose ports can all be bound. Raises RuntimeError when there is none."""
    for number in _NUMBERS:
        if number not in taken and all(_is_free(port) for port in Layout(name, number).ports.values()):
            return number
    raise RuntimeError("no block of free ports left for another bed")


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        # As servers do: a port whose last connections are still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
