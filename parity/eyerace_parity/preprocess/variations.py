"""The usual mistakes in preparing a photograph, as profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eyerace_parity.contract.data import Preprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from eyerace_parity.evidence.base import Array


_IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def variations(
    stated: Preprocess, profiles: Mapping[str, Preprocess]
) -> Iterator[tuple[str, Preprocess, Callable[[Array], Array] | None]]:
    """All ways but the stated one: what is said of each, the profile, and what is done to the tensor afterwards.

    Of equals the first is named: one thing that is changed says more than the profile which has it.
    """
    for told, changes in _profiles(stated):
        try:
            other = Preprocess.model_validate(stated.model_dump() | changes)
        except ValueError:
            continue  # what one profile can have another cannot: uint8 has no mean
        if other != stated:
            yield told, other, None
    if stated.color != "L":
        yield "as a buffer of [height, width, channels] (HWC) read as [channels, height, width]", stated, _scrambled
        yield "as a buffer of [channels, height, width] (CHW) read as [height, width, channels]", stated, _unscrambled

    for name, profile in profiles.items():
        if profile != stated:
            yield f"by the profile {name!r} of the contract", profile, None


def _profiles(stated: Preprocess) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from _colours(stated)
    if stated.exif:
        yield "without applying the EXIF orientation", {"exif": False}
    else:
        yield "with the EXIF orientation applied", {"exif": True}
    resize = stated.resize
    if resize is not None:
        now = resize.model_dump()
        for name, kind in (("nearest", "nearest pixel"), ("bilinear", "antialiased bilinear filter")):
            yield f"resized by the {kind} instead of {resize.filter}", {"resize": now | {"filter": name}}
        for fit in ("squash", "crop", "pad"):
            yield f"resized to {fit} instead of {resize.fit}", {"resize": now | {"fit": fit}}


def _colours(stated: Preprocess) -> Iterator[tuple[str, dict[str, Any]]]:
    if stated.color != "L":
        other = "RGB" if stated.color == "BGR" else "BGR"
        yield f"with the channels in the order {other} instead of {stated.color}", {"color": other}
    if stated.dtype == "uint8":
        return
    mean, std = _IMAGENET
    yield "with pixels divided by 255", {"scale": 1 / 255}
    yield "with pixels not divided by 255", {"scale": 1.0}
    yield "with pixels brought to [-1, 1] instead of mean and std as stated", _plain(0.5, 0.5)
    yield "with pixels divided by 255 and not normalised by mean and std", _plain(0.0, 1.0)
    yield "with mean and std exchanged", {"mean": stated.std, "std": stated.mean}
    # Last, because the nearest of equals is the first: what changes one thing only says more.
    yield "normalised by ImageNet's mean and std", {"scale": 1 / 255, "mean": mean, "std": std}


def _plain(mean: float, std: float) -> dict[str, Any]:
    return {"scale": 1 / 255, "mean": (mean,), "std": (std,)}


def _scrambled(tensor: Array) -> Array:
    """Lay channels last, and read the buffer as if they came first."""
    return np.ascontiguousarray(np.moveaxis(tensor, 0, -1)).reshape(tensor.shape)


def _unscrambled(tensor: Array) -> Array:
    """Undo that."""
    channels, height, width = tensor.shape
    return np.ascontiguousarray(np.moveaxis(tensor.reshape(height, width, channels), -1, 0))
