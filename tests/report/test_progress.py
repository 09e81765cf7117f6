"""Progress: seen on a terminal, unheard anywhere else."""

from __future__ import annotations

import io

from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.report.progress import RichProgress, progress_on


class Screen(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def test_a_log_hears_nothing() -> None:
    """A stream that is no terminal gets no byte."""
    stream = io.StringIO()
    progress = progress_on(stream)
    assert isinstance(progress, SilentProgress)
    with progress.task("measuring", 3) as task:
        task.advance()
    assert stream.getvalue() == ""


def test_a_terminal_sees_label_and_count_and_is_left_clean() -> None:
    """Nested work shows side by side; afterwards the line is erased and the cursor is back."""
    screen = Screen()
    progress = progress_on(screen)
    assert isinstance(progress, RichProgress)
    with progress.task("outer work", 2) as outer:
        assert progress.live
        outer.advance()
        with progress.task("inner [work]", None) as inner:
            inner.advance(5)
    assert not progress.live
    text = screen.getvalue()
    assert "outer work" in text
    assert "1/2" in text
    assert "inner [work]" in text
    assert text.rstrip().endswith(("\x1b[?25h", "\x1b[2K"))


def test_wishes_are_heard() -> None:
    """``always`` and ``never`` overrule what the stream says of itself."""
    assert isinstance(progress_on(io.StringIO(), "always"), RichProgress)
    assert isinstance(progress_on(Screen(), "never"), SilentProgress)
