# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml on inventories/local, shown line by line as it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from testbed.bed import Bed
from testbed.layout import REPOSITORY

_INVENTORY = REPOSITORY / "inventories" / "local"


class SiteFailedError(Exception):
    """ansible-playbook ended with an error; it has said itself which."""


def declared() -> dict[str, Any]:
    """The variables of inventories/local, as they are written there."""
    variables: dict[str, Any] = yaml.safe_load((_INVENTORY / "group_vars" / "gpufleet.yml").read_text())
    return variables


def run(bed: Bed) -> int:
    """Run it as a user does. Returns how many tasks changed something; raises SiteFailedError."""
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(_INVENTORY), "gpufleet.llm.site"]
    recap = 0
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=_environment(bed), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            if line.strip():
                print(f"  | {line}", end="", flush=True)
            recap += sum(map(int, re.findall(r"changed=(\d+)", line)))
    if process.returncode:
        raise SiteFailedError(f"site.yml ended with exit code {process.returncode}")
    return recap


@cache
def _collections() -> str:
    """Where Ansible finds the checkout as a collection; once, so that every run is of the same one."""
    stage = [sys.executable, str(REPOSITORY / "tools" / "stage.py")]
    return subprocess.run(stage, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _environment(bed: Bed) -> dict[str, str]:
    return {
        **os.environ,
        "GPUFLEET_BED": bed.name,
        "ANSIBLE_COLLECTIONS_PATH": _collections(),
        "ANSIBLE_HOME": str(REPOSITORY / "build" / "ansible-home"),
        "ANSIBLE_FORCE_COLOR": str(sys.stdout.isatty()).lower(),
        "PYTHONUNBUFFERED": "1",
    }
