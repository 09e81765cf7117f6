"""Archives that are torn, foreign or hostile are refused before they are read."""

from __future__ import annotations

import contextlib
import io
import pickle
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.npz import Archive, Bound, pack, read_arrays, read_headers, unpack

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def npy(array: np.ndarray) -> bytes:
    """An array as it stands in an archive."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def archive(path: Path, *members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write an archive of these members."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def headers(path: Path, max_bytes: int = 1 << 20) -> Archive:
    """The headers of a file, read within bounds that a setting names."""
    return read_headers(path.read_bytes(), path.name, Bound(max_bytes, "golden.max_bytes"))


def contents(path: Path, names: list[str]) -> dict[str, NDArray[Any]]:
    """Some arrays of a file."""
    return read_arrays(path.read_bytes(), path.name, names)


def refusal(path: Path, max_bytes: int = 1 << 20) -> str:
    """The message with which an archive is refused."""
    with pytest.raises(MeasurementError) as caught:
        headers(path, max_bytes)
    assert caught.value.next_step
    return caught.value.reason


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_headers_and_contents_agree(tmp_path, save):
    """What numpy writes is read, compressed or not."""
    path = tmp_path / "a.npz"
    arrays: dict[str, NDArray[Any]] = {
        "x": np.arange(6, dtype=np.float32).reshape(2, 3),
        "y": np.array([1, 2]),
        "s": np.array(3.0),
    }
    save(path, **arrays)
    assert {name: str(member) for name, member in headers(path).items()} == {
        "x": "float32 [2, 3]",
        "y": "int64 [2]",
        "s": "float64 []",
    }
    for name, array in contents(path, list(arrays)).items():
        assert np.array_equal(array, arrays[name])


def test_a_bomb_is_refused_by_its_size(tmp_path):
    """A small file may hold a large array."""
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x=np.zeros(1 << 20))
    assert path.stat().st_size < 1 << 16
    assert "bytes decompressed, more than golden.max_bytes" in refusal(path, 1 << 20)


def test_a_header_that_lies_is_refused(tmp_path):
    """It would have memory taken for what is not there."""
    torn = npy(np.zeros(4)).replace(b"(4,)", b"(4, ")
    huge = npy(np.zeros(4)).replace(b"(4,)", b"(4444444444,)").replace(b"          \n", b" \n")
    assert "its header speaks of" in refusal(archive(tmp_path / "a.npz", ("x.npy", huge)))
    assert "is torn, or no .npz file" in refusal(archive(tmp_path / "b.npz", ("x.npy", torn)))


def test_a_pickle_is_never_loaded(tmp_path):
    """Neither as an array of objects nor as a member of its own."""

    class Evil:
        def __reduce__(self):
            return (print, ("pwned",))

    objects = io.BytesIO()
    np.lib.format.write_array(objects, np.array([Evil()], object), allow_pickle=True)
    assert "holds pickled Python objects" in refusal(archive(tmp_path / "a.npz", ("x.npy", objects.getvalue())))
    assert "is torn" in refusal(archive(tmp_path / "b.npz", ("x.npy", pickle.dumps(Evil()))))


def test_two_arrays_of_one_name_are_refused(tmp_path):
    """Which would be meant?"""
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = archive(tmp_path / "a.npz", ("x.npy", npy(np.zeros(1))), ("x.npy", npy(np.ones(1))))
    assert "holds two arrays of the same name" in refusal(path)


def test_an_unknown_form_of_array_is_refused(tmp_path):
    """A format of the future is not guessed at."""
    content = bytearray(npy(np.zeros(3)))
    content[6] = 3
    assert "of the unknown array format (3, 0)" in refusal(archive(tmp_path / "a.npz", ("x.npy", bytes(content))))


def test_a_torn_archive_is_refused(tmp_path):
    """Cut, foreign, or with a broken checksum."""
    path = archive(tmp_path / "a.npz", ("x.npy", npy(np.arange(100))), compression=zipfile.ZIP_STORED)
    whole = path.read_bytes()
    assert headers(path)["x"].shape == (100,)
    path.write_bytes(whole.replace(bytes([55]) + bytes(7), bytes([56]) + bytes(7)))
    with pytest.raises(MeasurementError, match="is torn"):
        contents(path, ["x"])
    path.write_bytes(whole[:-30])
    assert "is torn, or no .npz file" in refusal(path)
    path.write_bytes(b"")
    assert "is torn, or no .npz file" in refusal(path)


def test_equal_members_give_equal_bytes():
    """Whatever the day, and whatever made the arrays; what was written is read."""
    members: dict[str, NDArray[Any] | bytes] = {"facts.json": b"{}", "a.npy": np.arange(6.0), "b.npy": np.array("x")}
    for compress in (False, True):
        content = pack(members, compress=compress)
        assert content == pack(dict(members), compress=compress)
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            assert {(info.date_time, info.create_system) for info in file.infolist()} == {((1980, 1, 1, 0, 0, 0), 3)}
        others, arrays = unpack(content, "a.npz", Bound(1 << 20))
        assert others == {"facts.json": b"{}"}
        assert {name: array.tolist() for name, array in arrays.items()} == {"a.npy": [0, 1, 2, 3, 4, 5], "b.npy": "x"}


def test_all_is_read_within_the_same_bounds():
    """An array that claims to be larger than its member takes no memory; too much is not decompressed."""
    content = pack({"x.npy": np.zeros(1000)}, compress=True)
    with pytest.raises(MeasurementError, match="decompressed, more than 1000"):
        unpack(content, "a.npz", Bound(1000))
    with pytest.raises(MeasurementError, match="its header speaks of"):
        unpack(pack({"x.npy": npy(np.zeros(4)).replace(b"(4,)", b"(9,)")}), "a.npz", Bound(1 << 20))


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_no_damage_crashes_the_reader(tmp_path_factory, where, content):
    """A law: whatever is overwritten, the file is read or refused."""
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    np.savez(path, x=np.arange(4.0), y=np.arange(3))
    whole = bytearray(path.read_bytes())
    whole[where : where + len(content)] = content
    path.write_bytes(bytes(whole))
    with contextlib.suppress(MeasurementError):
        contents(path, list(headers(path)))
