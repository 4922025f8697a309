# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two time formats of the Kubernetes API."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """metav1.Time: whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_micro() -> str:
    """metav1.MicroTime."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def since(time: str) -> float:
    """Seconds from a metav1.Time until now."""
    return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()
