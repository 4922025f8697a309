# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The artefact holds what a user needs and no more, and works where there is no checkout."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path

import pytest
import yaml

import stage

from .conftest import Installed

SHIPPED = [
    "MANIFEST.json",
    "FILES.json",
    "LICENSE",
    "README.md",
    "CHANGELOG.rst",
    "CONTRIBUTING.md",
    "requirements.txt",
    "requirements-openshift.txt",
    "meta/runtime.yml",
    "meta/execution-environment.yml",
    "changelogs/*.yaml",
    "changelogs/fragments/*.yml",
    "plugins/*.py",
    "roles/*.yml",
    "roles/*/README.md",
    "playbooks/*.yml",
    "docs/*.rst",
    "docs/*.md",
    "docs/*.yml",
    "docs/rbac/*.yaml",
    "docs/*.png",
    "docs/*.svg",
    "extensions/molecule/*.yml",
    "examples/*",
    "tests/config.yml",
    "tests/sanity/ignore-*.txt",
    "tests/unit/*.py",
    "tests/unit/*/explained.txt",
    "tests/unit/requirements.txt",
]
"""Every file of the artefact matches one of these (`*` matches folders too), so that nothing slips in by itself."""

KINDS = {"modules": "module", "filter": "filter", "inventory": "inventory", "callback": "callback", "lookup": "lookup"}
"""The folder of each kind of documented plugin, and what ansible-doc calls the kind."""


def test_holds_only_what_is_meant_for_users(artefact_names: list[str]) -> None:
    strays = [name for name in artefact_names if not any(fnmatch.fnmatch(name, pattern) for pattern in SHIPPED)]
    assert strays == []


def test_holds_every_plugin_role_and_playbook_of_the_checkout(artefact_names: list[str]) -> None:
    written = [
        str(path.relative_to(stage.ROOT))
        for folder in ("plugins", "roles", "playbooks")
        for path in (stage.ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert sorted(set(written) - set(artefact_names)) == []


def test_staging_and_building_leave_the_same_out(artefact_names: list[str]) -> None:
    staged = {str(path) for path in stage.artefact_files() if (stage.ROOT / path).exists()}
    assert staged - {"galaxy.yml"} == set(artefact_names) - {"MANIFEST.json", "FILES.json"}


def test_is_small(artefact: Path) -> None:
    assert artefact.stat().st_size < 750_000


def test_installs_with_the_dependency_that_the_tests_use(installed: Installed) -> None:
    listed = installed.run("ansible-galaxy", "collection", "list", "--format", "json")
    found = {name for folder in json.loads(listed.stdout).values() for name in folder}
    assert {"gpufleet.llm", "kubernetes.core"} <= found


def documented(root: Path) -> list[tuple[str, str]]:
    """(kind, full name) of everything below `root` that ansible-doc can show."""
    plugins = [
        (kind, f"gpufleet.llm.{path.stem}")
        for folder, kind in KINDS.items()
        for path in sorted((root / "plugins" / folder).glob("*"))
        if path.suffix in (".py", ".yml") and path.stem != "__init__"
    ]
    specs = sorted(root.glob("roles/*/meta/argument_specs.yml"))
    return plugins + [("role", f"gpufleet.llm.{spec.parents[1].name}") for spec in specs]


def test_ansible_doc_shows_everything(installed: Installed) -> None:
    everything = documented(installed.root)
    assert any(kind == "module" for kind, _ in everything)
    for kind in sorted({kind for kind, _ in everything}):
        names = [name for other, name in everything if other == kind]
        shown = installed.run("ansible-doc", "--type", kind, "--json", *names)
        assert shown.returncode == 0, shown.stderr
        assert shown.stderr == ""
        docs = json.loads(shown.stdout)
        assert sorted(docs) == sorted(names)
        assert [name for name in names if "error" in docs[name]] == []


def test_every_role_has_an_argument_spec(installed: Installed) -> None:
    roles = {path.name for path in installed.root.glob("roles/*")}
    assert roles == {path.parents[1].name for path in installed.root.glob("roles/*/meta/argument_specs.yml")}


def test_playbooks_parse_by_their_full_names(installed: Installed) -> None:
    playbooks = [f"gpufleet.llm.{path.stem}" for path in sorted(installed.root.glob("playbooks/*.yml"))]
    assert playbooks
    checked = installed.run("ansible-playbook", "--syntax-check", "-i", "localhost,", *playbooks)
    assert checked.returncode == 0, checked.stderr


def test_action_group_names_every_module() -> None:
    modules = sorted(path.stem for path in (stage.ROOT / "plugins/modules").glob("*.py"))
    groups = yaml.safe_load((stage.ROOT / "meta/runtime.yml").read_text())["action_groups"]
    assert groups == {"gpufleet": modules}


@pytest.mark.parametrize("name", ["kubernetes", "jsonpatch", "jmespath", "PyYAML"])
def test_run_time_requirements_are_ranges(name: str) -> None:
    lines = (stage.ROOT / "requirements.txt").read_text().splitlines()
    assert any(line.startswith(f"{name}>=") and ",<" in line for line in lines)
