"""How big an artefact is."""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import ArtefactError
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.evidence.base import Need
from eyerace_parity.measure.context import artefact_digest
from eyerace_parity.measure.kinds import files
from tests.laboratories import bench, change
from tests.onnx_files import write_linear

if TYPE_CHECKING:
    from pathlib import Path


def measure(bundle: Path, variant: str = "fp32") -> Files:
    """A variant's sizes, measured without a store."""
    place = bench(bundle)
    need = Need(Files, variant)
    return files.measure(place, need, files.provenance(place, need))


def test_one_file_counts_with_its_deflated_size(image_bundle: Path) -> None:
    """Bytes are the file's, deflated bytes those of zlib at level 6."""
    content = (image_bundle / "build/tiny.fp32.onnx").read_bytes()
    found = measure(image_bundle)
    assert found.bytes == len(content)
    assert found.deflated == len(zlib.compress(content, 6))


def test_external_data_count_too(image_bundle: Path) -> None:
    """Weights that lie beside the file are shipped with it, whatever the contract thinks of that."""
    path = write_linear(image_bundle / "build/tiny.fp32.onnx", external="tiny.data")
    data = path.with_name("tiny.data")
    found = measure(image_bundle)
    assert found.bytes == path.stat().st_size + data.stat().st_size
    before = bench(image_bundle).artefact("fp32")
    data.write_bytes(bytes(data.stat().st_size))
    assert bench(image_bundle).artefact("fp32") != before


def test_torch_weights_have_a_size(image_bundle: Path) -> None:
    """A state dict is measured like any other file."""
    assert measure(image_bundle, "torch").bytes == (image_bundle / "tiny.safetensors").stat().st_size


def test_missing_external_data_are_an_error(image_bundle: Path) -> None:
    """A size without the weights would be a lie."""
    write_linear(image_bundle / "build/tiny.fp32.onnx", external="tiny.data").with_name("tiny.data").unlink()
    with pytest.raises(ArtefactError, match=r"'tiny\.data' do not exist"):
        measure(image_bundle)


def test_data_outside_the_bundle_are_never_opened(image_bundle: Path) -> None:
    """A file that leads outside is refused, by a path or by a link."""
    path = write_linear(image_bundle / "build/tiny.fp32.onnx", external="tiny.data")
    path.write_bytes(path.read_bytes().replace(b"tiny.data", b"../../x.x"))
    (image_bundle.parent / "x.x").write_bytes(b"secret")
    with pytest.raises(ArtefactError, match="outside the bundle"):
        measure(image_bundle)
    if sys.platform != "win32":
        path.write_bytes(path.read_bytes().replace(b"../../x.x", b"tiny.data"))
        path.with_name("tiny.data").unlink()
        path.with_name("tiny.data").symlink_to(image_bundle.parent / "x.x")
        with pytest.raises(ArtefactError, match="outside the bundle"):
            measure(image_bundle)


def test_a_missing_file_is_an_error(image_bundle: Path) -> None:
    """No file has no size; the next step says how to make it."""
    change(image_bundle, 'path = "build/tiny.fp32.onnx"', 'path = "build/none.onnx"')
    with pytest.raises(ArtefactError, match="does not exist") as caught:
        measure(image_bundle)
    assert "eyerace-parity export" in caught.value.next_step


def test_data_that_lead_outside_are_not_data_that_are_missing(image_bundle: Path) -> None:
    """The two are different artefacts: what was found of one is no evidence of the other."""
    data = write_linear(image_bundle / "build/tiny.fp32.onnx", external="tiny.data").with_name("tiny.data")
    outside = image_bundle.parent / "elsewhere.data"
    outside.write_bytes(data.read_bytes())
    data.unlink()
    contract = open_contract(image_bundle / "contract.toml")
    missing = artefact_digest(contract, "fp32")
    data.symlink_to(outside)
    assert artefact_digest(contract, "fp32") != missing
