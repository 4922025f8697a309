# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every static check, two at a time; what a check says is shown when it fails. `lint.py mypy ruff` runs only those."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from stage import COLLECTIONS, ROOT, stage
from steps import Steps

PLUGINS = "ansible_collections.gpufleet.llm.plugins"
TYPED = "tests/testbed tests/demo tests/e2e tests/faults tests/oracle tests/benchmarks"


@dataclass(frozen=True)
class Check:
    """One static check: the command, and the folder it runs in."""

    name: str
    command: str
    folder: Path = ROOT


def checks(staged: Path) -> list[Check]:
    """The checks, slowest first. `staged` is the copy of the collection under its real import name."""
    return [
        Check("ansible-test", "python tools/ansible_test.py sanity units"),
        Check("ansible-lint", "ansible-lint --offline --strict"),
        Check("antsibull-docs", "antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=all ."),
        Check("mypy-plugins", f"mypy --config-file {ROOT}/pyproject.toml -p {PLUGINS}", staged),
        Check("mypy", f"mypy tools {TYPED} conftest.py"),
        Check("import-linter", "lint-imports --no-cache --no-logo"),
        Check("vermin", "vermin --target=3.9- --feature union-types --no-tips --violations plugins"),
        Check("yamllint", "yamllint --strict ."),
        Check("antsibull-changelog", "antsibull-changelog lint"),
        Check("ruff", "ruff check"),
        Check("ruff-format", "ruff format --check"),
    ]


def run(check: Check) -> subprocess.CompletedProcess[str]:
    """Run one check with our tools first on PATH, and what Ansible writes kept inside build/."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(COLLECTIONS),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_HOME": str(ROOT / "build/ansible-home"),
    }
    return subprocess.run(
        check.command.split(), cwd=check.folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def main(names: list[str]) -> int:
    """Run the checks called `names`, all of them when there are none; how many failed."""
    wanted = [check for check in checks(stage()) if not names or check.name in names]
    steps = Steps("lint", len(wanted))
    failed = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        running = {pool.submit(run, check): check.name for check in wanted}
        for done in as_completed(running):
            name, result = running[done], done.result()
            if result.returncode:
                failed.append(name)
                print(result.stdout, flush=True)
            steps.step(f"{name} {'FAILED' if result.returncode else 'passed'}")
    steps.note(f"{len(wanted) - len(failed)} passed, {len(failed)} failed: {', '.join(failed) or 'none'}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
