"""The page of a matrix."""

from __future__ import annotations

from eyerace_parity.extensions.matrix.page import render_matrix
from tests.extensions.matrix.by_hand import matrix


def test_a_matrix_tells_what_is_not_so_before_its_grid() -> None:
    """Reason and next step once, then the grid with exact versions and who bundles them, then the numbers."""
    text = render_matrix(matrix())
    assert text.index("no kernel for ConvInteger") < text.index('class="grid"')
    assert text.count("no kernel for ConvInteger") == 1
    for words in ("<small>1.22.1</small>", "flutter_onnxruntime ≥ 1.5.1", "× 1.50 of 1.32.0", "27.3", "armv8.0"):  # noqa: RUF001
        assert words in text
    assert "None" not in text
