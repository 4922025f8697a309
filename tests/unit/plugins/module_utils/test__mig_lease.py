# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time has a pool; a holder that is gone is followed, whatever its clock said."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._mig_lease import DURATION_S, Lease
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ClusterError
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi, status
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig_api import MigApi

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")

REF = Ref("coordination.k8s.io/v1", "Lease", "gpufleet", "gpufleet-mig-h100")


def lease(api: FakeApi, holder: str, seen: dict[str, Any] | None = None, now: datetime = observed.NOW) -> Lease:
    """The Lease as a step of a run sees it."""
    return Lease(api.cluster(), REF, {"gpufleet.io/pool": "h100"}, holder, seen or {}, api.clock, lambda: now)


def spec(api: FakeApi) -> dict[str, Any]:
    """What the Lease says."""
    found: dict[str, Any] = api.objects[REF].obj["spec"]
    return found


def test_the_first_run_has_it_and_the_second_waits_until_it_is_released() -> None:
    api = MigApi()
    first, second = lease(api, "one"), lease(api, "two")
    assert (first.acquire(), second.acquire()) == (None, "one")
    assert api.objects[REF].obj["metadata"]["labels"] == {"gpufleet.io/pool": "h100"}
    first.release()
    assert (second.acquire(), spec(api)["holderIdentity"], spec(api)["leaseTransitions"]) == (None, "two", 1)
    assert first.acquire() == "two"


def test_a_holder_that_renews_keeps_it_and_one_that_does_not_is_followed() -> None:
    api = MigApi()
    first, second = lease(api, "one"), lease(api, "two")
    first.acquire()
    for _turn in range(10):
        assert second.acquire() == "one"
        api.sleeps.append(DURATION_S - 1)
        first.acquire()
    assert second.acquire() == "one"
    api.sleeps.append(DURATION_S - 1)
    assert second.acquire() == "one"
    api.sleeps.append(1)
    assert second.acquire() is None


@pytest.mark.parametrize("minutes", [-600, 10])
def test_the_clock_of_the_holder_does_not_matter(minutes: int) -> None:
    api = MigApi()
    lease(api, "one", now=observed.NOW + timedelta(minutes=minutes)).acquire()
    second = lease(api, "two")
    assert second.acquire() == "one"
    api.sleeps.append(DURATION_S)
    assert second.acquire() is None


def test_what_one_step_has_seen_counts_in_the_next() -> None:
    api = MigApi()
    lease(api, "one").acquire()
    second = lease(api, "two")
    second.acquire()
    api.sleeps.append(DURATION_S)
    assert lease(api, "two", second.seen).acquire() is None


def test_it_is_renewed_now_and_then() -> None:
    api = MigApi()
    mine = lease(api, "one")
    mine.acquire()
    api.calls.clear()
    assert mine.acquire() is None and api.calls == []
    api.sleeps.append(6)
    later = observed.NOW + timedelta(seconds=6)
    assert lease(api, "one", mine.seen, later).acquire() is None
    assert len(api.writes()) == 1 and spec(api)["leaseTransitions"] == 0


def test_one_that_came_late_sees_who_was_first() -> None:
    api = MigApi()
    first = lease(api, "one")
    first.acquire()
    first.release()
    second = lease(api, "two")
    raced = status(409, "the object has been modified")
    late = (call for call in [True])
    api.fail(lambda call: call.method == "PUT" and next(late, False) and first.acquire() is None, raced)
    assert second.acquire() == "one"


def test_an_answer_that_was_lost_is_no_conflict() -> None:
    api = MigApi()
    mine = lease(api, "one")
    mine.acquire()
    assert lease(api, "one").acquire() is None
    api.fail(lambda call: call.method == "PUT", status(409, "the object has been modified"))
    api.sleeps.append(6)
    assert mine.acquire() is None


def test_releasing_leaves_that_of_others_alone() -> None:
    api = MigApi()
    first, second = lease(api, "one"), lease(api, "two")
    first.acquire()
    second.acquire()
    second.release()
    api.sleeps.append(DURATION_S)
    second.acquire()
    first.release()
    assert spec(api)["holderIdentity"] == "two"


def test_without_its_namespace_the_message_says_what_makes_it() -> None:
    api = MigApi()
    api.fail(lambda call: call.method == "POST", status(404, 'namespaces "gpufleet" not found'))
    with pytest.raises(ClusterError, match="namespace gpufleet does not exist. Apply"):
        lease(api, "one").acquire()
