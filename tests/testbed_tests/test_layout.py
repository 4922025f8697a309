# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bed's number keeps it apart from all others."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from testbed.layout import HOST, Layout, free_number
from testbed.settings import Settings


def test_beds_share_no_port_and_no_network() -> None:
    beds = [Layout("x", number) for number in range(1, 251)]
    ports = [port for bed in beds for port in bed.ports.values()]
    assert len(set(ports)) == len(ports)
    assert len({bed.pod_network for bed in beds}) == len(beds)


def test_ports_lie_below_those_of_outgoing_connections() -> None:
    first, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert max(Layout("x", 250).ports.values()) < first


def test_a_number_that_another_bed_has_is_passed_over() -> None:
    first = free_number("x", set())
    assert free_number("x", {first}) != first


def test_a_number_with_a_port_in_use_is_passed_over() -> None:
    first = free_number("x", set())
    with socket.create_server((HOST, Layout("x", first).ports["prometheus"])):
        assert free_number("x", set()) != first


def test_settings_are_parsed_by_type() -> None:
    settings = Settings.parse(["hpa_sync_s=5", "vllm_pods=--pull 0s"])
    assert (settings.hpa_sync_s, settings.vllm_pods) == (5, "--pull 0s")


@pytest.mark.parametrize("word", ["hpa_sync=5", "hpa_sync_s", "hpa_sync_s=often"])
def test_a_bad_setting_is_refused(word: str) -> None:
    with pytest.raises(ValueError):
        Settings.parse([word])
