"""The forms of the model that a contract names, how each is run, and how it is made."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from eyerace_parity.contract.base import BundlePath, CallablePath, Limits, Model, Name, read_limits


class Session(Model):
    """Settings of an inference session, as the app sets them.

    Attributes:
        intra_op_threads: Threads inside one operator.
        inter_op_threads: Operators side by side.
        spinning: Whether idle threads spin; off, because spinning doubles the noise of a measurement.
        optimisation: Graph optimisation level of ONNX Runtime.
        providers: Execution providers, most wanted first. One that is missing is an error, never a silent fallback.
        config: Further session config entries, as ONNX Runtime names them.
    """

    intra_op_threads: int = Field(default=1, ge=1, le=1024)
    inter_op_threads: int = Field(default=1, ge=1, le=1024)
    spinning: bool = False
    optimisation: Literal["disabled", "basic", "extended", "all"] = "all"
    providers: tuple[str, ...] = Field(default=("CPUExecutionProvider",), min_length=1)
    config: dict[str, str] = {}


class ExportRecipe(Model):
    """Torch to ONNX, at exactly the interface's opset, as one file.

    Attributes:
        source: The torch variant that is exported.
    """

    kind: Literal["export"]
    source: Name


class Calibration(Model):
    """The inputs that a static quantisation observes. Never golden ones.

    Attributes:
        images: ``module:callable`` that is called with ``count`` and ``seed`` and yields Pillow images; they go through
            the golden set's preprocessing profile.
        tensors: Pattern of ``.npz`` files instead, as in a tensor set.
        count: Samples to observe.
        seed: Passed to the factory.
        method: How the observed values become a range.
        percentile: For ``percentile``: the share of values kept inside the range, in percent.
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
            message = "calibration needs exactly one of 'images' and 'tensors'"
            raise ValueError(message)
        return self


class _Quantising(Model):
    """What both ways of quantising have.

    Attributes:
        exclude: Names of nodes to leave in float; ``*`` stands for any text.
    """

    exclude: tuple[str, ...] = ()

    def excludes(self, node: str) -> bool:
        """Whether a node is to stay in float."""
        return any(fnmatchcase(node, pattern) for pattern in self.exclude)


class QuantiseDynamicRecipe(_Quantising):
    """ONNX Runtime's ``quantize_dynamic``: weights in integers, activations quantised as they come.

    Attributes:
        source: The fp32 ONNX variant that is quantised.
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
    """ONNX Runtime's ``quantize_static``: weights and activations in integers, ranges observed beforehand.

    Attributes:
        source: The fp32 ONNX variant that is quantised.
        calibration: What is observed.
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
"""How an artefact is made from another variant."""


class VariantBase(Model):
    """What every variant has, whatever runs it.

    Attributes:
        path: The artefact, relative to the contract.
        reference: The variant that this one is compared against.
        tier: Where it is deployed, e.g. ``cloud`` or ``device``.
        preprocess: Preprocessing profile of this variant's tier, where it differs from the golden set's.
        session: Session settings of this variant, where they differ from the contract's.
        limits: What the contract demands of this variant, by family of checks. After loading each value is the family's
            own :class:`Limits` model, with the contract's shared limits merged in.
    """

    path: BundlePath
    reference: Name | None = None
    tier: Name | None = None
    preprocess: Name | None = None
    session: Session | None = None
    limits: dict[str, SerializeAsAny[Limits]] = {}

    @field_validator("limits", mode="before")
    @classmethod
    def _by_family(cls, value: object, info: ValidationInfo) -> object:
        # The types of the limits live above this room, so whoever loads a contract hands them in as the context.
        return read_limits(value, info.context)


class TorchVariant(VariantBase):
    """A torch module made by a factory, with its weights from a state dict.

    Attributes:
        path: ``.safetensors``, or a ``.pt``/``.pth`` that holds tensors only.
        factory: Called with ``arguments``; returns the module.
        arguments: Keyword arguments of the factory.
    """

    kind: Literal["torch"]
    factory: CallablePath
    arguments: dict[str, Any] = {}


class TorchScriptVariant(VariantBase):
    """A TorchScript archive."""

    kind: Literal["torchscript"]


class TorchExportVariant(VariantBase):
    """A ``torch.export`` program (``.pt2``)."""

    kind: Literal["torch_export"]


class OnnxVariant(VariantBase):
    """An ONNX file, run by ONNX Runtime.

    Attributes:
        recipe: How the file is made; a file without one is taken as it is.
    """

    kind: Literal["onnx"]
    recipe: Recipe | None = None


class OrtVariant(VariantBase):
    """A file in ONNX Runtime's own format (``.ort``)."""

    kind: Literal["ort"]


Variant = Annotated[
    TorchVariant | TorchScriptVariant | TorchExportVariant | OnnxVariant | OrtVariant, Field(discriminator="kind")
]
"""Any form of the model."""

TORCH_KINDS = frozenset({"torch", "torchscript", "torch_export"})
"""Kinds that need torch to run."""
