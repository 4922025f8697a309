# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m testbed.standins.gpu_operands`: brings the GPUs of nodes up, and opens the nodes when all are there."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
from collections.abc import Sequence

from testbed.api import Api

from .bring_up import Schedule, parse
from .mig_manager import MigManagers
from .operand_objects import Policy
from .operands import Operands
from .operator import Operator


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="gpu_operands", description=__doc__)
    parser.add_argument("--kubeconfig", required=True, metavar="FILE")
    parser.add_argument(
        "--bring-up",
        type=parse,
        default="all@1s",
        metavar="STEPS",
        help="as in 1@2s,all@4s; the node annotation testbed.gpufleet.io/gpu-bring-up overrides it (default: all@1s)",
    )
    options = parser.parse_args(words)
    logging.basicConfig(format="%(asctime)s %(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(options.kubeconfig, options.bring_up))


async def _run(kubeconfig: str, bring_up: Schedule) -> None:
    policy = Policy()
    async with asyncio.TaskGroup() as group:
        group.create_task(Operands(Api.from_kubeconfig(kubeconfig), bring_up, policy).run())
        group.create_task(Operator(Api.from_kubeconfig(kubeconfig), policy).run())
        group.create_task(MigManagers(Api.from_kubeconfig(kubeconfig), policy).run())


if __name__ == "__main__":
    main()
