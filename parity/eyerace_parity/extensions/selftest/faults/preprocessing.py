"""Preprocessing faults: the phone prepares a photograph differently from the training."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from eyerace_parity.extensions.selftest.edits import before_input, constant, node
from eyerace_parity.extensions.selftest.model import FaultFamily
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable, Role

if TYPE_CHECKING:
    import onnx

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.selftest.workshop import Workshop


FAULTS = FaultFamily("preprocessing")


def _profile(workshop: Workshop, **changes: Any) -> Contract:
    return workshop.with_profile(Role.DEVICE, **changes)


def _resized(workshop: Workshop, **changes: Any) -> Contract:
    good = workshop.profile(Role.DEVICE)
    if good.resize is None:
        raise FaultNotApplicable("the profile does not resize")
    return _profile(workshop, resize=good.resize.model_dump() | changes)


@FAULTS.plant(Role.DEVICE, "bgr", "the channels are in the order BGR", r"\bRGB\b|\bBGR\b|order of the channels")
def _bgr(workshop: Workshop) -> Contract:
    color = workshop.profile(Role.DEVICE).color
    if color == "L":
        raise FaultNotApplicable("the photographs are grey")
    return _profile(workshop, color="RGB" if color == "BGR" else "BGR")


FAULTS.plant(Role.DEVICE, "unscaled", "pixels are not divided by 255", r"255|scale")(partial(_profile, scale=1.0))


FAULTS.plant(
    Role.DEVICE,
    "minus-one-to-one",
    "pixels are scaled to -1 … 1 instead of normalised by mean and std",
    r"\[-1, 1\]|-1 … 1|-1 to 1|mean/std|mean and std|normalis",
)(partial(_profile, mean=(0.5,), std=(0.5,)))


@FAULTS.plant(Role.DEVICE, "mean-std-exchanged", "mean and std are exchanged", r"mean and std|exchanged")
def _exchanged(workshop: Workshop) -> Contract:
    good = workshop.profile(Role.DEVICE)
    if not all(good.mean):
        raise FaultNotApplicable("a mean of the profile is zero and cannot be a divisor")
    return _profile(workshop, mean=good.std, std=good.mean)


FAULTS.plant(Role.DEVICE, "unnormalised", "pixels are only divided by 255", r"mean/std|mean and std|normalis|/ ?255")(
    partial(_profile, mean=(0.0,), std=(1.0,))
)


@FAULTS.edit(
    Role.DEVICE,
    "channels-last",
    "a buffer of [height, width, channels] is read as [channels, height, width]",
    r"HWC|NHWC|channels.last|\[height, width, channels\]",
)
def _channels_last(model: onnx.ModelProto) -> None:
    shape = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    channels_first = 4
    if len(shape) != channels_first or not all(shape[1:]):
        raise FaultNotApplicable("the input is not [batch, channels, height, width]")
    constant(model, "/selftest/shape", np.array([-1, *shape[1:]], np.int64))

    def nodes(given: str, inner: str) -> list[onnx.NodeProto]:
        turned = f"{inner}/channels-last"
        return [
            node("Transpose", [given], [turned], perm=[0, 2, 3, 1]),
            node("Reshape", [turned, "/selftest/shape"], [inner]),
        ]

    before_input(model, nodes)


# The default of Dart's copyResize. On photographs of a phone's size it costs 3.1 points of int8's macro-F1
# against Pillow's antialiased bilinear (measured).
FAULTS.plant(Role.DEVICE, "nearest", "the photograph is resized with the nearest pixel", r"nearest|antialias|bilinear")(
    partial(_resized, filter="nearest")
)


FAULTS.plant(Role.DEVICE, "crop", "the photograph is cropped instead of squashed", r"crop|squash")(
    partial(_resized, fit="crop")
)


# Pillow's decoder does not apply the EXIF orientation, Dart's does; ignoring it flips 12 of the 1,200 golden
# decisions (measured).
@FAULTS.plant(Role.DEVICE, "exif", "the EXIF orientation is ignored", r"EXIF")
def _unturned(workshop: Workshop) -> Contract:
    if not workshop.profile(Role.DEVICE).exif:
        raise FaultNotApplicable("the profile does not apply the EXIF orientation")
    spec = workshop.images()
    from PIL import Image  # noqa: PLC0415 - only here

    names = sorted(path for path in workshop.contract.path(spec.images).rglob("*") if path.is_file())
    orientations = set()
    for path in names[:200]:
        with Image.open(path) as image:
            orientations.add(image.getexif().get(0x0112, 1))
    if orientations <= {1}:
        raise FaultNotApplicable("no golden photograph has an EXIF orientation")
    return _profile(workshop, exif=False)
