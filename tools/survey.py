# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey of examples/awx-project, as AWX takes and exports it; `generate.py` has put the engine on the path."""

from __future__ import annotations

import json
import math
from dataclasses import Field, fields
from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.fields import ListOf, Number, Record
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.parse import TYPES

QUESTIONS = (
    ("pools", "l40s", "nodes.max"),
    ("models", "qwen-7b", "replicas.min"),
    ("models", "qwen-7b", "replicas.max"),
    ("models", "qwen-7b", "scaling.concurrency"),
)
"""Variable, name of the entry and path of each value that the survey asks for. Only numbers: AWX passes no number that
was left empty, so that the inventory's holds, but it does pass an empty text (awx/main/models/mixins.py)."""

Json = dict[str, Any]


def page() -> str:
    """Content of survey.json."""
    once = {
        "question_name": "Prune",
        "question_description": "Delete objects of the collection that are not declared.",
        "required": True,
        "type": "multiplechoice",
        "variable": "gpufleet_prune",
        "choices": "false\ntrue",
        "default": "false",
    }
    spec = [*(_question(*each) for each in QUESTIONS), once]
    survey = {"name": "", "description": "", "spec": spec}
    return json.dumps(survey, indent=2) + "\n"


def _question(key: str, name: str, path: str) -> Json:
    entry = _declared(key, path)
    kind = entry.metadata["type"]
    assert isinstance(kind, Number)
    return {
        "question_name": f"{path} of {name}",
        "question_description": f"{entry.metadata['doc']} Empty: as in the inventory.",
        "required": False,
        "type": "integer" if kind.whole else "float",
        "variable": f"{name}_{path}".replace("-", "_").replace(".", "_"),
        # AWX takes whole numbers only, also as bounds of a float (awx/api/views, JobTemplateSurveySpec).
        "min": math.floor(kind.minimum),
        "max": math.ceil(kind.maximum),
        "default": "",
    }


def _declared(key: str, path: str) -> Field[Any]:
    """The field of the declaration at a path such as ``replicas.max`` in an entry of ``key``."""
    kind = TYPES[key]
    assert isinstance(kind, ListOf)
    kind = kind.item
    for step in path.split("."):
        assert isinstance(kind, Record)
        (entry,) = (each for each in fields(kind.cls) if each.name == step)
        kind = entry.metadata["type"]
    return entry
