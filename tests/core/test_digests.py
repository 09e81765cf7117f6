"""Digests follow the content, and nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyerace_parity.core import digests, files
from eyerace_parity.core.digests import file_digest, json_digest, known_digest, rows_digest, text_digest

ROWS = st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=4)


@pytest.mark.parametrize("size", [0, 1, 100_000, (1 << 22) + 1])
def test_a_file_has_the_digest_of_its_bytes(tmp_path, size):
    """Small or large."""
    content = bytes(range(256)) * (size // 256) + b"\0" * (size % 256)
    path = tmp_path / "x"
    path.write_bytes(content)
    assert file_digest(path) == file_digest(str(path)) == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_text_has_the_digest_of_its_utf8():
    """As a file of it would have."""
    assert text_digest("é") == f"sha256:{hashlib.sha256('é'.encode()).hexdigest()}"


@given(ROWS, ROWS)
def test_tables_are_equal_when_their_rows_are(first, second):
    """A law: order does not count, and no cell can pass for two."""
    assert (rows_digest(first) == rows_digest(second)) == (sorted(first) == sorted(second))


def test_json_is_digested_in_one_form_only():
    """The order of keys does not count; what JSON cannot say is refused."""
    assert json_digest({"a": 1, "b": [2]}) == json_digest({"b": [2], "a": 1})
    with pytest.raises(ValueError, match="JSON"):
        json_digest({"a": float("nan")})


def test_a_large_file_is_hashed_once_while_its_marks_stay_the_same(tmp_path, monkeypatch):
    """Not a file that was written just before: it could change again under the same times."""
    hashed = []

    def counted(file, name):
        hashed.append(file)
        return real(file, name)

    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", counted)
    monkeypatch.setattr(digests, "_AT_ONCE", 4)
    path = tmp_path / "weights"
    path.write_bytes(b"the first")
    first = file_digest(path)
    assert (known_digest(path), len(hashed)) == (first, 2)
    monkeypatch.setattr(files, "_COARSEST_TICK_NS", 0)
    file_digest(path)
    assert (known_digest(path), known_digest(path), len(hashed)) == (first, first, 3)
    path.write_bytes(b"another 1")
    assert known_digest(path) == file_digest(path) != first
