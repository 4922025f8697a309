# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run scenarios of extensions/molecule against the staged collection; the names of some, or all of them.

Whatever molecule writes is in build/molecule, and its bed is down afterwards, also when this process is killed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import stage
from e2e.guard import down_afterwards

HOME = stage.ROOT / "build/molecule"
#: As in extensions/molecule/inventory.
BED = "molecule"
#: Settings of whoever calls us, which Ansible and molecule would follow.
_FOREIGN = ("ANSIBLE_", "K8S_AUTH_", "KUBECONFIG", "MOLECULE_", "VIRTUAL_ENV")


def run(names: list[str]) -> int:
    """The exit code of molecule. The output of one scenario is shown as it goes, of all only where one fails."""
    stage.stage()
    shutil.rmtree(HOME, ignore_errors=True)
    chosen = [f"--scenario-name={name}" for name in ("default", *names)]
    options = chosen if names else ["--all", "--workers=2", "--continue-on-failure"]
    programs = Path(sys.executable).parent
    with down_afterwards(BED) as guard:
        molecule = subprocess.Popen(
            [programs / "molecule", "test", *options],
            cwd=stage.ROOT,
            env=_environment(programs),
            stdin=subprocess.DEVNULL,
            # Its own process group, which the guard ends with all that molecule has started.
            start_new_session=True,
        )
        print(molecule.pid, file=guard, flush=True)
        return molecule.wait()


def _environment(programs: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {
        **kept,
        "PATH": f"{programs}:{kept['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(stage.COLLECTIONS),
        "ANSIBLE_HOME": str(HOME),
    }


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
