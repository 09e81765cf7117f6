"""Turns of real processes: who is alone is alone, who shares does not starve it, who dies holds nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.core.digests import text_digest
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.machine_lock import SHARES, MachineLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess
    from pathlib import Path

SPAWN = multiprocessing.get_context("spawn")
KEYS = (text_digest("one"), text_digest("another"))


def spans(note: Path) -> list[tuple[str, float, float]]:
    """What the processes noted: kind, begin and end of each turn, by their begin."""
    rows = [line.split() for line in note.read_text().splitlines()]
    return sorted(((kind, float(begin), float(end)) for kind, begin, end in rows), key=lambda row: row[1])


def overlapping(rows: list[tuple[str, float, float]]) -> set[tuple[str, ...]]:
    """Kinds of turns that met each other."""
    return {tuple(sorted((a[0], b[0]))) for a, b in combinations(rows, 2) if a[1] < b[2] and b[1] < a[2]}


def take(folder: Path, note: Path, kind: str, rounds: int) -> None:
    """Take turns and note them; a turn lies within its note's times."""
    store = EvidenceCache(folder)
    for _ in range(rounds):
        with store.turn(alone=kind == "alone"):
            began = time.monotonic()
            time.sleep(0.05)
            with note.open("a") as file:
                file.write(f"{kind} {began} {time.monotonic()}\n")
    assert not store.trouble


def nest(folder: Path, note: Path, kind: str, rounds: int) -> None:
    """Take keys and turns in each other, in the orders that a run takes them in, and some that it does not."""
    store = EvidenceCache(folder)
    for number in range(rounds):
        with store.turn():  # an item of pytest's
            with store.claim(KEYS[number % 2]), store.turn():  # evidence that is kept
                time.sleep(0.01)
            with store.claim(KEYS[(number + 1) % 2]), store.turn(alone=True), store.claim(KEYS[number % 2]):
                began = time.monotonic()
                time.sleep(0.01)
                with note.open("a") as file:
                    file.write(f"{kind} {began} {time.monotonic()}\n")
    assert not store.trouble


def start(work: Callable[..., None], *arguments: object) -> BaseProcess:
    """A process that does some work."""
    process = SPAWN.Process(target=work, args=arguments)
    process.start()
    return process


def ended(*processes: BaseProcess) -> bool:
    """Whether all end well within a minute; those that do not are ended."""
    limit = time.monotonic() + 60
    for process in processes:
        process.join(max(0.0, limit - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes == [0] * len(codes)


def test_who_is_alone_meets_nobody(tmp_path: Path) -> None:
    """Three processes share again and again while two want to be alone: these get there, and meet nobody."""
    note = tmp_path / "note"
    kinds = ("shared", "shared", "shared", "alone", "alone")
    assert ended(*(start(take, tmp_path / "store", note, kind, 12 if kind == "shared" else 3) for kind in kinds))
    rows = spans(note)
    assert overlapping(rows) == {("shared", "shared")}
    assert [kind for kind, *_ in rows].count("alone") == 6


def test_turns_within_turns_and_keys_never_wait_for_each_other(tmp_path: Path) -> None:
    """Whatever lies in whatever, three processes that want the same keys and to be alone all get through."""
    note = tmp_path / "note"
    assert ended(*(start(nest, tmp_path / "store", note, "alone", 4) for _ in range(3)))
    rows = spans(note)
    assert len(rows) == 12
    assert not overlapping(rows)


def hold(folder: Path, ready: Path, *, alone: bool) -> None:
    """Take a turn and never give it back."""
    with EvidenceCache(folder).turn(alone=alone):
        ready.touch()
        time.sleep(60)


@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed by a signal")
@pytest.mark.parametrize("alone", [True, False])
def test_a_turn_ends_with_its_process(tmp_path: Path, alone: bool) -> None:  # noqa: FBT001
    """A process that is killed leaves the machine to the others."""
    ready = tmp_path / "ready"
    process = SPAWN.Process(target=hold, args=(tmp_path / "store", ready), kwargs={"alone": alone})
    process.start()
    try:
        while not ready.exists():
            assert process.is_alive()
            time.sleep(0.02)
        os.kill(process.pid or 0, signal.SIGKILL)
        assert ended(start(take, tmp_path / "store", tmp_path / "note", "alone", 1))
    finally:
        process.kill()
        process.join()


def test_more_than_there_are_shares_wait_for_one(tmp_path: Path) -> None:
    """Somebody who finds all shares taken waits until one comes back."""
    turns = MachineLock(tmp_path, pytest.fail)
    held = [turns._lock(f"share-{number:02}") for number in range(SHARES)]
    for lock in held:
        lock.acquire(poll_interval=0.01, blocking=False)
    through = threading.Event()

    def share() -> None:
        with turns.shared():
            through.set()

    thread = threading.Thread(target=share, daemon=True)
    thread.start()
    assert not through.wait(0.3)
    held[7].release()
    assert through.wait(30)
    thread.join()
    for lock in held:
        lock.release()


def test_without_locks_everybody_works(tmp_path: Path) -> None:
    """Where the folder cannot be made nobody waits, and the trouble is told."""
    (tmp_path / "file").write_text("in the way")
    store = EvidenceCache(tmp_path / "file" / "store")
    with store.turn(), store.turn(alone=True), store.claim(KEYS[0]):
        pass
    assert str(tmp_path / "file") in store.trouble
