"""The command that photographs pages: its arguments, and that its files stay small."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """The tool, which is no part of the package."""
    path = Path(__file__).parent.parent / "tools" / "screenshots.py"
    spec = importlib.util.spec_from_file_location("screenshots", path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    # Its dataclasses look for their module by name.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "screenshots", found)
        spec.loader.exec_module(found)
    return found


def test_it_needs_a_record(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Without one there is nothing to photograph."""
    with pytest.raises(SystemExit):
        tool.main([])
    assert "RECORD" in capsys.readouterr().err


def test_it_says_what_it_needs(
    tool: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without Chromium is told the line that installs it."""
    monkeypatch.setenv("PATH", "")
    assert tool.main(["record.json"]) == 4
    assert "chromium" in capsys.readouterr().err


def test_a_picture_takes_fewer_colours_until_it_is_small(tool: ModuleType) -> None:
    """Its size in pixels stays."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    body = io.BytesIO()
    Image.fromarray(noise).save(body, "PNG")
    small = tool.compressed(body.getvalue(), 30_000)
    assert len(small) <= 30_000 < len(tool.compressed(body.getvalue()))
    assert Image.open(io.BytesIO(small)).size == (200, 200)
