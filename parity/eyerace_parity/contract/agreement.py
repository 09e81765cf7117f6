"""Whether the parts of a contract agree with each other: names lead somewhere, shapes fit, nothing goes in circles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.contract.data import ImageSet, Port, TensorSet
from eyerace_parity.contract.faults import Faults
from eyerace_parity.contract.matrix import agree_on_versions
from eyerace_parity.contract.sections import agree_on_tiers
from eyerace_parity.contract.targets import agree_on_targets
from eyerace_parity.contract.variants import TORCH_KINDS, ExportRecipe, OnnxVariant
from eyerace_parity.core.places import listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.variants import Recipe


def agree(contract: Contract) -> None:
    """Check a contract against itself.

    Raises:
        pydantic.ValidationError: Parts of it contradict each other; all contradictions at once.
    """
    faults = Faults()
    _classes(contract, faults)
    _golden(contract, faults)
    _profiles(contract, faults)
    for name in contract.variants:
        _variant(contract, name, faults)
    if contract.hybrid is not None:
        agree_on_tiers(contract.hybrid, contract.variants, faults)
    agree_on_versions(contract.matrix, contract.variants, faults)
    agree_on_targets(contract.targets, contract.variants, faults)
    if not faults:
        _circles(contract, faults)
    faults.raise_if_any()


def _classes(contract: Contract, faults: Faults) -> None:
    classes = contract.classes
    for number, name in enumerate(classes):
        if name in classes[:number]:
            faults.add(("classes", str(number)), f"class {name!r} is named twice")
    labelled = isinstance(contract.golden, ImageSet) or contract.golden.labels is not None
    if labelled and not classes:
        faults.add(("classes",), "missing: a labelled golden set needs the names of its classes, in the scores' order")
    if contract.metric is not None and not labelled:
        faults.add(("metric",), "a metric needs labels, and this golden set has none")
    ports = {port.name: port for port in contract.interface.outputs}
    scores = ports.get(contract.scores_output)
    if scores is None:
        faults.unknown(("golden", "scores"), contract.scores_output, ports, "output")
    elif classes and scores.shape and isinstance(scores.shape[-1], int) and scores.shape[-1] != len(classes):
        faults.add(
            ("classes",),
            f"there are {len(classes)} names, but the output {scores.name!r} has {scores.shape[-1]} scores a sample",
        )


def _golden(contract: Contract, faults: Faults) -> None:
    golden = contract.golden
    inputs = contract.interface.inputs
    if isinstance(golden, TensorSet):
        if golden.labels in {port.name for port in inputs}:
            faults.add(("golden", "labels"), f"{golden.labels!r} is an input of the model, so it cannot be the labels")
        return
    if golden.input is not None and golden.input not in {port.name for port in inputs}:
        faults.unknown(("golden", "input"), golden.input, (port.name for port in inputs), "input")
    if len(inputs) > 1:
        faults.add(
            ("golden", "kind"),
            f"a set of images feeds one input, but the interface has {len(inputs)}; use kind = 'tensors'",
        )


def _profiles(contract: Contract, faults: Faults) -> None:
    golden = contract.golden
    wanted: dict[tuple[str, ...], str] = {}
    if isinstance(golden, ImageSet):
        wanted["golden", "preprocess"] = golden.preprocess
    wanted |= {("variants", name, "preprocess"): v.preprocess for name, v in contract.variants.items() if v.preprocess}
    for keys, name in wanted.items():
        profile = contract.preprocess.get(name)
        if isinstance(golden, TensorSet):
            faults.add(keys, "a set of tensors is fed as it is: it has no preprocessing profile")
        elif profile is None:
            faults.unknown(keys, name, contract.preprocess, "profile")
        else:
            port = _fed(contract, golden)
            if not _fits(profile.shape, port.sample):
                faults.add(
                    ("preprocess", name),
                    f"it gives {_shape(profile.shape)}, but the input {port.name!r} takes {_shape(port.sample)}",
                )
            if profile.dtype != port.dtype:
                faults.add(
                    ("preprocess", name), f"it gives {profile.dtype}, but the input {port.name!r} takes {port.dtype}"
                )


def _fed(contract: Contract, golden: ImageSet) -> Port:
    inputs = contract.interface.inputs
    return next((port for port in inputs if port.name == golden.input), inputs[0])


def _fits(given: tuple[int | None, ...], taken: tuple[int | str, ...]) -> bool:
    """Whether a shape with open extents can be what a port takes."""
    return len(given) == len(taken) and all(
        extent is None or isinstance(wanted, str) or extent == wanted
        for extent, wanted in zip(given, taken, strict=True)
    )


def _shape(shape: tuple[int | str | None, ...]) -> str:
    return f"[{', '.join('any' if extent is None else str(extent) for extent in shape)}]"


def _variant(contract: Contract, name: str, faults: Faults) -> None:
    variant = contract.variants[name]
    at = ("variants", name)
    if variant.reference == name:
        faults.add((*at, "reference"), "a variant cannot be its own reference")
    elif variant.reference is not None and variant.reference not in contract.variants:
        faults.unknown((*at, "reference"), variant.reference, contract.variants, "variant")
    if isinstance(variant, OnnxVariant) and variant.recipe is not None:
        _recipe(contract, name, variant.recipe, faults)


def _recipe(contract: Contract, name: str, recipe: Recipe, faults: Faults) -> None:
    at = ("variants", name, "recipe", "source")
    source = contract.variants.get(recipe.source)
    if source is None:
        faults.unknown(at, recipe.source, contract.variants, "variant")
        return
    if isinstance(recipe, ExportRecipe):
        kinds, wanted = TORCH_KINDS, "a torch variant"
    else:
        kinds, wanted = frozenset({"onnx"}), "an ONNX variant"
    if source.kind not in kinds or recipe.source == name:
        fit = [other for other, variant in contract.variants.items() if variant.kind in kinds and other != name]
        faults.add(
            at,
            f"{recipe.kind!r} starts from {wanted} other than its own, not from {recipe.source!r} "
            f"(kind {source.kind!r}); allowed: {listed(fit) or 'none of this contract'}",
        )


def _circles(contract: Contract, faults: Faults) -> None:
    def reference(name: str) -> str | None:
        return contract.variants[name].reference

    def source(name: str) -> str | None:
        variant = contract.variants[name]
        return variant.recipe.source if isinstance(variant, OnnxVariant) and variant.recipe else None

    steps: tuple[tuple[tuple[str, ...], Callable[[str], str | None]], ...] = (
        (("reference",), reference),
        (("recipe", "source"), source),
    )
    for keys, step in steps:
        for name in contract.variants:
            way = [name]
            while (following := step(way[-1])) is not None and following not in way:
                way.append(following)
            if following == name:
                faults.add(("variants", name, *keys), f"it goes in a circle: {' → '.join([*way, name])}")
                break
