"""The variants of a contract: how each is run, and the recipes that build them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from eyerace_parity.contract.base import BundlePath, CallablePath, Limits, Model, Name, read_limits


class Session(Model):
    """Settings of an inference session, as the app sets them.

    Attributes:
        intra_op_threads: Threads within one operator.
        inter_op_threads: Operators that run in parallel.
        spinning: Whether idle threads spin. Off by default, because spinning doubles the noise of a measurement.
        optimisation: Graph optimisation level of ONNX Runtime.
        providers: Execution providers by priority. A missing one is an error, never a silent fallback.
        config: Further session config entries, with ONNX Runtime's keys.
    """

    intra_op_threads: int = Field(default=1, ge=1, le=1024)
    inter_op_threads: int = Field(default=1, ge=1, le=1024)
    spinning: bool = False
    optimisation: Literal["disabled", "basic", "extended", "all"] = "all"
    providers: tuple[str, ...] = Field(default=("CPUExecutionProvider",), min_length=1)
    config: dict[str, str] = {}


class ExportRecipe(Model):
    """Export from torch to ONNX at exactly the interface's opset, as one file.

    Attributes:
        source: The torch variant to export.
    """

    kind: Literal["export"]
    source: Name


class Calibration(Model):
    """Calibration inputs of a static quantisation. Golden samples are not allowed.

    Attributes:
        images: ``module:callable``, called with ``count`` and ``seed``, that yields Pillow images. The golden set's
            preprocessing profile applies.
        tensors: Instead of ``images``: glob pattern of ``.npz`` files, as in a tensor set.
        count: Number of samples.
        seed: Seed for the factory.
        method: How observed values give a range.
        percentile: For ``percentile``: share of values inside the range, in per cent.
    """

    images: CallablePath | None = None
    tensors: str | None = None
    count: int = Field(default=128, gt=0)
    seed: int = 0
    method: Literal["minmax", "entropy", "percentile"] = "minmax"
    percentile: float = Field(default=99.999, gt=0, le=100)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.images is None) == (self.tensors is None):
            raise ValueError("calibration needs exactly one of 'images' and 'tensors'")
        return self


class _Quantising(Model):
    """Keys of both quantisation recipes.

    Attributes:
        exclude: Names of nodes to keep in float; ``*`` matches any text.
    """

    exclude: tuple[str, ...] = ()

    def excludes(self, node: str) -> bool:
        """Whether a node stays in float."""
        return any(fnmatchcase(node, pattern) for pattern in self.exclude)


class QuantiseDynamicRecipe(_Quantising):
    """ONNX Runtime's ``quantize_dynamic``: integer weights, activations quantised at run time.

    Attributes:
        source: The fp32 ONNX variant to quantise.
        weight_type: Integer type of the weights.
        per_channel: One scale a channel instead of one a tensor.
        reduce_range: Seven bits for weights, which cannot saturate on x86 without VNNI.
        op_types: Operators to quantise; ONNX Runtime's own choice by default.
    """

    kind: Literal["quantize_dynamic"]
    source: Name
    weight_type: Literal["int8", "uint8"] = "int8"
    per_channel: bool = False
    reduce_range: bool = False
    op_types: tuple[str, ...] | None = None


class QuantiseStaticRecipe(_Quantising):
    """ONNX Runtime's ``quantize_static``: integer weights and activations, ranges from calibration.

    Attributes:
        source: The fp32 ONNX variant to quantise.
        calibration: Inputs of the calibration.
        format: ``qdq`` writes pairs of QuantizeLinear and DequantizeLinear, ``qoperator`` the fused operators.
        activation_type: Integer type of the activations.
        weight_type: Integer type of the weights.
        per_channel: One scale a channel instead of one a tensor.
        reduce_range: Seven bits for weights, which cannot saturate on x86 without VNNI.
        op_types: Operators to quantise; ONNX Runtime's own choice by default.
    """

    kind: Literal["quantize_static"]
    source: Name
    calibration: Calibration
    format: Literal["qdq", "qoperator"] = "qdq"
    activation_type: Literal["int8", "uint8"] = "uint8"
    weight_type: Literal["int8", "uint8"] = "int8"
    per_channel: bool = True
    reduce_range: bool = False
    op_types: tuple[str, ...] | None = None


Recipe = Annotated[ExportRecipe | QuantiseDynamicRecipe | QuantiseStaticRecipe, Field(discriminator="kind")]
"""A recipe that builds an artefact from another variant."""


class VariantBase(Model):
    """Keys that all variants have.

    Attributes:
        needs_torch: Whether torch runs it.
        in_onnxruntime: Whether ONNX Runtime runs it; an extension may bring a kind that neither runs.
        path: The artefact, relative to the contract.
        reference: The variant to compare with.
        tier: Where it is deployed, e.g. ``cloud`` or ``device``.
        preprocess: Preprocessing profile of this variant's tier; the golden set's by default.
        session: Session settings of this variant; the contract's by default.
        limits: Limits of this variant by family of checks. After loading, each value is the family's :class:`Limits`
            model, merged with the contract's shared limits.
    """

    needs_torch: ClassVar[bool] = False
    in_onnxruntime: ClassVar[bool] = False
    path: BundlePath
    reference: Name | None = None
    tier: Name | None = None
    preprocess: Name | None = None
    session: Session | None = None
    limits: dict[str, SerializeAsAny[Limits]] = {}

    @field_validator("limits", mode="before")
    @classmethod
    def _by_family(cls, value: object, info: ValidationInfo) -> object:
        # The types of the limits live in a higher room, so the loader passes them in the validation context.
        return read_limits(value, info.context)


class TorchVariant(VariantBase):
    """A torch module from a factory, with weights from a state dict.

    Attributes:
        path: ``.safetensors``, or a ``.pt``/``.pth`` file with tensors only.
        factory: Callable that gets ``arguments`` and returns the module.
        arguments: Keyword arguments of the factory.
    """

    needs_torch: ClassVar[bool] = True
    kind: Literal["torch"]
    factory: CallablePath
    arguments: dict[str, Any] = {}


class TorchScriptVariant(VariantBase):
    """A TorchScript archive."""

    needs_torch: ClassVar[bool] = True
    kind: Literal["torchscript"]


class TorchExportVariant(VariantBase):
    """A ``torch.export`` program (``.pt2``)."""

    needs_torch: ClassVar[bool] = True
    kind: Literal["torch_export"]


class OnnxVariant(VariantBase):
    """An ONNX file, run by ONNX Runtime.

    Attributes:
        recipe: How the file is built; ``None`` for a file that exists already.
    """

    in_onnxruntime: ClassVar[bool] = True
    kind: Literal["onnx"]
    recipe: Recipe | None = None


class OrtVariant(VariantBase):
    """A file in ONNX Runtime's own format (``.ort``)."""

    in_onnxruntime: ClassVar[bool] = True
    kind: Literal["ort"]


Variant = Annotated[
    TorchVariant | TorchScriptVariant | TorchExportVariant | OnnxVariant | OrtVariant, Field(discriminator="kind")
]
"""A variant of any kind."""
