"""``[targets]``: what is executed where, and what cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import ContractError
from tests.bundles import make_image_bundle

if TYPE_CHECKING:
    from pathlib import Path


def opened(folder: Path, targets: str, *edits: tuple[str, str]):
    """The labelled bundle's contract with a ``[targets]`` table."""
    path = make_image_bundle(folder / "bundle") / "contract.toml"
    text = path.read_text(encoding="utf-8")
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    path.write_text(f"{text}\n[targets]\n{targets}\n", encoding="utf-8")
    return open_contract(path)


def test_the_device_variants_are_executed(tmp_path: Path) -> None:
    """Where the contract names none: what ships to the phone, and what runs there."""
    read = opened(tmp_path, 'run = ["arm64/armv8.0"]')
    assert read.targets.executed(read.variants) == ("int8",)
    assert read.targets.images == 64


def test_named_variants_are_executed_in_the_contracts_order(tmp_path: Path) -> None:
    """Whatever their tier."""
    read = opened(tmp_path, 'run = ["arm64/armv8.0"]\nvariants = ["int8", "fp32"]')
    assert read.targets.executed(read.variants) == ("fp32", "int8")


def test_nowhere_nothing_is_executed(tmp_path: Path) -> None:
    """A table without targets, as an override may leave it."""
    read = opened(tmp_path, 'variants = ["int8"]')
    assert read.targets.executed(read.variants) == ()


@pytest.mark.parametrize(
    ("targets", "why"),
    [
        ('run = ["x86/avx2", "x86/avx2"]', "target 'x86/avx2' is named twice"),
        ('run = ["x86/avx2"]\nvariants = ["int9"]', "did you mean 'int8'"),
        ('run = ["x86/avx2"]\nvariants = ["torch"]', "there is no variant that ONNX Runtime executes 'torch'"),
        ('run = ["x86/avx2"]\nvariants = []', "none is named, so nothing would be executed"),
        ("images = 0", "found 0; allowed: above 0"),
        ("seconds = -1.0", "above 0"),
        ("sampels = 5", "unknown key"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, targets: str, why: str) -> None:
    """Each mistake with its file, its line and what could stand there."""
    with pytest.raises(ContractError) as caught:
        opened(tmp_path, targets)
    assert "contract.toml:" in caught.value.reason
    assert why in caught.value.reason


def test_without_a_device_variant_they_must_be_named(tmp_path: Path) -> None:
    """Otherwise targets would be named and nothing executed on them."""
    with pytest.raises(ContractError, match="no variant is of tier 'device'"):
        opened(tmp_path, 'run = ["x86/avx2"]', ('tier = "device"', 'tier = "phone"'))
