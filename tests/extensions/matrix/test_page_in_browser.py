"""The page of a matrix in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyerace_parity.extensions.matrix.reporting import write_matrix_page
from tests.extensions.matrix.by_hand import matrix
from tests.session.test_page_in_browser import EVIL, browser, require_fit

if TYPE_CHECKING:
    from pathlib import Path

    from selenium import webdriver

__all__ = ["browser"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits(tmp_path: Path, browser: webdriver.Chrome, scheme: str) -> None:
    """No complaint, no sideways scrolling, words that can be read, no script."""
    page = tmp_path / "page.html"
    write_matrix_page(page, matrix(EVIL))
    require_fit(page, browser, scheme)
