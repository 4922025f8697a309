# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test on the staged collection, without containers and with everything it installs in our cache."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from stage import ROOT, stage
from steps import Steps, cache_root, exclusive

BOOTSTRAP_NAMES = ("get_pip_24_2.py", "get_pip_25_2.py")
"""Where ansible-test of core 2.19 and of 2.21 look before they download pip's bootstrap script."""

BOOTSTRAP = "import ensurepip\nensurepip.bootstrap(upgrade=True, default_pip=True)\n"
"""Does what that script is wanted for with what Python ships, so that only the package registry is needed."""


def seed(home: Path) -> None:
    """Put the bootstrap scripts where ansible-test, run with `home` as HOME, finds them."""
    cache = home / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    for name in BOOTSTRAP_NAMES:
        (cache / name).write_text(BOOTSTRAP)


def environment(home: Path, content: Path) -> dict[str, str]:
    """Where its virtual environments go (below HOME), and that our git repository is not the one of `content`."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ours = {"HOME": str(home), "ANSIBLE_TEST_CONTENT_ROOT": str(content), "PATH": path}
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MAKEFLAGS")}
    return {"PIP_CACHE_DIR": str(cache_root() / "pip"), **inherited, **ours}


def run(commands: list[str], extra: list[str]) -> int:
    """Run each ansible-test command in turn; the first exit status that is not 0, else 0.

    On a copy of its own: ansible-test writes its output into the collection, and takes long enough for others to edit.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    program = str(Path(sys.executable).with_name("ansible-test"))
    home = cache_root() / "ansible-test"
    steps = Steps(f"ansible-test on Python {python}", len(commands))
    with exclusive(home.with_suffix(".lock")) as lock:
        seed(home)
        content = stage(ROOT / "build/ansible-test")
        for command in commands:
            steps.step(command)
            line = [program, command, "--python", python, *extra]
            ours = environment(home, content)
            done = subprocess.run(line, cwd=content, env=ours, stdin=subprocess.DEVNULL, pass_fds=[lock], check=False)
            if done.returncode:
                return done.returncode
    steps.note("passed")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="+", choices=("sanity", "units"))
    options, rest = parser.parse_known_args()
    sys.exit(run(options.commands, rest))
