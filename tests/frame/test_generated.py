# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated files follow from the dataclasses, and say so when they no longer do."""

from __future__ import annotations

import pytest

import generate


def test_generated_files_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().out


def test_role_defaults_and_specs_declare_the_same_variables() -> None:
    for role in generate.ROLES:
        defaults = generate.yaml.safe_load((generate.ROOT / f"roles/{role}/defaults/main.yml").read_text())
        options = {*generate.role_options(role), *generate.uninstall_options(role)}
        assert set(defaults) == {f"{role}_{name}" for name in options}
