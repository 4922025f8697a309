# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m testbed``: bring a bed up, take it down, show it, build its programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from testbed import build, lifecycle, reset, toolchain, versions
from testbed.bed import Bed
from testbed.layout import default_name
from testbed.limits import LimitError
from testbed.readiness import NotReadyError
from testbed.settings import Settings


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments) or 0)
    except (NotReadyError, LimitError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="testbed", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for run in (_up, _down, _status, _reset, _build, _lock):
        command = commands.add_parser(run.__name__.strip("_"), help=run.__doc__, description=run.__doc__)
        command.set_defaults(run=run)
        if run in (_up, _down, _status, _reset):
            command.add_argument("--name", default=default_name(), help=f"which bed (default: {default_name()})")
        if run is _up:
            command.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="see settings.py")
        if run is _down:
            command.add_argument("--keep-logs", action="store_true", help="leave the programs' logs behind")
        if run is _build:
            command.add_argument("--export", type=Path, metavar="DIR", help=f"copy all to DIR, for ${build.PREBUILT}")
        if run is _lock:
            own = [component.name for component in versions.COMPONENTS if not component.within]
            command.add_argument("component", choices=own)
    return parser


def _up(arguments: argparse.Namespace) -> None:
    """Bring the bed up, or what is missing of it."""
    bed = lifecycle.up(arguments.name, Settings.parse(arguments.set))
    print(_usage(bed))


def _usage(bed: Bed) -> str:
    own = "" if bed.name == "default" else f" GPUFLEET_BED={bed.name}"
    return f"""
The bed {bed.name!r} is up: {bed.api_url}, Prometheus {bed.prometheus_url}
  export KUBECONFIG={bed.kubeconfigs["converge"]} PATH={bed.tools}:$PATH{own}
  kubectl get nodes,pods -A
  ansible-playbook gpufleet.llm.site -i inventories/local
  python -m testbed status
  python -m testbed down"""


def _down(arguments: argparse.Namespace) -> None:
    """End every process of the bed and remove its state."""
    print(f"{lifecycle.down(arguments.name, arguments.keep_logs)} processes ended")


def _status(arguments: argparse.Namespace) -> int:
    """Show what runs; exit code 1 when nothing does."""
    rows = lifecycle.status(arguments.name)
    for row in rows:
        print(f"{row['name']:24} {row['version']:16} pid {row['pid']:<8} {row['rss_mib']:>5} MiB  {row['log']}")
    print(f"{len(rows)} processes, {sum(int(str(row['rss_mib'])) for row in rows)} MiB")
    return 0 if rows else 1


def _reset(arguments: argparse.Namespace) -> None:
    """Bring a running bed back to empty, without a restart."""
    reset.reset(Bed.load(arguments.name))


def _build(arguments: argparse.Namespace) -> None:
    """Build every program into the cache."""
    build.executables()
    toolchain.kubectl_directory()
    toolchain.helm_3()
    if arguments.export:
        build.export(arguments.export)


def _lock(arguments: argparse.Namespace) -> None:
    """Write go.mod and go.sum of a component anew, after its version has changed in versions.py."""
    build.lock(next(component for component in versions.COMPONENTS if component.name == arguments.component))


if __name__ == "__main__":
    sys.exit(main())
