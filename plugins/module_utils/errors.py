# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one family of exceptions: each carries the findings that say what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .findings import Finding, Severity


class GpufleetError(Exception):
    """An expected failure; ``findings`` is never empty, errors first."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(self.line())

    def line(self) -> str:
        """One line for ``msg``: the first finding, and how many more there are."""
        more = len(self.findings) - 1
        return self.findings[0].line() + (f" ({more} more in findings)" if more else "")


class InvalidInput(GpufleetError):
    """The declaration cannot be meant: raised before anything is read or written."""


class ClusterError(GpufleetError):
    """The cluster cannot be reached, or does not answer as a Kubernetes API server does."""

    def when_denied(self, severity: Severity) -> list[Finding]:
        """The findings in another severity where only a permission is missing; anything else is raised."""
        if any(finding.id != "missing-permission" for finding in self.findings):
            raise self
        return [replace(finding, severity=severity) for finding in self.findings]


class QueryRefused(ClusterError):
    """Prometheus answers, and refuses a query; it refuses that to whoever asks it."""


class ApplyError(GpufleetError):
    """An object was refused: by a conflict, by admission, or while it was written."""


class RemoveError(GpufleetError):
    """Something that is to be removed is in use, or its deletion was refused."""


class PreflightError(GpufleetError):
    """The declaration or the cluster cannot work; nothing was written."""


class RenderError(GpufleetError):
    """A file cannot be written; none was."""
