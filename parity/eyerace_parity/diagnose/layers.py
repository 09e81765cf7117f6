"""Causes that the layers show: which of them differs from the reference, and what was done to it.

A quantised layer always differs a little. Only what stands out from that is named.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from eyerace_parity.contract.variants import ExportRecipe, OnnxVariant, QuantiseStaticRecipe
from eyerace_parity.core.numbers import format_number, pluralise
from eyerace_parity.core.text import join_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.diagnostics import LayerPair, ValueRange, Weights

_IN_FLOAT: Final = 1e-4
"""Relative error of weights in float that a recipe may leave: folding rounds."""
_IN_INTEGERS: Final = 0.04
"""Of weights in eight bits or seven, per channel."""
_COARSELY: Final = 0.2
"""Of weights in integers that are merely coarse: what they cost is seen by putting them back into float."""
_MOST: Final = 0.8
"""Share of layers that are most of them."""
_SPAN: Final = 0.6
"""Share of what is seen that a range must at least cover; percentiles leave some out."""
_WIDE: Final = 6.0
"""How many times what is seen a range may be."""
_SOME: Final = 0.15
"""Share of the activations whose ranges must not fit before the calibration is accused."""
_STANDS_OUT: Final = 3.0
_COARSE: Final = 4
_SEVERAL: Final = 3


def causes(contract: Contract, variant: str, compared: Weights) -> list[str]:
    """Name what was done to the layers.

    Args:
        contract: The contract, whose recipe says how the file should have been made.
        variant: Who is judged.
        compared: Its layers beside those of its reference.
    """
    layers = compared.layers
    if compared.failure or not layers:
        return []
    found = [
        *_broken(layers, compared.against),
        *(f"{sentence}: no number can be quantised with that" for sentence in compared.unscaled[:1]),
        *(f"{sentence}: the tensor is not what it was" for sentence in compared.mismatched[:1]),
        *_whole(layers, compared.against),
    ]
    return found or [
        *_recipe(contract, variant, layers),
        *_ranges(variant, compared.spans),
        *_single(layers, compared),
    ]


def _threshold(layer: LayerPair) -> float:
    return _IN_INTEGERS if layer.scales else _IN_FLOAT


def _broken(layers: Sequence[LayerPair], against: str) -> Iterable[str]:
    """What no quantisation and no training does."""
    for layer in layers:
        if layer.not_finite:
            yield f"{pluralise(layer.not_finite, 'weight')} of {layer.name} are not finite (NaN or infinite)"
        if layer.odd:
            yield f"a weight of {layer.name} {layer.odd} in {against}: as if a bit had flipped"
        if layer.zeroed:
            yield f"{_channels(layer.zeroed)} of {layer.name}, which are not in {against}"


def _channels(numbers: Sequence[int]) -> str:
    told = join_names(map(str, numbers))
    return (
        f"all zero are the weights of channel {told}" if len(numbers) == 1 else f"all zero are those of channels {told}"
    )


def _whole(layers: Sequence[LayerPair], against: str) -> Iterable[str]:
    """What was done to all layers alike."""
    differ = [layer for layer in layers if layer.error > _threshold(layer)]
    lost = [layer for layer in layers if layer.bias_lost]
    if len(lost) > 1 and len(lost) >= _MOST * sum(layer.bias_error is not None for layer in layers):
        yield f"the biases of {pluralise(len(lost), 'layer')} are zero, those of {against} are not"
    if layers and all(layer.half for layer in layers):
        yield f"the weights of all {len(layers)} layers are those of {against}, rounded to float16"
        return
    coarse = [layer for layer in layers if layer.step >= _COARSE]
    if len(coarse) >= _MOST * len(layers):
        step = int(median(layer.step for layer in coarse))
        yield (
            f"the stored weights of {pluralise(len(coarse), 'layer')} use only multiples of {step}:"
            f" {step.bit_length() - 1} of their bits say nothing"
        )
        return
    folded = [
        layer for layer in differ if layer.by_channel < 0.1 * layer.error and 3 * layer.by_channel < layer.residual
    ]
    if len(folded) >= max(_SEVERAL, _MOST * len(differ)):
        yield (
            f"{len(folded)} of {len(layers)} layers are those of {against} with another factor on each channel: the"
            " statistics of batch normalisation are not those of the checkpoint"
        )
    elif len(layers) > 1 and len(differ) >= _MOST * len(layers) and _deviates(differ):
        error = 100 * median(layer.error for layer in differ)
        yield (
            f"{len(differ)} of {len(layers)} layers differ from {against}, by {format_number(error)} % of their "
            "weights in the"
            " median: it was made from another checkpoint"
        )


def _deviates(layers: Sequence[LayerPair]) -> bool:
    """Whether layers differ by more than the rounding of a coarse quantisation."""
    quantised = [layer for layer in layers if layer.scales]
    if not quantised:
        return True
    return median(layer.error for layer in quantised) > 2 * _IN_INTEGERS or all(layer.scales > 1 for layer in quantised)


def _recipe(contract: Contract, variant: str, layers: Sequence[LayerPair]) -> Iterable[str]:
    """Where the file is not what its recipe says."""
    stated = contract.variants[variant]
    recipe = stated.recipe if isinstance(stated, OnnxVariant) else None
    if recipe is None or isinstance(recipe, ExportRecipe):
        return
    quantised = [layer for layer in layers if layer.scales]
    kept = [layer.name for layer in quantised if recipe.excludes(layer.name)]
    if len(kept) == 1:
        yield f"{kept[0]} is quantised, although the recipe excludes it: it should be in float"
    elif kept:
        yield f"{join_names(kept, most=3)} are quantised, although the recipe excludes them: they should be in float"
    if not isinstance(recipe, QuantiseStaticRecipe) or not recipe.per_channel:
        return
    single = [layer for layer in quantised if layer.scales == 1]
    if quantised and len(single) > len(quantised) / 2:
        yield (
            f"the weights of {len(single)} of {len(quantised)} quantised layers have one scale a tensor (per-tensor),"
            " although the recipe states one a channel (per_channel)"
        )


def _ranges(variant: str, spans: Sequence[ValueRange]) -> Iterable[str]:
    """Ranges of activations that do not fit what the golden samples give."""
    tight = [span for span in spans if _covered(span) < _SPAN]
    wide = [span for span in spans if _covered(span) >= _SPAN and _width(span) > _WIDE]
    if not spans or len(tight) + len(wide) < max(1.0, _SOME * len(spans)):
        return
    worst = spans[0] if spans[0] in tight else min(tight or wide, key=_covered)
    yield (
        f"the ranges of {len(tight) + len(wide)} of {len(spans)} activations do not fit the golden samples:"
        f" {worst.name} is quantised for {format_number(worst.low)} … {format_number(worst.high)}, but reaches"
        f" {format_number(worst.seen_low)} … {format_number(worst.seen_high)}; {variant} was likely calibrated "
        "on other inputs, or"
        " its scales were changed"
    )


def _covered(span: ValueRange) -> float:
    seen = span.seen_high - span.seen_low
    if seen <= 0:
        return 1.0
    return max(0.0, min(span.high, span.seen_high) - max(span.low, span.seen_low)) / seen


def _width(span: ValueRange) -> float:
    seen = span.seen_high - span.seen_low
    return (span.high - span.low) / seen if seen > 0 else 1.0


def _single(layers: Sequence[LayerPair], compared: Weights) -> Iterable[str]:
    """The layers that stand out, and what was done to the worst of them."""
    usual = median(layer.error for layer in layers)
    out = [layer for layer in layers if layer.error > max(_threshold(layer), _STANDS_OUT * usual)]
    for layer in sorted(out, key=lambda layer: -layer.error)[:2]:
        told = _told(layer, compared.against)
        if told or not layer.scales or layer.error > _COARSELY:
            differ = f"the weights of {layer.name} differ by {format_number(100 * layer.error)} % from those of"
            yield told or f"{differ} {compared.against}"
    lost = [layer for layer in layers if layer.bias_lost]
    if not out and lost:
        yield f"the bias of {join_names(layer.name for layer in lost)} is zero, that of {compared.against} is not"


def _told(layer: LayerPair, against: str) -> str:
    """What was done to a layer, or nothing where its weights are merely others."""
    if layer.unsigned:
        return f"the weights of {layer.name} have lost their sign"
    if layer.reordered:
        return f"the output channels of {layer.name} stand in another order than in {against}: they look shuffled"
    if layer.residual < max(2 * _threshold(layer), 0.3 * layer.error) and layer.residual < 0.5 * layer.error:
        return f"the weights of {layer.name} are {format_number(layer.factor)} times those of {against}"
    if layer.off:
        named = join_names(map(str, layer.off))
        return f"channel {named} of {layer.name} bears nearly all of its difference from {against}"
    if layer.by_channel < 0.3 * layer.error:
        return f"single channels of {layer.name} are scaled otherwise than in {against}"
    return ""
