# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which charts are installed as which releases, with which values, and what there is afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import InvalidInput
from ansible_collections.gpufleet.llm.plugins.module_utils.releases.charts import (
    CHARTS,
    Install,
    parse_install,
    values_of,
    version_of,
)
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import CUT, SLICED, fleet

AWS = (("cluster.provider", "aws"),)


def install(component: str, *changes: tuple[str, Any], **given: Any) -> Install:
    """An install on the valid fleet with changes."""
    return parse_install({"component": component, "timeout": "5m", **given}, fleet(*changes))


@pytest.mark.parametrize(
    ("component", "release", "version"),
    [
        ("gpu_operator", "Helm release gpu-operator/gpu-operator", "v26.7.0"),
        ("karpenter_crd", "Helm release kube-system/karpenter-crd", "1.14.3"),
        ("karpenter", "Helm release kube-system/karpenter", "1.14.3"),
        ("keda", "Helm release keda/keda", "2.20.2"),
    ],
)
def test_names_are_fixed_and_namespaces_the_vendors(component: str, release: str, version: str) -> None:
    found = install(component, chart_ref="./chart")
    assert (str(found.release), version_of(found, fleet())) == (release, version)
    assert install(component, chart_ref="./chart", namespace="own").release.namespace == "own"


def test_karpenter_comes_from_its_provider() -> None:
    refs = [install(component, *AWS).chart_ref for component in ("karpenter", "karpenter_crd")]
    assert refs == ["oci://public.ecr.aws/karpenter/karpenter", "oci://public.ecr.aws/karpenter/karpenter-crd"]
    assert install("karpenter", *AWS, chart_ref="./own").chart_ref == "./own"


def test_where_there_is_none_the_variable_is_named() -> None:
    with pytest.raises(InvalidInput) as raised:
        install("karpenter_crd", namespace="Not a name", timeout="5 minutes")
    lines = [finding.line() for finding in raised.value.findings]
    assert [line.split(":")[0] for line in lines] == [
        "karpenter_namespace",
        "karpenter_wait_timeout",
        "karpenter_crd_chart_ref",
    ]
    assert lines[-1].endswith(
        "is empty, and no chart of Karpenter is known for provider kwok. Set it to a path or an OCI reference."
    )


@pytest.mark.parametrize(("crds", "kind"), [(True, "boolean"), (None, "null")])
def test_definitions_of_keda_are_a_dictionary(crds: Any, kind: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        install("keda", chart_ref="./x", values={"crds": crds})
    (finding,) = raised.value.findings
    assert finding.line() == (
        f"keda_values.crds: must be a dictionary, got {kind}. "
        "To leave the definitions out, say crds: {install: false}."
    )


def values(component: str, given: Any, *changes: tuple[str, Any]) -> dict[str, Any]:
    """The values of a chart, with the GPU Operator's own choices left alone."""
    return values_of(install(component, *changes, chart_ref="./x", values=given), fleet(*changes), "operator", None, [])


def test_given_values_come_last_and_keep_their_nulls_and_lists() -> None:
    given = {
        "driver": {"version": "580.1"},
        "toolkit": {"enabled": None},
        "daemonsets": {"tolerations": []},
        "gfd": {"enabled": True},
        "mig": "off",
    }
    found = values("gpu_operator", given)
    assert found["driver"] == {"enabled": True, "version": "580.1"}
    assert found["daemonsets"] == {"tolerations": []}
    assert (found["gfd"], found["toolkit"], found["mig"]) == ({"enabled": True}, {"enabled": None}, "off")


def test_karpenter_on_aws_is_told_its_cluster() -> None:
    assert values("karpenter", {}, *AWS) == {"settings": {"clusterName": "east"}}
    own = {"settings": {"clusterName": "other", "interruptionQueue": "q"}}
    assert values("karpenter", own, *AWS) == own
    assert values("karpenter", {}) == {}


def test_karpenter_reads_what_it_is_told_of_cut_gpus() -> None:
    assert values("karpenter", {}, *CUT) == {"settings": {"featureGates": {"nodeOverlay": True}}}
    assert values("karpenter", {}, *SLICED) == {}, "it buys none of these nodes"
    assert values("karpenter", {}, *CUT, *AWS)["settings"] == {
        "clusterName": "east",
        "featureGates": {"nodeOverlay": True},
    }


def test_definitions_outlive_the_release_whose_templates_they_are() -> None:
    kept = {"helm.sh/resource-policy": "keep"}
    assert values("karpenter_crd", {}) == {"additionalAnnotations": kept}
    assert values("keda", {"crds": {"install": True}})["crds"] == {"install": True, "additionalAnnotations": kept}


def test_what_is_there_afterwards() -> None:
    kinds = {name: [ref.kind for ref in install(name, chart_ref="./x").ready()] for name in CHARTS}
    definitions = ["CustomResourceDefinition"] * 2
    assert kinds == {
        "gpu_operator": ["Deployment", "ClusterPolicy"],
        "karpenter_crd": definitions,
        "karpenter": [*definitions, "Deployment"],
        "keda": [*definitions, "Deployment"],
    }


def test_definitions_that_helm_would_have_to_take_over() -> None:
    without = {"crds": {"install": False}}
    assert [bool(install(name, chart_ref="./x").owned_definitions) for name in CHARTS] == [False, True, False, True]
    assert install("keda", chart_ref="./x", values=without).owned_definitions == []
