# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a virtual environment from requirement files, or do nothing when it is already what they say.

Runs under the interpreter that the environment is to use, before anything is installed: standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from steps import Steps, exclusive


def included(requirements: list[Path]) -> list[Path]:
    """`requirements` and every file that their `-r` and `-c` lines name."""
    found: list[Path] = []
    for path in requirements:
        named = re.findall(r"^-[rc] +(\S+)", path.read_text(), re.MULTILINE)
        found += [path, *included([path.parent / name for name in named])]
    return found


def fingerprint(files: list[Path]) -> str:
    """What the environment depends on: the interpreter, and what every requirement file says."""
    digest = hashlib.sha256(f"{sys.version}\n{sys.base_prefix}\n".encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def pip_install(environment: Path, requirements: list[Path], expected: int, lock: int) -> None:
    """Run pip in `environment`; show each package as pip collects it, and everything pip said when it fails."""
    command = [str(environment / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--progress-bar", "off"] + [word for path in requirements for word in ("-r", str(path))]
    steps = Steps(environment.name, expected)
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, pass_fds=[lock]) as pip:
        for line in pip.stdout or ():
            said.append(line)
            if collected := re.match(r"Collecting ([\w.-]+)", line):
                steps.step(collected[1])
            elif line.startswith("Installing collected packages"):
                steps.note("installing")
    if pip.returncode:
        sys.exit("".join(said[-40:]) + f"{environment}: pip failed with exit status {pip.returncode}")
    steps.note("ready")


def make(environment: Path, requirements: list[Path]) -> None:
    """Bring `environment` to what `requirements` say. The stamp goes first and comes back last, so a kill shows."""
    stamp = environment / ".stamp"
    files = included(requirements)
    wanted = fingerprint(files)
    with exclusive(environment.with_name(environment.name + ".lock")) as lock:
        if stamp.exists() and stamp.read_text() == wanted:
            return
        if stamp.exists() and shutil.which(environment / "bin/python"):
            stamp.unlink()
        else:
            venv.EnvBuilder(with_pip=True, clear=True, symlinks=True).create(environment)
        pinned = {name for path in files for name in re.findall(r"^([\w.-]+)==", path.read_text(), re.MULTILINE)}
        pip_install(environment, requirements, len(pinned), lock)
        stamp.write_text(wanted)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment", type=Path)
    parser.add_argument("requirements", type=Path, nargs="+")
    options = parser.parse_args()
    make(options.environment, options.requirements)
