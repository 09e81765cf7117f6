"""Thumbnails: photographs small enough that hundreds of them fit into one file."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageOps

from parity.errors import GoldenError
from parity.golden.images import open_image

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from parity.golden.dataset import GoldenSet

EDGE: Final = 96
"""Longest edge of a thumbnail in pixels."""

_QUALITY: Final = 62
_MOST_PIXELS: Final = 50_000_000


def thumbnails(golden: GoldenSet | None, samples: Iterable[int], *, jobs: int = 2) -> dict[int, str]:
    """Make thumbnails.

    Args:
        golden: The golden set; ``None`` where it is not at hand.
        samples: Places of the samples.
        jobs: Threads; decoding leaves Python's lock.

    Returns:
        A ``data:`` address by sample. A photograph that cannot be decoded has none.
    """
    if golden is None:
        return {}
    wanted = {sample: path for sample in samples if (path := golden.photograph(sample)) is not None}
    with ThreadPoolExecutor(max(1, jobs), thread_name_prefix="thumbnails") as pool:
        made = pool.map(_thumbnail, wanted.values())
        return {sample: address for sample, address in zip(wanted, made, strict=True) if address}


def _thumbnail(path: Path) -> str:
    try:
        with open_image(path, _MOST_PIXELS) as image:
            image.draft("RGB", (2 * EDGE, 2 * EDGE))  # a JPEG is decoded at an eighth of the cost
            small = ImageOps.exif_transpose(image).convert("RGB")
            small.thumbnail((EDGE, EDGE), Image.Resampling.BILINEAR)
    except (GoldenError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    body = io.BytesIO()
    small.save(body, "WEBP", quality=_QUALITY, method=2)
    return "data:image/webp;base64," + base64.b64encode(body.getvalue()).decode("ascii")
