"""The untouched gate under other conditions: green where it must be, and red counted where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.extensions.selftest.conditions import CONDITIONS, Repeater
from tests.bundles import make_image_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.extensions.selftest.conditions import Repeat


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, built."""
    return make_image_bundle(tmp_path_factory.mktemp("conditions") / "bundle", build=True)


def repeats(bundle: Path, *names: str) -> list[Repeat]:
    """Run the gate as it is, and then under the named conditions."""
    repeater = Repeater(open_contract(bundle / "contract.toml"), bundle.parent / "store")
    places = [place for place, condition in enumerate(CONDITIONS) if condition.name in names]
    assert len(places) == len(names)
    return [repeater.repeat(place) for place in (0, *places)]


def test_legal_conditions_turn_nothing_red(bundle: Path) -> None:
    """Another order, batches, another locale, a folder with blanks and other letters."""
    found = repeats(
        bundle,
        "a random order",
        "four samples a batch",
        "the locale C",
        "a folder with blanks and non-ASCII letters",
    )
    for repeat in found:
        assert repeat.judged > 20, repeat
        assert not repeat.red, repeat
        assert not repeat.left_out


def test_a_false_alarm_is_counted(bundle: Path, tmp_path: Path) -> None:
    """A clause that held at first and then does not."""
    copy = make_image_bundle(tmp_path / "bundle", build=True)
    repeater = Repeater(open_contract(copy / "contract.toml"), tmp_path / "store")
    first = repeater.repeat(0)
    assert first.judged
    assert not first.red
    contract = open_contract(copy / "contract.toml")
    other = open_contract(bundle / "contract.toml")
    wrong = other.path(other.variants["fp32"].path).read_bytes()
    contract.path(contract.variants["int8"].path).write_bytes(wrong)
    second = repeater.repeat(0)
    assert any("integer_weights" in reason for reason in second.red)


def test_a_run_that_fails_is_no_green_one(bundle: Path, tmp_path: Path) -> None:
    """Where pytest ends with a usage error nothing was judged, and that is red."""
    copy = make_image_bundle(tmp_path / "bundle", build=True)
    repeater = Repeater(open_contract(copy / "contract.toml"), tmp_path / "store")
    (copy / "contract.toml").write_text("schema = 2\n", encoding="utf-8")
    repeat = repeater.repeat(0)
    assert repeat.judged == 0
    assert "pytest ended with 4" in repeat.red[0]
    assert bundle.is_dir()
