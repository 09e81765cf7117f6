"""A limit under its old name still counts, is told once with its new name, and contradicts nothing in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyerace_parity.checks.plan import demand_line, plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.contract.overrides import Override
from eyerace_parity.core.errors import ContractError
from tests.bundles import IMAGE_CONTRACT

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.contract.model import Contract


def read(folder: Path, more: str, *overrides: Override) -> Contract:
    """A contract with further lines, of a bundle whose files nobody needs."""
    path = folder / "contract.toml"
    path.write_text(f"{IMAGE_CONTRACT}\n{more}", encoding="utf-8")
    return open_contract(path, overrides)


def line_in(contract: Contract, text: str) -> int:
    """The 1-based line of a text in the file."""
    return contract.file.read_text(encoding="utf-8").splitlines().index(text) + 1


def test_the_old_name_means_the_new_limit(tmp_path: Path) -> None:
    """Shared or a variant's own, it is planned under today's name, at the line where it stands."""
    contract = read(tmp_path, "[limits.quality]\nmicro_f1 = 0.5\nmicro_f1_drop = 0.25\n")
    found = {planned.identity.clause: planned for planned in plan(contract) if planned.case.name == "int8"}
    assert {"accuracy", "accuracy_drop"} <= set(found)
    assert found["accuracy"].limits.accuracy == 0.5  # type: ignore[attr-defined]
    assert demand_line(found["accuracy_drop"]) == line_in(contract, "micro_f1_drop = 0.25")
    assert not [name for name in found if name.startswith("micro")]


def test_each_old_name_is_told_once_with_its_places(tmp_path: Path) -> None:
    """One line a name, wherever and however often it was written."""
    own = Override("variants.fp32.limits.quality.micro_f1", 0.75, "command line --eyerace-parity-set")
    contract = read(tmp_path, "[limits.quality]\nmicro_f1 = 0.5\nmicro_f1_drop = 0.25\n", own)
    first, second = contract.notes
    line = line_in(contract, "micro_f1 = 0.5")
    assert f"contract.toml:{line}, command line --eyerace-parity-set: micro_f1 is called accuracy now" in first
    assert "version 0.3 refuses micro_f1" in first
    assert "write accuracy_drop" in second
    assert contract.variants["fp32"].limits["quality"].accuracy == 0.75  # type: ignore[attr-defined]


def test_a_contract_without_old_names_says_nothing(tmp_path: Path) -> None:
    """Then there is nothing to change."""
    assert read(tmp_path, "[limits.quality]\naccuracy = 0.5\n").notes == ()


def test_both_names_may_say_the_same(tmp_path: Path) -> None:
    """A contract for two versions of the gate holds both."""
    contract = read(tmp_path, "[limits.quality]\naccuracy = 0.5\nmicro_f1 = 0.5\n")
    assert contract.variants["int8"].limits["quality"].accuracy == 0.5  # type: ignore[attr-defined]
    assert len(contract.notes) == 1


def test_both_names_with_different_values_are_refused(tmp_path: Path) -> None:
    """Which of them holds is not for the gate to choose."""
    with pytest.raises(ContractError) as caught:
        read(tmp_path, "[limits.quality]\naccuracy = 0.5\nmicro_f1 = 0.75\n")
    line = (tmp_path / "contract.toml").read_text(encoding="utf-8").splitlines().index("micro_f1 = 0.75") + 1
    assert f"contract.toml:{line}: limits.quality.micro_f1: micro_f1 is called accuracy now" in caught.value.reason
    assert "micro_f1 is 0.75 and accuracy 0.5; keep accuracy" in caught.value.reason


@pytest.mark.parametrize("where", ["limits.quality", "variants.int8.limits.quality"])
def test_a_wrong_value_is_told_of_the_name_that_was_written(tmp_path: Path, where: str) -> None:
    """The user looks for what stands in the file."""
    stated = IMAGE_CONTRACT.replace("[variants.int8.limits.quality]", "[variants.int8.limits.quality]\nmicro_f1 = 7.0")
    more = "[limits.quality]\nmicro_f1 = 7.0\n" if where == "limits.quality" else ""
    (tmp_path / "contract.toml").write_text(f"{IMAGE_CONTRACT if more else stated}\n{more}", encoding="utf-8")
    with pytest.raises(ContractError, match=rf":\d+: {where}\.micro_f1: found 7"):
        open_contract(tmp_path / "contract.toml")


def test_what_can_never_be_judged_is_told_of_the_name_that_was_written(tmp_path: Path) -> None:
    """As above, for the plan."""
    key = "variants.torch.limits.quality.micro_f1_drop"
    contract = read(tmp_path, "", Override(key, 0.1, "here"))
    with pytest.raises(ContractError, match=rf"{key}: can never be judged: torch has no reference"):
        plan(contract)
