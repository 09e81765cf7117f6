"""Thumbnails: photographs small enough that hundreds of them fit into one file."""

from __future__ import annotations

import base64
import io
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageOps

from eyerace_parity.core.errors import GoldenError
from eyerace_parity.golden.images import open_image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from eyerace_parity.golden.dataset import GoldenSet

EDGE: Final = 96
"""Longest edge of a thumbnail in pixels: of one that is only pointed at."""

LARGE: Final = 160
"""Longest edge of one that stands in the page."""

_QUALITY: Final = 62
_MOST_PIXELS: Final = 50_000_000


class Album:
    """Thumbnails in the making, beside whatever else is done meanwhile."""

    def __init__(self, golden: GoldenSet | None, edges: Mapping[int, int], *, jobs: int = 2) -> None:
        """Begin to make thumbnails.

        Args:
            golden: The golden set; ``None`` where it is not at hand.
            edges: Longest edge in pixels, by the place of the sample.
            jobs: Threads; decoding leaves Python's lock.
        """
        self._pool = ThreadPoolExecutor(max(1, jobs), thread_name_prefix="thumbnails")
        self._made: dict[int, Future[str]] = {}
        for sample, edge in edges.items() if golden is not None else ():
            path = golden.photograph(sample) if golden is not None else None
            if path is not None:
                self._made[sample] = self._pool.submit(_thumbnail, path, edge)

    def finished(self) -> dict[int, str]:
        """Wait for the last one.

        Returns:
            A ``data:`` address by sample. A photograph that cannot be decoded has none.
        """
        found = {sample: address for sample, made in self._made.items() if (address := made.result())}
        self._pool.shutdown()
        return found


def _thumbnail(path: Path, edge: int) -> str:
    try:
        with open_image(path, _MOST_PIXELS) as image:
            image.draft("RGB", (edge, edge))  # a JPEG is decoded no larger than it takes, at a part of the cost
            small = ImageOps.exif_transpose(image).convert("RGB")
            small.thumbnail((edge, edge), Image.Resampling.BILINEAR)
    except (GoldenError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    body = io.BytesIO()
    small.save(body, "WEBP", quality=_QUALITY, method=2)
    return "data:image/webp;base64," + base64.b64encode(body.getvalue()).decode("ascii")
