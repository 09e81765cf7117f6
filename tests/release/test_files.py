"""Answers of a release in their file: as they were, small, and no more than can be."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from eyerace_parity.core.errors import RecordError
from eyerace_parity.release import files


@given(
    st.lists(st.text(max_size=8), max_size=5),
    st.dictionaries(
        st.text("abc/@é ", min_size=1, max_size=8),
        arrays_of.arrays(st.sampled_from([np.float32, np.float16, np.int64, np.bool_]), arrays_of.array_shapes()),
        max_size=3,
    ),
)
def test_answers_come_back_as_they_were(ids: list[str], kept: dict[str, Any]) -> None:
    """Names, types and values; and equal answers are equal bytes."""
    body = files.pack(ids, kept)
    assert body == files.pack(ids, dict(reversed(kept.items())))
    found, arrays = files.unpack(body, "answers.npz")
    assert found == tuple(ids)
    assert arrays.keys() == kept.keys()
    for name, array in kept.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
    assert files.digest_of(found, arrays) == files.digest_of(ids, kept)


def test_no_more_digits_than_float32_are_kept() -> None:
    """A number beyond its range keeps its own type instead of becoming infinite."""
    assert files.narrowed(np.array([1 / 3])).dtype == np.float32
    assert files.narrowed(np.array([1e300])).dtype == np.float64
    assert files.narrowed(np.array([1], np.int64)).dtype == np.int64


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_answers_that_unpack_to_more_than_can_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file may hold a very large one."""
    monkeypatch.setattr(files, "_MAX_BYTES", 1000)
    with pytest.raises(RecordError, match="more than 1000"):
        files.unpack(files.pack([], {"a": np.zeros(1000, np.float32)}), "answers.npz")


def test_pickled_answers_are_not_run() -> None:
    """A release may come from anywhere; reading one executes nothing."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([Path()], dtype=object), allow_pickle=True)
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("ids.json", "[]")
        archive.writestr("a.npy", buffer.getvalue())
    with pytest.raises(RecordError):
        files.unpack(body.getvalue(), "answers.npz")
