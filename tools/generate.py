# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what follows from the fleet's dataclasses: argument specs and pages of the roles, the variables, AWX's survey.

`generate.py` writes, `generate.py --check` only tells which files are stale.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from stage import ROOT, stage

sys.path.insert(0, str(stage().parents[2]))

from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.fields import (  # noqa: E402  staged just above
    Duration,
    FieldType,
    ListOf,
    OneOrMore,
    Record,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.parse import TYPES, VARIABLES  # noqa: E402
from ansible_collections.gpufleet.llm.plugins.module_utils.quantity import format_duration  # noqa: E402

import mig_picture  # noqa: E402
import role_pages  # noqa: E402
import survey  # noqa: E402
import why_page  # noqa: E402

NOTE = "Written by tools/generate.py from plugins/module_utils/fleet/types.py."
#: Written by people, but for the answers to its examples.
WHY = Path("docs/docsite/rst/why_replicas.rst")
TITLES = {
    "cluster": "The cluster.",
    "pools": "The GPU pools.",
    "models": "The models.",
    "versions": "Versions of the components.",
}
APPLY_OPTIONS: dict[str, dict[str, Any]] = {
    "prune": {"type": "bool", "default": False, "description": "Delete objects of this role that are not declared."},
    "force_conflicts": {"type": "bool", "default": False, "description": "Take over fields that others own."},
}
UNINSTALL_CRDS = {
    "type": "bool",
    "default": False,
    "description": "Also delete the CustomResourceDefinitions. Defaults to C(uninstall_crds).",
}
HELM_BINARY = {"type": "str", "default": "", "description": "Path of helm 3 or 4; that on the path if empty."}
#: Options that say which release a role has made, if any.
INSTALLED = ("install", "namespace", "helm_binary")
VALUES = {"type": "dict", "default": {}, "description": "Values of the chart, merged last."}


def _install_options(product: str, namespace: str, **charts: str) -> dict[str, Any]:
    """Options of a role that can install a component by Helm; ``charts`` describes those of its charts."""
    return {
        "install": {
            "type": "bool",
            "default": False,
            "description": f"Install {product} by Helm, and uninstall it. "
            f"Defaults to C(gpufleet_{product.lower()}_install).",
        },
        "namespace": {"type": "str", "default": namespace, "description": "Namespace of the release."},
        **{name: {"type": "str", "description": text} for name, text in charts.items()},
        "values": VALUES,
        "helm_binary": HELM_BINARY,
    }


ROLES: dict[str, dict[str, Any]] = {
    "preflight": {
        "title": "Refuse what cannot work, before anything is written",
        "options": {
            "components": {
                "type": "list",
                "elements": "str",
                "description": "Components that the run will apply; by default what site.yml has to apply.",
            },
            "installs": {
                "type": "list",
                "elements": "dict",
                "description": "Charts that the run may install; by default what the roles of site.yml are told to.",
            },
        },
    },
    "gpu_operator": {
        "title": "The NVIDIA GPU Operator, installed by Helm",
        "parts": ("cluster", "pools", "versions"),
        "options": {
            "namespace": {
                "type": "str",
                "description": "Namespace of the release. Defaults to C(gpufleet_cluster.gpu_operator_namespace).",
            },
            "chart_ref": {
                "type": "str",
                "default": "gpu-operator",
                "description": "Chart: a name in the repository, a path, or an OCI reference.",
            },
            "chart_repo_url": {
                "type": "str",
                "description": "Chart repository, NVIDIA's by default; empty for a path or an OCI reference.",
            },
            "driver": {
                "type": "str",
                "choices": ["operator", "host"],
                "default": "operator",
                "description": "Who installs driver and container toolkit: C(host) is the image of the nodes.",
            },
            "mig_strategy": {
                "type": "str",
                "choices": ["", "none", "single", "mixed"],
                "default": "",
                "description": "How the device plugin names MIG devices; as the pools need it if empty.",
            },
            "tolerations": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "description": "Tolerations for further taints of GPU nodes.",
            },
            "values": VALUES,
            "helm_binary": HELM_BINARY,
        },
        "wait": "20m",
        "uninstall": {"wait": "20m", "shared": ("namespace", "helm_binary"), "definitions": True},
    },
    "karpenter": {
        "title": "GPU node pools that Karpenter provisions",
        "parts": ("cluster", "pools", "versions"),
        "options": {
            **APPLY_OPTIONS,
            **_install_options(
                "Karpenter",
                "kube-system",
                chart_ref="Chart: a path or an OCI reference; that of the provider, where it has one, if empty.",
                crd_chart_ref="Chart of the definitions, in the same way.",
            ),
            "install_crds": {
                "type": "bool",
                "default": True,
                "description": "Install the definitions as a release of their own, so that Helm upgrades them.",
            },
        },
        "wait": "5m",
        "uninstall": {"wait": "30m", "shared": INSTALLED, "definitions": True},
    },
    "mig": {
        "title": "MIG layouts of GPU nodes, changed as a transaction",
        "options": {
            "force_conflicts": APPLY_OPTIONS["force_conflicts"],
            "pool": {"type": "str", "description": "Change this pool only; all that declare C(mig) if empty."},
            "selector": {"type": "dict", "default": {}, "description": "Change only nodes with these labels."},
            "max_unavailable": {
                "type": "int",
                "default": 0,
                "description": "Most nodes of a pool that are changed at once; 0 is what the pool declares.",
            },
            "on_failure": {
                "type": "str",
                "choices": ["rollback", "hold"],
                "default": "rollback",
                "description": "A node that could not be changed goes back to its former layout, or is held cordoned.",
            },
            **{
                name: {"type": "bool", "default": False, "description": text}
                for name, text in (
                    ("allow_unmanaged", "Evict pods that nothing makes again."),
                    ("allow_empty_dir", "Evict pods that lose data in an emptyDir."),
                )
            },
            **{
                name: {"type": "str", "default": default, "description": text}
                for name, default, text in (
                    ("idle_timeout", "1m", "How long a replica may finish its requests before it is evicted."),
                    ("drain_timeout", "15m", "How long all GPU pods of a node may take to be gone."),
                    ("geometry_timeout", "40m", "How long mig-manager may take, with a reboot."),
                    ("timeout", "4h", "How long all nodes of a pool may take."),
                )
            },
        },
        "uninstall": {"wait": "5m"},
    },
    "vllm": {"title": "Models served by vLLM", "wait": "30m", "uninstall": {"wait": "30m"}},
    "keda": {
        "title": "Replica counts that follow the demand",
        "options": {
            **APPLY_OPTIONS,
            **_install_options(
                "KEDA",
                "keda",
                chart_ref="Chart: a name in the repository, a path, or an OCI reference. C(keda) by default.",
                chart_repo_url="Chart repository, KEDA's by default; empty for a path or an OCI reference.",
            ),
        },
        "wait": "5m",
        "uninstall": {"wait": "5m", "shared": INSTALLED, "definitions": True},
    },
}


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, as yamllint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def role_options(role: str) -> dict[str, Any]:
    """Option specs of a role, without its prefix."""
    spec = ROLES[role]
    options: dict[str, Any] = {}
    for key, kind in TYPES.items():
        if key not in spec.get("parts", TYPES):
            continue
        option: dict[str, Any] = {"type": kind.ansible_type}
        if key == "cluster":
            option["required"] = True
        option["description"] = f"{TITLES[key]} Defaults to C({VARIABLES[key]})."
        options[key] = option
    options.update(spec.get("options", APPLY_OPTIONS))
    if "wait" in spec:
        description = "How long to wait until it is ready."
        options["wait_timeout"] = {"type": "str", "default": spec["wait"], "description": description}
    return options


def argument_spec(role: str) -> str:
    """Content of a role's meta/argument_specs.yml."""
    title = ROLES[role]["title"]
    entries = {"main": _entry_point(role, title, role_options(role))}
    if options := uninstall_options(role):
        entries["uninstall"] = _entry_point(role, f"{title}: taken away again", options)
    text = yaml.dump({"argument_specs": entries}, Dumper=_Dumper, sort_keys=False, width=120)
    return f"---\n# {NOTE}\n{text}"


def uninstall_options(role: str) -> dict[str, Any]:
    """Option specs of a role's entry point uninstall, without its prefix; none where it has nothing to take away."""
    spec, every = ROLES[role].get("uninstall"), role_options(role)
    if spec is None:
        return {}
    options = {name: every[name] for name in ("cluster", *spec.get("shared", ()))}
    if spec.get("definitions"):
        options["uninstall_crds"] = UNINSTALL_CRDS
    description = "How long to wait until it is gone."
    return {**options, "uninstall_timeout": {"type": "str", "default": spec["wait"], "description": description}}


def _entry_point(role: str, title: str, options: dict[str, Any]) -> dict[str, Any]:
    prefixed = {f"{role}_{name}": option for name, option in options.items()}
    return {"short_description": title, "description": [f"{title}."], "options": prefixed}


def variables_page() -> str:
    """Content of the guide on variables: every one of the declaration, one table a record."""
    label = "ansible_collections.gpufleet.llm.docsite.variables"
    lines = [f".. {NOTE}", "", f".. _{label}:", "", "Variables", "=========", ""]
    for key, variable in VARIABLES.items():
        kind = TYPES[key]
        record = kind.item if isinstance(kind, ListOf) else kind
        assert isinstance(record, Record)
        lines += [variable, "-" * len(variable), "", ".. list-table::", "   :header-rows: 1", ""]
        for row in (("Key", "What it is", "Allowed", "Default"), *_rows(record, "")):
            lines += [f"   {' ' if at else '*'} - {cell}".rstrip() for at, cell in enumerate(row)]
        lines.append("")
    return "\n".join(lines)


def _rows(record: Record, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for entry in fields(record.cls):
        kind: FieldType = entry.metadata["type"]
        listed = isinstance(kind, ListOf) and not isinstance(kind, OneOrMore)
        inner = kind.item if isinstance(kind, ListOf) and listed else kind
        name = f"{prefix}{entry.name}" + ("[]" if listed else "")
        text = re.sub(r"C\(([^)]*)\)", r"``\1``", entry.metadata["doc"])
        allowed = "" if isinstance(inner, Record) else inner.describe()
        yield f"``{name}``", text, allowed, _default(entry, kind)
        if isinstance(inner, Record):
            yield from _rows(inner, f"{name}.")


def _default(entry: Field[Any], kind: FieldType) -> str:
    if entry.default is MISSING and entry.default_factory is MISSING:
        return "required"
    value = entry.default
    if value in (None, (), "", 0) or value is MISSING or is_dataclass(value):
        return ""
    values = value if isinstance(value, tuple) else (value,)
    if any(is_dataclass(part) for part in values):
        return "one node at a time for drift"
    if isinstance(kind, Duration):
        return f"``{format_duration(value)}``"
    return ", ".join(f"``{part.value if isinstance(part, Enum) else part}``" for part in values)


def main(arguments: list[str]) -> int:
    """Write or check every generated file; the number of stale ones when checking."""
    wanted: dict[Path, str] = {ROOT / f"roles/{role}/meta/argument_specs.yml": argument_spec(role) for role in ROLES}
    wanted[ROOT / "docs/docsite/rst/variables.rst"] = variables_page()
    wanted[ROOT / "examples/awx-project/survey.json"] = survey.page()
    wanted[ROOT / WHY] = why_page.page(ROOT / WHY)
    wanted[ROOT / "docs/images/windows.svg"] = why_page.picture()
    wanted[ROOT / "docs/images/mig_placements.svg"] = mig_picture.picture()
    for role in ROLES:
        wanted[ROOT / f"roles/{role}/README.md"] = role_pages.page(role, yaml.safe_load(argument_spec(role)))
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run `make generate`")
        return len(stale)
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
