"""What the model reads and answers: its interface, the golden set, and how a photograph becomes a tensor."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from eyerace_parity.contract.base import BundlePath, Dimension, DType, Model, Positive

Digest = Annotated[
    str,
    StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$"),
    Field(description="'sha256:' and 64 hexadecimal digits"),
]
"""SHA-256 of a content, as ``sha256:<64 hexadecimal digits>``."""


class Port(Model):
    """One named input or output of the model.

    Attributes:
        name: The name that the app feeds or fetches.
        dtype: Element type.
        shape: One entry an axis; a text names a dynamic axis. An empty shape is a scalar.
    """

    name: str = Field(min_length=1)
    dtype: DType = "float32"
    shape: tuple[Dimension, ...]

    @property
    def batched(self) -> bool:
        """Whether the first axis counts samples: it is dynamic, or 1. A port without one takes a sample as it is."""
        return bool(self.shape) and (isinstance(self.shape[0], str) or self.shape[0] == 1)

    @property
    def sample(self) -> tuple[int | str, ...]:
        """Shape of one sample, without the axis that counts samples."""
        return self.shape[1:] if self.batched else self.shape


class Interface(Model):
    """What every exported variant must look like from outside.

    Attributes:
        inputs: All inputs, in the order of the torch module's arguments.
        outputs: All outputs, in the order of the torch module's results.
        opset: The ``ai.onnx`` opset that an exported file must have been written at, exactly.
        max_ir_version: Newest ONNX IR version allowed.
        domains: Operator domains allowed beside ``ai.onnx``; what a file imports it must also use.
        single_file: Whether the file must hold its weights itself, as an app that loads from bytes needs.
    """

    inputs: tuple[Port, ...] = Field(min_length=1)
    outputs: tuple[Port, ...] = Field(min_length=1)
    opset: int | None = Field(default=None, ge=7)
    max_ir_version: int | None = Field(default=None, ge=3)
    domains: tuple[str, ...] = ("com.microsoft",)
    single_file: bool = True

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for kind, ports in (("input", self.inputs), ("output", self.outputs)):
            names = [port.name for port in ports]
            if len(set(names)) < len(names):
                message = f"two {kind}s bear the same name: {', '.join(names)}"
                raise ValueError(message)
        return self


class Resize(Model):
    """How an image is brought to the model's size.

    Attributes:
        width: Pixels across.
        height: Pixels down.
        filter: Pillow's resampling filter; all but ``nearest`` are antialiased when they shrink.
        fit: ``squash`` ignores the aspect ratio, ``crop`` fills the frame and cuts what overhangs at the centre,
            ``pad`` fits inside and pads with black.
    """

    width: int = Field(gt=0, le=16384)
    height: int = Field(gt=0, le=16384)
    filter: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = "bilinear"
    fit: Literal["squash", "crop", "pad"] = "squash"


class Preprocess(Model):
    """A preprocessing profile: photograph in, tensor out.

    In this order: the EXIF orientation is applied, the colours are converted, the image is resized, and the value of a
    channel is ``(pixel * scale - mean) / std``, computed in float32, each operation rounded on its own.

    Attributes:
        exif: Whether the EXIF orientation is applied first.
        color: Order of the channels; ``L`` is one channel of grey.
        resize: Target size, or ``None`` to keep the image's own.
        scale: Factor on the 8-bit pixel value; 1/255 by default.
        mean: Subtracted per channel, after scaling; one number, or one a channel.
        std: Divided by per channel; one number, or one a channel.
        layout: Order of the axes of one sample.
        dtype: Element type of the tensor. ``uint8`` hands the pixels on as they are, so it needs ``scale = 1`` and
            neither ``mean`` nor ``std``.
    """

    exif: bool = True
    color: Literal["RGB", "BGR", "L"] = "RGB"
    resize: Resize | None = None
    scale: Positive = 1 / 255
    mean: tuple[float, ...] = Field(default=(0.0,), min_length=1, max_length=3)
    std: tuple[Positive, ...] = Field(default=(1.0,), min_length=1, max_length=3)
    layout: Literal["CHW", "HWC"] = "CHW"
    dtype: Literal["float16", "float32", "float64", "uint8"] = "float32"

    @model_validator(mode="after")
    def _one_number_a_channel(self) -> Self:
        channels = 1 if self.color == "L" else 3
        for key in ("mean", "std"):
            given = len(getattr(self, key))
            if given not in {1, channels}:
                message = f"{key} has {given} numbers, but {self.color} has {channels} channels"
                raise ValueError(message)
        if self.dtype == "uint8" and (self.scale, {*self.mean}, {*self.std}) != (1.0, {0.0}, {1.0}):
            message = "dtype 'uint8' holds whole pixel values: it needs scale = 1, and neither mean nor std"
            raise ValueError(message)
        return self

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of the tensor of one image; ``None`` where the image's own size decides."""
        channels = 1 if self.color == "L" else 3
        height, width = (self.resize.height, self.resize.width) if self.resize else (None, None)
        return (channels, height, width) if self.layout == "CHW" else (height, width, channels)


class GoldenSection(Model):
    """What every golden set has, whatever it is made of.

    Attributes:
        digest: Digest of the whole set; a set that differs is refused. ``None`` accepts any, and the run says so.
        scores: The output that holds one score a class; the first output by default.
        batch: Samples per inference when outputs are gathered.
        max_bytes: Largest file that is opened, decompressed size for ``.npz``.
    """

    digest: Digest | None = None
    scores: str | None = None
    batch: int = Field(default=1, gt=0, le=4096)
    max_bytes: int = Field(default=1 << 30, gt=0)


class ImageSet(GoldenSection):
    """Labelled images: a table of labels and a folder of photographs.

    Attributes:
        labels: CSV with a header; columns ``file`` and ``label`` are needed, all others are kept as they are.
        images: Folder that ``file`` is relative to.
        input: The model input that the photograph is fed to; the first by default.
        preprocess: Name of the profile in ``[preprocess]``.
        cluster: Column whose equal values belong together (one bird, one patient), for the statistics.
        training: Folder of training images, or a text file of SHA-256 digests, one a line: no golden image may be one.
        max_pixels: Largest image that is decoded.
    """

    kind: Literal["images"]
    labels: BundlePath = BundlePath("labels.csv")
    images: BundlePath = BundlePath("images")
    input: str | None = None
    preprocess: str = "default"
    cluster: str | None = None
    training: BundlePath | None = None
    max_pixels: int = Field(default=50_000_000, gt=0)


class ArraySet(GoldenSection):
    """Samples that are fed as they are, without a preprocessing profile; an extension's own make of set extends it.

    Attributes:
        labels: Where the labels of the classes are; ``None`` for an unlabelled set.
    """

    labels: str | None = None


class TensorSet(ArraySet):
    """Recorded tensors: ``.npz`` files of named arrays whose first axis counts the samples.

    Attributes:
        files: Patterns of the files, relative to the contract; they are read in sorted order.
        labels: Name of the array of integer class labels, one a sample; ``None`` for an unlabelled set.
    """

    kind: Literal["tensors"]
    files: tuple[str, ...] = Field(min_length=1)


Golden = Annotated[ImageSet | TensorSet, Field(discriminator="kind")]
"""Either kind of golden set."""
