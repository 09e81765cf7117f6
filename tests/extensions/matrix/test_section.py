"""The matrix of a contract: versions declared once, and expectations only of what is judged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.contract.load import load_contract
from eyerace_parity.core.errors import ContractError
from eyerace_parity.extensions.matrix.section import Fails, Matrix, cell_of
from tests.bundles import IMAGE_CONTRACT
from tests.limits import FAMILIES

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract


def loaded(folder: Path, matrix: str) -> Contract:
    """The tiny contract with a matrix."""
    path = folder / "contract.toml"
    path.write_text(f"{IMAGE_CONTRACT}\n[matrix]\n{matrix}\n", encoding="utf-8")
    return load_contract(path, FAMILIES)


def test_versions_and_expectations_are_read(tmp_path: Path) -> None:
    """One word or several tell why a variant fails."""
    contract = loaded(
        tmp_path,
        'versions = ["1.16", "1.22.1", "newest"]\n[matrix.expect]\n'
        '"1.16" = { int8 = { fails = "ConvInteger" }, fp32 = "held" }\n'
        'newest = { int8 = { fails = ["ConvInteger", "latency_ratio"] } }',
    )
    expected = contract.section(Matrix).expect
    assert contract.section(Matrix).versions == ("1.16", "1.22.1", "newest")
    assert expected["1.16"]["fp32"] == "held"
    assert isinstance(expected["1.16"]["int8"], Fails)
    assert expected["1.16"]["int8"].words == ("ConvInteger",)
    assert isinstance(expected["newest"]["int8"], Fails)
    assert expected["newest"]["int8"].words == ("ConvInteger", "latency_ratio")


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ('versions = ["1.16", "1.16"]', "matrix.versions[1]: '1.16' is named twice"),
        ('versions = ["oldest"]', "allowed: a version such as '1.22' or '1.22.1', or 'newest'"),
        ("versions = [1.16]", "allowed: a version such as"),
        ("images = 0", "matrix.images"),
        ('versions = ["1.16"]\nexpect = { "1.17" = { int8 = "held" } }', "there is no version '1.17'"),
        ('versions = ["1.16"]\nexpect = { "1.16" = { int9 = "held" } }', "did you mean 'int8'?"),
        (
            'versions = ["1.16"]\nexpect = { "1.16" = { torch = "held" } }',
            "no variant that ONNX Runtime executes 'torch'",
        ),
        ('versions = ["1.16"]\nexpect = { "1.16" = { int8 = "broken" } }', "matrix.expect"),
        ('versions = ["1.16"]\nexpect = { "1.16" = { int8 = { fails = "" } } }', "matrix.expect"),
        ('versions = ["1.16"]\nexpect = { "1.16" = { int8 = { fails = [] } } }', "matrix.expect"),
        ('version = ["1.16"]', "did you mean 'versions'?"),
    ],
)
def test_a_matrix_that_cannot_be_meant_is_refused(tmp_path: Path, matrix: str, message: str) -> None:
    """With the key, and what could have stood there."""
    with pytest.raises(ContractError) as refused:
        loaded(tmp_path, matrix)
    assert message in str(refused.value)


def test_a_cell_judges_what_its_runtime_executes(image_bundle: Path) -> None:
    """Of torch variants it says nothing, its targets are the matrix's, and all else is the same contract."""
    path = image_bundle / "contract.toml"
    with path.open("a", encoding="utf-8") as file:
        file.write('\n[matrix]\nversions = ["1.22"]\ntargets = ["arm64/armv8.0"]\nimages = 3\n')
    contract = open_contract(path)
    cell = cell_of(contract)
    assert {planned.case.name for planned in plan(contract)} == {"torch", "fp32", "int8"}
    assert {planned.case.name for planned in plan(cell)} == {"fp32", "int8"}
    assert (cell.targets.run, cell.targets.images) == (("arm64/armv8.0",), 3)
    assert (cell.cell, contract.cell, cell.digest) == (True, False, contract.digest)


def test_the_example_of_the_documentation_is_a_matrix(tmp_path: Path) -> None:
    """``docs/extensions/matrix.md`` shows what can be written."""
    text = (Path(__file__).parents[3] / "docs" / "extensions" / "matrix.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    path = tmp_path / "contract.toml"
    path.write_text(f"{IMAGE_CONTRACT}\n{example}", encoding="utf-8")
    contract = open_contract(path)
    assert contract.section(Matrix).targets == ("arm64/armv8.0", "arm64/armv8.2")
    assert "runtime_ratio" in {planned.clause.name for planned in plan(cell_of(contract))}
