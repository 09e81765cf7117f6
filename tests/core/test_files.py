"""Files are named as the user would type them, written whole or not at all, and read within bounds."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from eyerace_parity.core.files import FileTooLarge, display_path, parse_json, read_bytes, read_json, write_atomically
from eyerace_parity.core.machine import disable_telemetry
from eyerace_parity.core.text import did_you_mean, join_names

ON_WINDOWS = sys.platform == "win32"


def test_a_file_below_is_named_relatively(tmp_path, monkeypatch):
    """And one elsewhere in full."""
    monkeypatch.chdir(tmp_path)
    assert display_path(tmp_path / "a" / "b.toml") == "a/b.toml"
    assert display_path(Path("a/b.toml")) == "a/b.toml"
    assert display_path(tmp_path.parent / "c.toml") == (tmp_path.parent / "c.toml").as_posix()


def test_a_near_miss_is_recognised_whatever_its_case():
    """Only a near one."""
    assert did_you_mean("F1_dorp", ["f1", "f1_drop"]) == "; did you mean 'f1_drop'?"
    assert did_you_mean("latency", ["f1", "f1_drop"]) == ""


def test_a_long_list_is_cut():
    """With the number of what is left out."""
    assert join_names(["a", "b"]) == "a, b"
    assert join_names("abcd", most=2) == "a, b and 2 more"


def test_the_runtime_is_kept_from_reporting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate works offline; whoever asks for reports keeps them."""
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    disable_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    disable_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"


def test_the_projects_own_runs_report_to_nobody() -> None:
    """Whoever runs these tests has onnxruntime write no device id into his home."""
    assert os.environ.get("ORT_DISABLE_TELEMETRY") == "1"


# ---- writing ---------------------------------------------------------------------------------------------------------


def test_a_file_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is made, and until all of it is written what stood there before still stands."""
    path = tmp_path / "new" / "a.json"
    write_atomically(path, "ä\n")
    assert path.read_bytes() == "ä\n".encode()
    before: list[bytes] = []
    replace = Path.replace

    def watched(part: Path, target: Path) -> Path:
        before.append(path.read_bytes())
        assert part.read_bytes() == b"one two"
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", watched)
    write_atomically(path, b"one", " two")
    assert before == ["ä\n".encode()]
    assert path.read_bytes() == b"one two"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """Nothing half-written, nothing left over."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")

    def interrupted(_part: Path, _target: Path) -> None:
        assert len(list(tmp_path.iterdir())) == 2
        raise error

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(error):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(ON_WINDOWS, reason="Windows has no such permissions")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_others_may_read_it(tmp_path: Path, umask: int) -> None:
    """As any new file of the user's, not as a private temporary one."""
    plain, path = tmp_path / "plain", tmp_path / "a"
    before = os.umask(umask)
    try:
        plain.write_bytes(b"")
        write_atomically(path, b"")
    finally:
        os.umask(before)
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.skipif(ON_WINDOWS, reason="links need a privilege there")
def test_a_link_is_followed(tmp_path: Path) -> None:
    """It stays a link, whether the file that it names is there or not."""
    target, link = tmp_path / "there" / "target", tmp_path / "link"
    link.symlink_to(target)
    for text in ("first", "second"):
        write_atomically(link, text)
        assert link.is_symlink()
        assert target.read_text() == text
        assert list(target.parent.iterdir()) == [target]


@pytest.mark.skipif(ON_WINDOWS, reason="there are no such files")
def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    """A pipe, a folder, a link to a device; the null device takes everything, and stays what it is."""
    pipe, device, null = tmp_path / "pipe", tmp_path / "device", tmp_path / "null"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    null.symlink_to(os.devnull)
    for path in (pipe, tmp_path, device):
        with pytest.raises(OSError, match="no file"):
            write_atomically(path, "text")
    write_atomically(null, "text")
    assert null.samefile(os.devnull)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device", "null", "pipe"]


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_a_file_is_read_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it says its size is: it may grow while it is read."""
    path = tmp_path / "a"
    path.write_bytes(b"four")
    assert read_bytes(path, 4) == b"four"
    with pytest.raises(FileTooLarge, match="more than 3 bytes"):
        read_bytes(path, 3)
    monkeypatch.setattr(os, "fstat", lambda _: os.stat_result([0] * 10))
    with pytest.raises(FileTooLarge):
        read_bytes(path, 3)


@pytest.mark.skipif(ON_WINDOWS, reason="there are no such files")
def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    """A pipe would be waited for, a device read until memory runs out."""
    pipe, device = tmp_path / "pipe", tmp_path / "device"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for path in (pipe, device, tmp_path):
        with pytest.raises(OSError, match="no regular file"):
            read_bytes(path, 10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "Expecting"),
        (b"\xff", "utf-8"),
        (b'{"a": "\\ud800"}', "surrogates"),
        (b"[" + b"9" * 41 + b"]", "too many digits"),
        (b"[" * 200 + b"]" * 200, "nested too deep"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "nested too deep"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
    ],
    ids=["torn", "bytes", "half a character", "digits", "lists", "objects", "very deep"],
)
def test_json_is_read_within_bounds(content: bytes, message: str) -> None:
    """What no text could show, no number hold, and no walk survive is refused."""
    with pytest.raises(ValueError, match=message):
        parse_json(content)


def test_json_within_the_bounds_is_read(tmp_path: Path) -> None:
    """Forty digits, a hundred levels, a whole character of two halves."""
    path = tmp_path / "a.json"
    text = '{"n": 1234567890123456789012345678901234567890, "c": "\\ud83d\\ude00", "l": ' + "[" * 99 + "]" * 99 + "}"
    path.write_text(text, encoding="utf-8")
    assert read_json(path) == json.loads(text)
    with pytest.raises(FileTooLarge):
        read_json(path, 10)
