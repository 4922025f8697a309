# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m testbed.standins.vllm_pods`: kubelet and vLLM of every pod labelled app.kubernetes.io/name=vllm."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

from testbed.api import Api

from . import knobs
from .images import Addresses, ImageStore
from .journal import Journal
from .kubelet import Kubelet
from .worker import Node


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="vllm_pods", description=__doc__)
    parser.add_argument("--kubeconfig", required=True, metavar="FILE")
    parser.add_argument("--network", required=True, metavar="127.A", help="pods get 10.A.B.C and listen on 127.A.B.C")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="append what happens to pods, one JSON a line")
    knobs.add_flags(parser.add_argument_group("defaults of the pod annotations testbed.gpufleet.io/<name of the flag>"))
    options = parser.parse_args(words)
    logging.basicConfig(format="%(asctime)s %(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> None:
    api = Api.from_kubeconfig(options.kubeconfig)
    addresses, journal = Addresses(options.network), Journal(options.journal)
    await Kubelet(Node(api, knobs.from_flags(options), ImageStore(), addresses, journal)).run()


if __name__ == "__main__":
    main()
