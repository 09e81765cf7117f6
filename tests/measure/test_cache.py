"""The store: whole entries or none, by content, safe when two write at once."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyerace_parity.core.digests import text_digest
from eyerace_parity.measure.cache import EvidenceCache

if TYPE_CHECKING:
    from pathlib import Path

KEY = text_digest("a key")
OTHER = text_digest("another key")


@pytest.fixture
def store(tmp_path: Path) -> EvidenceCache:
    """An empty store in a folder that does not exist yet."""
    return EvidenceCache(tmp_path / "cache" / "deep")


def entry(store: EvidenceCache) -> Path:
    """The one entry's file."""
    (path,) = store.folder.glob("*/*.evidence")
    return path


def test_what_is_written_is_read(store: EvidenceCache) -> None:
    """A body comes back under its kind and key, and under no other."""
    assert store.read("outputs", KEY) is None
    store.write("outputs", KEY, b"body\nwith a line")
    assert store.read("outputs", KEY) == b"body\nwith a line"
    assert store.read("outputs", OTHER) is None
    assert store.read("graph", KEY) is None
    store.write("outputs", KEY, b"replaced")
    assert store.read("outputs", KEY) == b"replaced"
    assert store.wrote
    assert not store.trouble


@settings(deadline=None)
@given(st.data())
def test_a_damaged_entry_is_absent(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any changed byte, any cut, anything appended: the entry is no evidence any more."""
    store = EvidenceCache(tmp_path_factory.mktemp("store"))
    store.write("outputs", KEY, b"0123456789")
    path = entry(store)
    content = bytearray(path.read_bytes())
    damage = data.draw(st.sampled_from(["change", "cut", "append"]))
    place = data.draw(st.integers(0, len(content) - 1))
    if damage == "change":
        content[place] ^= data.draw(st.integers(1, 255))
    elif damage == "cut":
        del content[place:]
    else:
        content += b"x"
    path.write_bytes(bytes(content))
    assert store.read("outputs", KEY) is None


def test_another_schema_and_foreign_files_are_absent(store: EvidenceCache) -> None:
    """An entry of another version of the store is not read, and neither is a file that somebody put there."""
    store.write("outputs", KEY, b"body")
    path = entry(store)
    path.write_bytes(path.read_bytes().replace(b'"schema": 1', b'"schema": 2'))
    assert store.read("outputs", KEY) is None
    path.write_bytes(b"\x00\x01 not ours")
    assert store.read("outputs", KEY) is None
    store.write("outputs", KEY, b"body")
    assert store.read("outputs", KEY) == b"body"


def test_a_copied_entry_does_not_answer_for_another_key(store: EvidenceCache) -> None:
    """The key stands in the entry: a file renamed to another key is foreign there."""
    store.write("outputs", KEY, b"body")
    path = entry(store)
    path.rename(path.with_name(OTHER.removeprefix("sha256:") + path.suffix))
    assert store.read("outputs", OTHER) is None


def test_nothing_half_written_is_left(store: EvidenceCache) -> None:
    """A folder after writing holds the entry and nothing else."""
    store.write("outputs", KEY, b"body")
    assert [path.name for path in entry(store).parent.iterdir()] == [entry(store).name]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A store that cannot keep costs time, not the run; the reason is there to be shown."""
    (tmp_path / "file").write_text("in the way")
    store = EvidenceCache(tmp_path / "file" / "store")
    store.write("outputs", KEY, b"body")
    assert store.read("outputs", KEY) is None
    assert str(tmp_path / "file") in store.trouble
    with store.claim(KEY):
        pass


def test_tidying_removes_what_was_unused_for_longest(store: EvidenceCache) -> None:
    """Beyond the limit the oldest go first; reading an entry makes it young again."""
    keys = [text_digest(str(number)) for number in range(4)]
    for age, key in enumerate(keys):
        store.write("outputs", key, bytes(1000))
        path = store.folder / "outputs" / f"{key.removeprefix('sha256:')}.evidence"
        os.utime(path, (1000 + age, 1000 + age))
    assert store.read("outputs", keys[0]) is not None
    each = store.size() // 4
    assert store.tidy(2 * each) == 2 * each
    assert [store.read("outputs", key) is not None for key in keys] == [True, False, False, True]
    store.tidy(0)
    assert store.size() == 0


def claim_and_note(folder: Path, note: Path) -> None:
    """Hold the key for a while and note when."""
    with EvidenceCache(folder).claim(KEY):
        began = time.monotonic()
        time.sleep(0.3)
        with note.open("a") as file:
            file.write(f"{began} {time.monotonic()}\n")


@pytest.mark.skipif(sys.platform == "win32", reason="fork is the quick way to a second process")
def test_tidying_sweeps_up_after_runs_that_were_killed(store: EvidenceCache) -> None:
    """A file that a run was writing when it was killed goes after a day; one that is being written now stays."""
    store.write("outputs", "sha256:" + "a" * 64, b"body")
    old, new = (store.folder / "outputs" / f".writing-{name}" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1_000_000, 1_000_000))
    store.tidy()
    assert not old.exists()
    assert new.exists()
    assert store.read("outputs", "sha256:" + "a" * 64) == b"body"


def test_two_processes_do_not_hold_one_key(tmp_path: Path) -> None:
    """Two runs that want the same measurement take turns."""
    context = multiprocessing.get_context("spawn")
    note = tmp_path / "note"
    both = [context.Process(target=claim_and_note, args=(tmp_path / "store", note)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(30)
    spans = sorted(tuple(map(float, line.split())) for line in note.read_text().splitlines())
    assert len(spans) == 2
    assert spans[0][1] <= spans[1][0]
