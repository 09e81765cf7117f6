"""The usual preprocessing mistakes, as profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eyerace_parity.contract.data import Preprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from eyerace_parity.evidence.base import Array


# Mean and standard deviation of ImageNet, the defaults of torchvision's transforms.
_IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def variations(
    stated: Preprocess, profiles: Mapping[str, Preprocess]
) -> Iterator[tuple[str, Preprocess, Callable[[Array], Array] | None]]:
    """Yield every variation of the stated profile: its description, the profile, and a change of the finished tensor.

    A profile of the contract comes last: if it equals a single mistake, the description of the mistake says more.

    Args:
        stated: The profile in use.
        profiles: All profiles of the contract, by name.
    """
    for description, changes in _profiles(stated):
        try:
            other = Preprocess.model_validate(stated.model_dump() | changes)
        except ValueError:
            continue  # not every mistake is possible in every profile: uint8 has no mean
        if other != stated:
            yield description, other, None
    if stated.color != "L":
        hwc, chw = "[height, width, channels]", "[channels, height, width]"
        yield f"as a buffer of {hwc} (HWC) read as {chw}", stated, _read_hwc_as_chw
        yield f"as a buffer of {chw} (CHW) read as {hwc}", stated, _read_chw_as_hwc
    for name, profile in profiles.items():
        if profile != stated:
            yield f"by the profile {name!r} of the contract", profile, None


def _profiles(stated: Preprocess) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from _colours(stated)
    # Dart's image package applies the EXIF orientation when it decodes; Pillow does not. On the golden set ignoring it
    # flips 12 of 1,200 decisions (measured).
    if stated.exif:
        yield "without applying the EXIF orientation", {"exif": False}
    else:
        yield "with the EXIF orientation applied", {"exif": True}
    resize = stated.resize
    if resize is not None:
        current = resize.model_dump()
        # The nearest pixel is the default of Dart's copyResize. Against Pillow's antialiased bilinear it reaches 20 to
        # 27 dB PSNR (measured on two photographs resized to 224).
        for name, kind in (("nearest", "nearest pixel"), ("bilinear", "antialiased bilinear filter")):
            yield f"resized by the {kind} instead of {resize.filter}", {"resize": current | {"filter": name}}
        for fit in ("squash", "crop", "pad"):
            yield f"resized to {fit} instead of {resize.fit}", {"resize": current | {"fit": fit}}


def _colours(stated: Preprocess) -> Iterator[tuple[str, dict[str, Any]]]:
    if stated.color != "L":
        other = "RGB" if stated.color == "BGR" else "BGR"
        yield f"with the channels in the order {other} instead of {stated.color}", {"color": other}
    if stated.dtype == "uint8":
        return
    mean, std = _IMAGENET
    yield "with pixels divided by 255", {"scale": 1 / 255}
    yield "with pixels not divided by 255", {"scale": 1.0}
    yield "with pixels brought to [-1, 1] instead of mean and std as stated", _normalised(0.5, 0.5)
    yield "with pixels divided by 255 and not normalised by mean and std", _normalised(0.0, 1.0)
    yield "with mean and std exchanged", {"mean": stated.std, "std": stated.mean}
    # Last, because the first of equal results is named, and a single change says more than three.
    yield "normalised by ImageNet's mean and std", {"scale": 1 / 255, "mean": mean, "std": std}


def _normalised(mean: float, std: float) -> dict[str, Any]:
    return {"scale": 1 / 255, "mean": (mean,), "std": (std,)}


def _read_hwc_as_chw(tensor: Array) -> Array:
    """Write the tensor with channels last, and read the buffer with channels first."""
    return np.ascontiguousarray(np.moveaxis(tensor, 0, -1)).reshape(tensor.shape)


def _read_chw_as_hwc(tensor: Array) -> Array:
    """Write the tensor with channels first, and read the buffer with channels last."""
    channels, height, width = tensor.shape
    return np.ascontiguousarray(np.moveaxis(tensor.reshape(height, width, channels), -1, 0))
