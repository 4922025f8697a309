# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read is complete, in the form that they expect, and names only what there is."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import stage

README = (stage.ROOT / "README.md").read_text()
DOCSITE = stage.ROOT / "docs/docsite"
REPOSITORY = "https://github.com/gpufleet/gpufleet.llm/"
SECTIONS = [
    "Description",
    "Requirements",
    "Installation",
    "Use cases",
    "Testing",
    "Contributing",
    "Support",
    "Release notes and roadmap",
    "Related information",
    "License information",
]
"""docs/readme-template.md of ansible-collections/partner-certification-requirements, as of 2026-08."""

LONGEST_DESIGN = 60


def pages() -> list[Path]:
    """Every page of ours that users read."""
    named = [stage.ROOT / path for path in stage.artefact_files() if path.suffix in (".md", ".rst")]
    return [path for path in named if path.exists()]


def test_readme_has_the_sections_of_certified_collections() -> None:
    assert re.findall(r"^## (.+)$", README, re.MULTILINE) == SECTIONS
    assert "pip install" not in README


def test_readme_links_are_whole_and_lead_somewhere() -> None:
    """It is shown outside the repository, where a relative link leads nowhere."""
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert [link for link in links if not link.startswith("https://")] == []
    ours = [re.sub(r"^(blob|tree)/main/", "", link.removeprefix(REPOSITORY)) for link in links if REPOSITORY in link]
    assert [path for path in ours if path != "issues" and not (stage.ROOT / path).exists()] == []


def test_every_guide_is_in_the_table_of_contents() -> None:
    sections = yaml.safe_load((DOCSITE / "extra-docs.yml").read_text())["sections"]
    listed = [guide for section in sections for guide in section["toctree"]]
    assert sorted(listed) == sorted(path.stem for path in DOCSITE.glob("rst/*.rst"))


def test_designs_are_short_and_say_what_was_rejected() -> None:
    designs = sorted(stage.ROOT.glob("docs/designs/*.md"))
    assert {"apply", "stepper", "bed", "testing"} <= {path.stem for path in designs}
    for path in designs:
        text = path.read_text()
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Rejected"], path
        assert len(text.splitlines()) <= LONGEST_DESIGN, path


def test_pages_name_only_playbooks_modules_and_roles_that_exist() -> None:
    known = {
        *(
            path.stem
            for folder in ("playbooks", "plugins/modules", "plugins/filter")
            for path in (stage.ROOT / folder).iterdir()
        ),
        *(path.name for path in (stage.ROOT / "roles").iterdir()),
    }
    named = {(path, name) for path in pages() for name in re.findall(r"gpufleet\.llm\.([a-z_]+)", path.read_text())}
    unknown = {(str(path.relative_to(stage.ROOT)), name) for path, name in named if name not in known}
    assert {each for each in unknown if each[1] not in ("docsite", "git")} == set()
