"""The file of known flips: read whole or not at all, with its place told where it says what cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.flips import FlipLedger, KnownFlips
from eyerace_parity.measure.kinds import known_flips as reader
from eyerace_parity.measure.kinds.known_flips import today
from tests.laboratories import laboratory

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = Need(KnownFlips)
ENTRY = """
[[flip]]
id = "red-0.jpg"
variant = "int8"
against = "fp32"
decision = "blue"
reason = "a dark photograph that people do not agree on either"
expires = 2999-12-31
"""


def write(bundle: Path, text: str) -> None:
    """Write the bundle's file of known flips."""
    (bundle / "flips.toml").write_text(text, encoding="utf-8")


def test_an_entry_is_read_with_its_reason_and_its_last_day(image_bundle: Path) -> None:
    """And the day on which it was read stands beside it, so that a record can be judged again as it was."""
    write(image_bundle, ENTRY)
    known = laboratory(image_bundle).obtain(KNOWN)
    (entry,) = known.entries
    assert (entry.id, entry.variant, entry.against, entry.decision) == ("red-0.jpg", "int8", "fp32", "blue")
    assert entry.expires.isoformat() == "2999-12-31"
    assert known.today == today()
    assert known.provenance.settings["file"] == "flips.toml"


def test_a_bundle_without_the_file_knows_no_flips(image_bundle: Path) -> None:
    """It is no fault: most bundles have none."""
    known = laboratory(image_bundle).obtain(KNOWN)
    assert (known.entries, known.failure) == ((), "")


def test_the_contract_may_name_another_file(image_bundle: Path) -> None:
    """``[flips] accepted`` says where."""
    contract = image_bundle / "contract.toml"
    text = contract.read_text(encoding="utf-8")
    contract.write_text(text.replace("[interface]\n", '[flips]\naccepted = "known.toml"\n\n[interface]\n', 1))
    (image_bundle / "known.toml").write_text(ENTRY, encoding="utf-8")
    assert len(laboratory(image_bundle).obtain(KNOWN).entries) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ENTRY.replace('reason = "a dark photograph that people do not agree on either"\n', ""), "flip.0.reason"),
        (ENTRY.replace("a dark photograph that people do not agree on either", "  "), "flip.0.reason"),
        (ENTRY.replace("2999-12-31", '"some day"'), "flip.0.expires"),
        (ENTRY.replace("decision", "decided"), "flip.0.decided"),
        (ENTRY.replace('"int8"', '"int7"'), "names the variant 'int7'"),
        (ENTRY + ENTRY, "is listed twice"),
        ("[[flip]\n", "is not TOML"),
        ("flips = 3\n", "flips"),
    ],
)
def test_a_file_that_says_what_cannot_be_accepts_nothing(image_bundle: Path, text: str, told: str) -> None:
    """One bad entry is no reason to believe the others."""
    write(image_bundle, text)
    known = laboratory(image_bundle).obtain(KNOWN)
    assert told in known.failure
    assert not known.entries


def test_a_long_file_is_read_to_its_end(image_bundle: Path) -> None:
    """Every entry counts, the last one too: a file that is read in part accepts less than it says."""
    entries = [ENTRY.replace("red-0.jpg", f"red-{number}.jpg") for number in range(5000)]
    write(image_bundle, "".join(entries))
    known = laboratory(image_bundle).obtain(KNOWN)
    assert not known.failure
    assert [entry.id for entry in known.entries] == [f"red-{number}.jpg" for number in range(5000)]


def test_a_file_that_is_cut_off_accepts_nothing(image_bundle: Path) -> None:
    """Wherever it ends within its last entry, the first one is not believed either."""
    second = ENTRY.replace("red-0", "red-1").rstrip()
    for length in range(len("\n[[flip]]\n"), len(second) - len("-12-31"), 7):
        write(image_bundle, ENTRY + second[:length])
        known = laboratory(image_bundle).obtain(KNOWN)
        assert known.failure, length
        assert not known.entries


def test_a_file_that_is_too_large_is_told_and_not_cut(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut at a border of two entries it would be valid, and the second one would be gone without a word."""
    write(image_bundle, ENTRY + ENTRY.replace("red-0", "red-1"))
    monkeypatch.setattr(reader, "_MAX_BYTES", len(ENTRY))
    known = laboratory(image_bundle).obtain(KNOWN)
    assert "flips.toml is larger than" in known.failure
    assert not known.entries


def test_the_ledger_carries_the_table_of_labels(image_bundle: Path) -> None:
    """What is known of the capture comes along, and the ledger names the evidence that it was reckoned from."""
    own = laboratory(image_bundle)
    book = own.obtain(Need(FlipLedger, "int8", versus="torch"))
    assert book.samples == 24
    assert book.provenance.settings["versus_evidence"] == own.key(Need(Outputs, "torch"))
    assert own.key(Need(FlipLedger, "int8", versus="torch")) != own.key(Need(FlipLedger, "fp32", versus="torch"))
