"""The lineage as evidence: the stamp beside what would be stamped now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.digests import file_digest
from eyerace_parity.core.errors import ArtefactError
from eyerace_parity.measure.kinds.lineage import read_lineage
from tests.bundles import make_tensor_bundle

if TYPE_CHECKING:
    from pathlib import Path


def test_a_fresh_artefact_agrees_in_every_key(image_bundle: Path) -> None:
    """Digests and tools alike, and the provenance is the file itself."""
    contract = open_contract(image_bundle / "contract.toml")
    for variant in ("fp32", "int8"):
        found = read_lineage(contract, variant)
        assert found.stamped == found.current
        assert {"source", "checkpoint", "recipe"} < found.current.keys()
        assert found.provenance.artefact == file_digest(contract.path(contract.variants[variant].path))


def test_an_artefact_of_another_bundle_does_not(image_bundle: Path, tmp_path: Path) -> None:
    """A file swapped in from elsewhere carries elsewhere's lineage."""
    contract = open_contract(image_bundle / "contract.toml")
    foreign = make_tensor_bundle(tmp_path / "other", build=True) / "build" / "ranks.fp32.onnx"
    (image_bundle / "build" / "tiny.fp32.onnx").write_bytes(foreign.read_bytes())
    found = read_lineage(contract, "fp32")
    assert found.stamped["checkpoint"] != found.current["checkpoint"]


def test_a_missing_artefact_is_an_error(image_bundle: Path) -> None:
    """It is neither fresh nor stale."""
    (image_bundle / "build" / "tiny.int8.onnx").unlink()
    with pytest.raises(ArtefactError, match=r"tiny\.int8\.onnx"):
        read_lineage(open_contract(image_bundle / "contract.toml"), "int8")
