"""The model's interface, the golden set, and the preprocessing profiles."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from eyerace_parity.contract.base import BundlePath, Dimension, DType, Model, Positive

Digest = Annotated[
    str,
    StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$"),
    Field(description="'sha256:' and 64 hexadecimal digits"),
]
"""A SHA-256 digest, ``sha256:<64 hexadecimal digits>``."""


class Port(Model):
    """One input or output of the model.

    Attributes:
        name: Name by which the app sets or reads it.
        dtype: Element type.
        shape: One entry per axis; a text names a dynamic axis. An empty shape is a scalar.
    """

    name: str = Field(min_length=1)
    dtype: DType = "float32"
    shape: tuple[Dimension, ...]

    @property
    def batched(self) -> bool:
        """Whether the first axis counts samples, because it is dynamic or 1. Otherwise the port takes one sample."""
        return bool(self.shape) and (isinstance(self.shape[0], str) or self.shape[0] == 1)

    @property
    def sample(self) -> tuple[int | str, ...]:
        """Shape of one sample, without the sample axis."""
        return self.shape[1:] if self.batched else self.shape


class Interface(Model):
    """Interface that every exported variant must have.

    Attributes:
        inputs: All inputs, in the order of the torch module's arguments.
        outputs: All outputs, in the order of the torch module's results.
        opset: Exact ``ai.onnx`` opset of exported files; ``None`` allows any.
        max_ir_version: Newest allowed ONNX IR version; ``None`` allows any.
        domains: Allowed operator domains besides ``ai.onnx``. A file must use each domain that it imports.
        single_file: Whether the file must contain its weights. An app that loads from bytes needs this.
    """

    inputs: tuple[Port, ...] = Field(min_length=1)
    outputs: tuple[Port, ...] = Field(min_length=1)
    opset: int | None = Field(default=None, ge=7)
    max_ir_version: int | None = Field(default=None, ge=3)
    domains: tuple[str, ...] = ("com.microsoft",)
    single_file: bool = True

    def fed_with(self, name: str | None) -> Port:
        """Return the input of a name; the first one without a name, or of an unknown name."""
        return next((port for port in self.inputs if port.name == name), self.inputs[0])

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for kind, ports in (("input", self.inputs), ("output", self.outputs)):
            names = [port.name for port in ports]
            if len(set(names)) < len(names):
                raise ValueError(f"two {kind}s have the same name: {', '.join(names)}")
        return self


class Resize(Model):
    """Resizing of an image to the model's input size.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        filter: Pillow's resampling filter. All except ``nearest`` are antialiased when they shrink.
        fit: ``squash`` ignores the aspect ratio, ``crop`` fills the frame and keeps the centre, ``pad`` fits the image
            inside and pads with black.
    """

    width: int = Field(gt=0, le=16384)
    height: int = Field(gt=0, le=16384)
    filter: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = "bilinear"
    fit: Literal["squash", "crop", "pad"] = "squash"


class Preprocess(Model):
    """A preprocessing profile from a photograph to a tensor.

    The steps are, in order: apply the EXIF orientation, convert the colours, resize, and compute
    ``(pixel * scale - mean) / std`` per channel in float32, with each operation rounded separately.

    Attributes:
        exif: Whether to apply the EXIF orientation first.
        color: Order of the channels; ``L`` is one grey channel.
        resize: Target size, or ``None`` to keep the image's size.
        scale: Factor on the 8-bit pixel value; 1/255 by default.
        mean: Subtrahend after scaling; one number, or one per channel.
        std: Divisor; one number, or one per channel.
        layout: Order of the axes of one sample.
        dtype: Element type of the tensor. ``uint8`` keeps the pixel values, so it requires ``scale = 1`` and the
            default ``mean`` and ``std``.
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
                raise ValueError(f"{key} has {given} numbers, but {self.color} has {channels} channels")
        if self.dtype == "uint8" and (self.scale, {*self.mean}, {*self.std}) != (1.0, {0.0}, {1.0}):
            raise ValueError("dtype 'uint8' holds whole pixel values: it needs scale = 1, and neither mean nor std")
        return self

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of the tensor of one image; ``None`` for an extent that depends on the image."""
        channels = 1 if self.color == "L" else 3
        height, width = (self.resize.height, self.resize.width) if self.resize else (None, None)
        return (channels, height, width) if self.layout == "CHW" else (height, width, channels)


class GoldenSection(Model):
    """Keys that all golden sets have.

    Attributes:
        digest: Digest of the whole set; another set is refused. ``None`` accepts any set, and the run reports it.
        scores: Output with one score per class; the first output by default.
        batch: Samples per inference when outputs are measured.
        max_bytes: Largest accepted file in bytes; for ``.npz`` the decompressed size.
    """

    digest: Digest | None = None
    scores: str | None = None
    batch: int = Field(default=1, gt=0, le=4096)
    max_bytes: int = Field(default=1 << 30, gt=0)


class ImageSet(GoldenSection):
    """Labelled images: a label table and a folder of photographs.

    Attributes:
        labels: CSV file with a header. The columns ``file`` and ``label`` are required; others are kept unchanged.
        images: Folder that ``file`` is relative to.
        input: Model input for the photograph; the first input by default.
        preprocess: Name of the profile in ``[preprocess]``.
        cluster: Column of cluster names (one bird, one patient) for the statistics.
        training: Folder of training images, or a text file with one SHA-256 digest per line. No golden image may be
            among them.
        max_pixels: Largest number of pixels of an image.
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
    """Recorded tensors: ``.npz`` files of named arrays [n, ...].

    Attributes:
        files: Glob patterns relative to the contract. Files are read in sorted order.
        labels: Name of the array of integer class labels, [n]; ``None`` for an unlabelled set.
    """

    kind: Literal["tensors"]
    files: tuple[str, ...] = Field(min_length=1)


Golden = Annotated[ImageSet | TensorSet, Field(discriminator="kind")]
"""A golden set of either kind."""
