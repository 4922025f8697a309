# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server with the real definitions of Karpenter's cloud providers, asked whether it would take an object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from testbed import objects
from testbed.api import APPLY_PATCH, Api, ApiError, resource_path

Json = dict[str, Any]

_STRICT = {"dryRun": "All", "fieldValidation": "Strict"}
_DEFINITIONS = ("apiextensions.k8s.io/v1", "customresourcedefinitions")
_AZURE = "aksnodeclasses.karpenter.azure.com"


@contextmanager
def provider_definitions(api: Api) -> Iterator[None]:
    """The definitions of the AWS provider in place of the bed's, and the node class of Azure beside them."""
    aks = [item for item in objects.definitions_of("karpenter-azure") if item["metadata"]["name"] == _AZURE]
    items = objects.definitions_of("karpenter-aws") + aks
    before = {item["metadata"]["name"] for item in api.list(resource_path(*_DEFINITIONS))}
    try:
        objects.install_definitions(api, items)
        yield
    finally:
        for name in {item["metadata"]["name"] for item in items} - before:
            api.delete(resource_path(*_DEFINITIONS, name=name))
        objects.apply_definitions(api)


def create(api: Api, obj: Json) -> str:
    """What the server says to a strict dry-run of a create: nothing, or its error."""
    return _said(lambda: api.request("POST", _collection(api, obj), obj, _STRICT))


def apply(api: Api, obj: Json) -> str:
    """The same for a server-side apply."""
    where = f"{_collection(api, obj)}/{obj['metadata']['name']}"
    query = {**_STRICT, "fieldManager": "gpufleet"}
    return _said(lambda: api.request("PATCH", where, obj, query, APPLY_PATCH))


def _said(call: Any) -> str:
    try:
        call()
    except ApiError as error:
        return error.message
    return ""


def _collection(api: Api, obj: Json) -> str:
    version, kind = obj["apiVersion"], obj["kind"]
    served = api.get(resource_path(version, "").rstrip("/"))["resources"]
    (plural,) = (entry["name"] for entry in served if entry["kind"] == kind and "/" not in entry["name"])
    return resource_path(version, plural, obj["metadata"].get("namespace", ""))
