"""The photographs that a page shows, if they are still there and the very ones that were judged."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageOps

from eyerace_parity.core.errors import GoldenError, ParityError
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.golden.images import open_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.contract.model import Contract


Photographs = Callable[[int], Path | None]
"""Says of a sample where its photograph lies; ``None`` where there is none."""

EDGE: Final = 96
"""Longest edge of a thumbnail in pixels: of one that is only pointed at."""

LARGE: Final = 160
"""Longest edge of one that stands in the page."""

_QUALITY: Final = 62

_MOST_PIXELS: Final = 50_000_000


def photographs_of(contract: Contract | None, digest: str) -> Photographs:
    """Find the photographs of a run.

    Args:
        contract: The contract, where its file is at hand.
        digest: Digest of the golden set that was judged; empty where the run looked at none.

    Returns:
        Where the photograph of a sample lies: nowhere if the set is gone, or another one than was judged.
    """
    if contract is not None and digest:
        with contextlib.suppress(ParityError, OSError):
            found = open_golden(contract)
            if found.digest == digest:
                return found.photograph
    return lambda _sample: None


class Thumbnails:
    """Thumbnails in the making, beside whatever else is done meanwhile."""

    def __init__(self, photographs: Photographs, edges: Mapping[int, int], *, jobs: int = 2) -> None:
        """Begin to make thumbnails.

        Args:
            photographs: Says where the photograph of a sample lies.
            edges: Longest edge in pixels, by the place of the sample.
            jobs: Threads; decoding leaves Python's lock.
        """
        self._pool = ThreadPoolExecutor(max(1, jobs), thread_name_prefix="thumbnails")
        self._made: dict[int, Future[str]] = {}
        for sample, edge in edges.items():
            path = photographs(sample)
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
