"""Which accepted release a candidate is judged against, and where releases are kept."""

from __future__ import annotations

from eyerace_parity.contract.base import BundlePath, Model, Name


class ReleaseSection(Model):
    """The contract's word on releases.

    Attributes:
        baseline: Name of the release to judge against, where the run names no other.
        folder: Folder of releases, one folder a release; made to be committed.
    """

    baseline: Name | None = None
    folder: BundlePath = BundlePath("releases")
