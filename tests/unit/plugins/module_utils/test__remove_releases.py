# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release whose Helm was killed can be uninstalled again; that of one that may live is left alone."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._remove import Options, Remover, Step
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import RemoveError
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import Answer, FakeApi, status

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")


def take(api: FakeApi, check: bool, timeout_s: int) -> Step:
    """One step of the removal of KEDA, or the prediction."""
    options = Options(check, namespace="keda", timeout_s=timeout_s)
    remover = Remover(api.cluster(), "east", "keda", options, now=lambda: observed.NOW)
    return remover.predict() if check else remover.step(0)


def packed(release: Any) -> str:
    """As it is in the Secret of a Helm."""
    return base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode(), mtime=0))).decode()


def uninstalling(content: str) -> FakeApi:
    """A Helm has begun to uninstall KEDA ten minutes ago, and has not ended."""
    api = FakeApi()
    api.kinds["v1"] = {**api.kinds["v1"], "Secret": ("secrets", True)}
    began = str(int(observed.NOW.timestamp()) - 600)
    labels = {"owner": "helm", "name": "keda", "version": "3", "status": "uninstalling", "modifiedAt": began}
    meta = {"labels": labels, "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "7"}
    api.add(observed.observed("v1", "Secret", "record", "keda", metadata=meta, data={"release": content}))
    return api


READABLE = packed({"info": {"status": "uninstalling"}})


def test_a_release_of_a_killed_helm_is_made_ready_unless_its_record_has_changed() -> None:
    api = uninstalling(READABLE)
    api.fail(lambda call: call.method == "PATCH", Answer(200, {}), status(409, "the object has been modified"))
    step = take(api, check=True, timeout_s=300)
    assert [str(change.ref) for change in step.changes] == ["Secret keda/record"] and api.writes() == []
    (call,) = (call for call in api.calls if call.method == "PATCH")
    assert call.body["metadata"]["resourceVersion"] == "7" and call.body["metadata"]["labels"]["status"] == "failed"
    with pytest.raises(RemoveError, match="the object has been modified"):
        take(api, check=False, timeout_s=300)
    assert api.writes() == []


def test_a_release_whose_patch_lost_its_reply_is_ready_all_the_same() -> None:
    api = uninstalling(READABLE)
    api.fail(lambda call: call.method == "PATCH" and _marked(api), status(409, "the object has been modified"))
    assert [str(change.ref) for change in take(api, check=False, timeout_s=300).changes] == ["Secret keda/record"]


def _marked(api: FakeApi) -> bool:
    """Does what the patch asks for."""
    api.edit(Ref("v1", "Secret", "keda", "record"), {"metadata": {"labels": {"status": "failed"}}})
    return True


@pytest.mark.parametrize(
    ("content", "timeout_s", "message"),
    [
        (READABLE, 301, "says uninstalling for 10m: another Helm is at work on the release"),
        ("%%", 300, "is no record of Helm 3 or 4"),
        (packed([]), 300, "is no record of Helm 3 or 4"),
    ],
)
def test_a_release_of_a_helm_that_may_live_or_is_unreadable_is_refused(
    content: str, timeout_s: int, message: str
) -> None:
    api = uninstalling(content)
    for check in (True, False):
        with pytest.raises(RemoveError, match=f"Secret keda/record: {message}") as raised:
            take(api, check, timeout_s)
        assert raised.value.findings[0].id == "release-pending"
    assert api.writes() == []
