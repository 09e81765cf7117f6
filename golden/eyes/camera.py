"""The camera: exposure, white balance, tone, blur, noise, JPEG and EXIF orientation."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .fields import GAMMA, Field, blurred, smooth_noise

if TYPE_CHECKING:
    from .capture import Capture

_ORIENTATION_TAG = 0x0112
# EXIF says how to turn stored pixels upright; storing them turns the other way round.
_STORE = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def _tone_curve(contrast: float) -> Field:
    """Display value of each of 4096 steps of light between 0 and 2, [4096]; highlights roll off softly."""
    light = np.linspace(0.0, 2.0, 4096, dtype=np.float32)
    display = np.power(np.minimum(light, 1.6), 1.0 / GAMMA)
    display = np.where(display > 0.85, 0.85 + 0.15 * np.tanh((display - 0.85) / 0.15), display)
    return np.asarray(np.clip(0.45 + (display - 0.45) * contrast, 0.0, 1.0), dtype=np.float32)


def _smeared(values: Field, length: float, direction: float) -> Field:
    """A picture [rows, columns, 3] averaged along a line of `length` pixels."""
    steps = round(length)
    if steps < 2:
        return values
    total = np.zeros_like(values)
    for place in np.linspace(-length / 2, length / 2, min(steps, 9)):
        shift = (round(place * np.sin(direction)), round(place * np.cos(direction)))
        total += np.roll(values, shift, axis=(0, 1))
    return total / np.float32(min(steps, 9))


def develop(light: Field, capture: Capture) -> Image.Image:
    """Turn light into the picture as seen, upright.

    Args:
        light: Linear light [rows, columns, 3].
        capture: The circumstances.

    Returns:
        RGB picture of the capture's size.
    """
    rng = np.random.default_rng(capture.seed + 1)
    rows, columns = light.shape[:2]
    gains = 2.0**capture.exposure * np.exp([capture.warmth, capture.tint, -capture.warmth])
    exposed = light * gains.astype(np.float32)
    grey = exposed @ np.array([0.3, 0.59, 0.11], dtype=np.float32)
    exposed = grey[..., None] + (exposed - grey[..., None]) * np.float32(capture.saturation)
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    exposed = exposed * (1.0 - 0.13 * (x * x + y * y))[..., None]

    scale = max(rows, columns) / 448.0
    curve = _tone_curve(capture.contrast)
    display = curve[np.clip(exposed * (4095.0 / 2.0), 0, 4095).astype(np.int32)]
    sharp = Image.fromarray((display * 255.0).astype(np.uint8))
    soft = blurred(sharp, capture.defocus * scale)
    # Light that spills around reflections: only what is nearly white spills.
    halo = blurred(sharp.reduce(4), 4.0 * scale).point([max(0.0, 0.30 * (level - 184)) for level in range(256)] * 3)
    halo = halo.resize((columns, rows), Image.Resampling.BILINEAR)
    values = (np.asarray(soft, dtype=np.float32) + np.asarray(halo, dtype=np.float32)) * np.float32(1.0 / 255.0)
    values = _smeared(values, capture.motion * scale, capture.smear)

    grain = rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(capture.noise)
    blotches = smooth_noise(rng, (rows, columns), (rows / 3, columns / 3)) * np.float32(0.7 * capture.noise)
    values = values + np.stack([grain + blotches, grain, grain - blotches], axis=-1)
    return Image.fromarray((np.clip(values, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))


def encode(picture: Image.Image, capture: Capture) -> bytes:
    """Store a picture as a phone does: turned, tagged and compressed.

    Args:
        picture: Upright RGB picture.
        capture: The circumstances.

    Returns:
        A JPEG file whose EXIF orientation turns the stored pixels upright again.
    """
    stored = picture if capture.orientation == 1 else picture.transpose(_STORE[capture.orientation])
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = capture.orientation
    file = io.BytesIO()
    stored.save(file, "JPEG", quality=capture.quality, exif=exif)
    return file.getvalue()
