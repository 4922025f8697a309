# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds with a predicate, kinds without one, and what keeps an object that is being deleted."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.readiness.predicates import gone, ready
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import MINUTE_AGO, conditions

READY = ("Ready", "True", "Ready", "")
DELETED = {"deletionTimestamp": MINUTE_AGO}


@pytest.mark.parametrize(
    ("api_version", "kind"), [("v1", "Node"), ("karpenter.k8s.aws/v1", "EC2NodeClass"), ("karpenter.sh/v1", "NodePool")]
)
def test_kinds_with_a_ready_condition(api_version: str, kind: str) -> None:
    there = observed.observed(api_version, kind, "x", status={"conditions": conditions(READY)})
    not_yet = observed.observed(api_version, kind, "x")
    assert (ready(there).ready, ready(not_yet).ready) == (True, False)
    refused = observed.observed(
        api_version, kind, "x", status={"conditions": conditions(("Ready", "False", "Why", "Because."))}
    )
    assert kind == "NodePool" or "Because (Why)" in ready(refused).reasons[0].message


def test_a_definition_is_ready_when_its_kind_is_served() -> None:
    crd = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "x")
    entries = conditions(
        ("NamesAccepted", "True", "NoConflicts", ""), ("Established", "True", "InitialNamesAccepted", "")
    )
    assert ready(observed.observed(*crd, status={"conditions": entries})).ready
    assert not ready(observed.observed(*crd)).ready
    taken = conditions(("NamesAccepted", "False", "MultipleNamesNotAllowed", "x is in use"))
    (reason,) = ready(observed.observed(*crd, status={"conditions": taken})).reasons
    assert reason.message == "x is in use (MultipleNamesNotAllowed)"


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [("v1", "Service"), ("policy/v1", "PodDisruptionBudget"), ("serving.example.com/v1", "Node")],
)
def test_kinds_without_a_predicate_are_ready_when_they_exist(api_version: str, kind: str) -> None:
    assert ready(observed.observed(api_version, kind, "x")).ready


@pytest.mark.parametrize(
    ("kind", "metadata", "entries", "message"),
    [
        pytest.param("Namespace", {}, (), "is there, and nobody has deleted it", id="not deleted"),
        pytest.param("Namespace", DELETED, (), "is being deleted", id="deleted"),
        pytest.param("Service", DELETED, (READY,), "is being deleted", id="a condition that is no problem"),
        pytest.param("Pod", DELETED, (), f"is being deleted; has until {MINUTE_AGO} to end", id="grace"),
        pytest.param(
            "ScaledObject",
            {**DELETED, "finalizers": ["finalizer.keda.sh", "b"]},
            (),
            "is being deleted, and waits for finalizer finalizer.keda.sh, which is removed by the KEDA operator; "
            "and for b, which is removed by the controller that has set it",
            id="finalizers",
        ),
        pytest.param(
            "Namespace",
            DELETED,
            (
                ("NamespaceContentRemaining", "True", "SomeResourcesRemain", "pods. has 3"),
                ("Other", "False", "Fine", ""),
            ),
            "is being deleted; pods. has 3 (SomeResourcesRemain)",
            id="content",
        ),
    ],
)
def test_what_keeps_an_object(kind: str, metadata: dict[str, Any], entries: Any, message: str) -> None:
    obj = observed.observed("v1", kind, "x", metadata=metadata, status={"conditions": conditions(*entries)})
    (reason,) = gone(obj).reasons
    assert (gone(obj).ready, reason.message) == (False, message)


def test_no_object_is_gone() -> None:
    assert gone(None).ready
