"""A photograph becomes the same tensor to the last bit, whatever its mode, size and orientation."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from eyerace_parity.contract.data import Preprocess, Resize
from eyerace_parity.core.errors import GoldenError
from eyerace_parity.preprocess.apply import apply, profile_digest

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


def noise(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """An image of which no part resembles another."""
    bands = len(mode) if mode != "L" else 1
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, bands), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze(-1) if bands == 1 else pixels, mode)


def plain(profile: Preprocess, image: Image.Image) -> np.ndarray:
    """The docstring's steps once more, as one would write them down without a thought for speed."""
    image = image.convert("L" if profile.color == "L" else "RGB")
    if profile.resize:
        size = (profile.resize.width, profile.resize.height)
        how = Image.Resampling[profile.resize.filter.upper()]
        image = {"squash": image.resize, "crop": lambda *a: ImageOps.fit(image, *a), "pad": image.resize}[
            profile.resize.fit
        ](size, how)
    pixels = np.atleast_3d(np.asarray(image)).astype(np.float32)
    if profile.color == "BGR":
        pixels = pixels[:, :, [2, 1, 0]]
    scaled = pixels * np.float32(profile.scale)
    normal = (scaled - np.array(profile.mean, np.float32)) / np.array(profile.std, np.float32)
    return normal.transpose(2, 0, 1) if profile.layout == "CHW" else normal


SIZES = st.integers(1, 40)
PROFILES = st.builds(
    Preprocess,
    color=st.sampled_from(["RGB", "BGR"]),
    resize=st.none() | st.builds(Resize, width=SIZES, height=SIZES, filter=st.sampled_from(FILTERS)),
    scale=st.sampled_from([1.0, 1 / 255, 2 / 255, 1 / 127.5]),
    mean=st.sampled_from([(0.0,), (0.5,), IMAGENET["mean"]]),
    std=st.sampled_from([(1.0,), (0.5,), IMAGENET["std"]]),
    layout=st.sampled_from(["CHW", "HWC"]),
) | st.builds(Preprocess, color=st.just("L"), mean=st.just((0.3,)), layout=st.sampled_from(["CHW", "HWC"]))


@given(PROFILES, SIZES, SIZES, st.sampled_from(["RGB", "L", "RGBA", "CMYK"]))
def test_the_tensor_is_the_plain_formulas_to_the_bit(profile, width, height, mode):
    """A law: speed changes no bit, and shape, order of channels and layout are the profile's."""
    image = noise(width, height, mode)
    before = image.tobytes()
    tensor = apply(profile, image)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    assert tensor.tobytes() == np.ascontiguousarray(plain(profile, image)).tobytes()
    assert all(wanted in {None, given} for wanted, given in zip(profile.shape, tensor.shape, strict=True))
    assert image.tobytes() == before, "the caller's image is left alone"


@given(SIZES, SIZES, SIZES, SIZES, st.sampled_from(FILTERS))
def test_crop_is_pillows_own_fit(width, height, across, down, how):
    """A law, to one step: the frame is filled, and what overhangs is cut at the centre."""
    image = noise(across, down)
    profile = Preprocess(resize=Resize(width=width, height=height, filter=how, fit="crop"), scale=1.0)
    tensor = apply(profile, image).transpose(1, 2, 0)
    expected = np.asarray(ImageOps.fit(image, (width, height), Image.Resampling[how.upper()]))
    assert tensor.shape == (height, width, 3)
    if how != "nearest":
        assert np.abs(tensor - expected).max() <= 1


@given(SIZES, SIZES, SIZES, SIZES)
def test_pad_keeps_the_aspect_ratio_and_fills_with_black(width, height, across, down):
    """A law: a white image becomes a white rectangle of its own proportions, in the middle of black."""
    image = Image.new("RGB", (across, down), "white")
    profile = Preprocess(resize=Resize(width=width, height=height, fit="pad"), scale=1.0)
    plane = apply(profile, image)[0]
    shrink = min(width / across, height / down)
    inside = (max(1, round(down * shrink)), max(1, round(across * shrink)))
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    assert (len(rows), len(columns)) == inside
    assert plane.sum() == 255 * inside[0] * inside[1]
    assert rows[0] == (height - inside[0]) // 2
    assert columns[0] == (width - inside[1]) // 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_what_pillow_makes_of_it(orientation):
    """All eight, and only if the profile asks for it."""
    image = noise(7, 5)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    turned = apply(Preprocess(scale=1.0, layout="HWC"), Image.open(file))
    assert np.array_equal(turned, np.asarray(ImageOps.exif_transpose(Image.open(file))))
    left = apply(Preprocess(scale=1.0, layout="HWC", exif=False), Image.open(file))
    assert np.array_equal(left, np.asarray(image))


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats_come_from_float32(dtype):
    """Rounded or widened at the very end."""
    image = noise(9, 9)
    tensor = apply(Preprocess(dtype=dtype, **IMAGENET), image)
    assert tensor.dtype == dtype
    assert np.array_equal(tensor, apply(Preprocess(**IMAGENET), image).astype(dtype))


def test_bytes_are_handed_on_as_they_are():
    """In the profile's order of channels and axes, and not as a view of the image."""
    image = noise(4, 3)
    tensor = apply(Preprocess(dtype="uint8", scale=1.0, color="BGR"), image)
    assert tensor.dtype == np.uint8
    assert np.array_equal(tensor, np.asarray(image)[:, :, ::-1].transpose(2, 0, 1))
    assert tensor.flags.c_contiguous
    assert tensor.flags.writeable


def test_a_deep_image_is_refused_rather_than_clipped():
    """Pillow would cut 16 bits off at 255."""
    with pytest.raises(GoldenError, match="more than 8 bits a channel"):
        apply(Preprocess(), Image.new("I;16", (4, 4)))


def test_the_digest_is_the_profiles_and_nothing_elses():
    """Any field counts; writing a default out does not."""
    plain_digest = profile_digest(Preprocess())
    assert profile_digest(Preprocess(color="RGB", scale=1 / 255)) == plain_digest
    changed = [
        Preprocess(color="BGR"),
        Preprocess(exif=False),
        Preprocess(layout="HWC"),
        Preprocess(mean=(0.1,)),
        Preprocess(std=(0.9,)),
        Preprocess(scale=1.0),
        Preprocess(dtype="float16"),
        Preprocess(resize=Resize(width=1, height=1)),
    ]
    assert len({plain_digest, *map(profile_digest, changed)}) == len(changed) + 1
