# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises about every file of the checkout that no linter checks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stage

ENGINE = stage.ROOT / "plugins/module_utils"
TEXT = {"", ".cfg", ".go", ".md", ".mod", ".py", ".rst", ".sh", ".sum", ".toml", ".txt", ".yaml", ".yml"}
LICENCE = "# SPDX-License-Identifier: GPL-3.0-or-later"

REGISTRIES = ["pypi." + "org", "pythonhosted." + "org", "proxy.golang" + ".org", "registry.npmjs" + ".org"]
MACHINE_PATHS = ["/" + "root/", "/" + "work/", "/" + "home/"]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=stage.ROOT, check=True, capture_output=True, text=True)
    paths = [stage.ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.suffix in TEXT and path.is_file()]


@pytest.mark.parametrize("word", REGISTRIES + MACHINE_PATHS)
def test_nothing_names_a_registry_or_a_path_of_one_machine(word: str) -> None:
    pattern = re.compile(rf"(?<![\w.~}}/-]){re.escape(word)}")
    assert [str(path) for path in tracked() if pattern.search(path.read_text())] == []


def test_the_vendors_chart_repository_is_named_in_one_place() -> None:
    named = [str(path.relative_to(stage.ROOT)) for path in tracked() if "helm.ngc.nvidia" + ".com" in path.read_text()]
    assert named == ["roles/gpu_operator/defaults/main.yml"]


def test_every_python_file_says_its_licence() -> None:
    sources = {path: path.read_text() for path in tracked() if path.suffix == ".py"}
    assert [str(path) for path, text in sources.items() if text and LICENCE not in text.splitlines()[:4]] == []


def imported(path: Path) -> set[str]:
    """The top-level names of what a module imports absolutely."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").partition(".")[0])
    return found


def test_the_engine_imports_the_standard_library_and_itself_only() -> None:
    """The rooms run on managed nodes, where nothing of ours can be installed; the edges are the files with `_`."""
    rooms = [path for path in ENGINE.rglob("*.py") if not path.relative_to(ENGINE).parts[0].startswith("_")]
    assert len(rooms) > 10
    foreign = {str(path): imported(path) - sys.stdlib_module_names for path in rooms}
    assert {path: names for path, names in foreign.items() if names} == {}


def test_files_and_functions_stay_readable() -> None:
    """No file over 400 lines, no function over 40: beyond that a reader loses the thread."""
    long = []
    for path in (path for path in tracked() if path.suffix == ".py"):
        text = path.read_text()
        long += [f"{path}: {len(text.splitlines())} lines"] if len(text.splitlines()) > 400 else []
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (node.end_lineno or 0) - node.lineno >= 45:
                long.append(f"{path}:{node.lineno}: {node.name}")
    assert long == []
