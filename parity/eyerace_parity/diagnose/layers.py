"""Finds causes in the layers: which layers differ from the reference, and how.

Every layer of a quantised file differs a little. Only outliers are named.
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

_FLOAT_ERROR: Final = 1e-4
"""Relative error of float weights that a recipe may leave: folding batch normalisation rounds."""
# Rounding normal weights to 7 bits (reduce_range; a step of 4 sd / 64) gives step / √12 = 1.8 % of sd. Twice that is
# allowed.
_INTEGER_ERROR: Final = 0.04
"""Relative error of quantised weights, one scale a channel."""
_COARSE_ERROR: Final = 0.2
"""Relative error up to which quantised weights are only coarse; the sensitivity experiment measures what they cost."""
_MOST: Final = 0.8
"""Share of layers that counts as nearly all of them."""
_MIN_COVERED: Final = 0.6
"""Share of the observed range that a quantisation range must cover; percentile calibration clips outliers."""
_MAX_WIDTH: Final = 6.0
"""Largest ratio of a quantisation range to the observed range."""
_MIN_RANGES: Final = 0.15
"""Share of activations with a bad range from which the calibration is named as the cause."""
_OUTLIER: Final = 3.0
"""Multiple of the median error from which a layer is an outlier."""
_MIN_STEP: Final = 4
"""Common step of the stored integers from which bits count as unused."""
_MIN_FOLDED: Final = 3
"""Fewest layers that show wrong batch normalisation statistics."""


def causes(contract: Contract, variant: str, compared: Weights) -> list[str]:
    """Name what was done to the layers.

    Args:
        contract: The contract; its recipe says how the file should be made.
        variant: The judged variant.
        compared: Its layers compared with those of its reference.

    Returns:
        One sentence a cause; empty if the layers show none.
    """
    layers = compared.layers
    if compared.failure or not layers:
        return []
    sentences = [
        *_broken(layers, compared.against),
        *(f"{sentence}: no number can be quantised with it" for sentence in compared.unscaled[:1]),
        *(f"{sentence}: the tensor is read back wrong" for sentence in compared.mismatched[:1]),
        *_whole(layers, compared.against),
    ]
    return sentences or [
        *_recipe(contract, variant, layers),
        *_ranges(variant, compared.spans),
        *_single(layers, compared),
    ]


def _threshold(layer: LayerPair) -> float:
    return _INTEGER_ERROR if layer.scales else _FLOAT_ERROR


def _broken(layers: Sequence[LayerPair], against: str) -> Iterable[str]:
    """Find damage that no quantisation and no training causes."""
    for layer in layers:
        if layer.not_finite:
            yield f"{pluralise(layer.not_finite, 'weight')} of {layer.name} are not finite (NaN or infinite)"
        if layer.odd:
            yield f"a weight of {layer.name} {layer.odd} in {against}: as if a bit had flipped"
        if layer.zeroed:
            noun = "channel" if len(layer.zeroed) == 1 else "channels"
            channels = f"{noun} {join_names(map(str, layer.zeroed))}"
            yield f"the weights of {channels} of {layer.name} are all zero, those of {against} are not"


def _whole(layers: Sequence[LayerPair], against: str) -> Iterable[str]:
    """Find changes that affect nearly all layers."""
    differ = [layer for layer in layers if layer.error > _threshold(layer)]
    lost = [layer for layer in layers if layer.bias_lost]
    if len(lost) > 1 and len(lost) >= _MOST * sum(layer.bias_error is not None for layer in layers):
        yield f"the biases of {pluralise(len(lost), 'layer')} are zero, those of {against} are not"
    # Every layer differs then, so the sentences below would only repeat it.
    if layers and all(layer.half for layer in layers):
        yield f"the weights of all {len(layers)} layers are those of {against}, rounded to float16"
        return
    coarse = [layer for layer in layers if layer.step >= _MIN_STEP]
    if len(coarse) >= _MOST * len(layers):
        step = int(median(layer.step for layer in coarse))
        yield (
            f"the stored weights of {pluralise(len(coarse), 'layer')} use only multiples of {step}:"
            f" {step.bit_length() - 1} of their bits are unused"
        )
        return
    # Export folds batch normalisation into the convolution: wrong statistics are one wrong factor a channel.
    folded = [
        layer for layer in differ if layer.by_channel < 0.1 * layer.error and 3 * layer.by_channel < layer.residual
    ]
    if len(folded) >= max(_MIN_FOLDED, _MOST * len(differ)):
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
    return median(layer.error for layer in quantised) > 2 * _INTEGER_ERROR or all(
        layer.scales > 1 for layer in quantised
    )


def _recipe(contract: Contract, variant: str, layers: Sequence[LayerPair]) -> Iterable[str]:
    """Find where the file differs from its recipe."""
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
    # More than half: layers with one output channel have one scale in a correct file, too.
    single = [layer for layer in quantised if layer.scales == 1]
    if quantised and len(single) > len(quantised) / 2:
        yield (
            f"the weights of {len(single)} of {len(quantised)} quantised layers have one scale a tensor (per-tensor),"
            " although the recipe states one a channel (per_channel)"
        )


def _ranges(variant: str, spans: Sequence[ValueRange]) -> Iterable[str]:
    """Find activation ranges that do not fit the golden samples."""
    narrow = [span for span in spans if _covered(span) < _MIN_COVERED]
    wide = [span for span in spans if _covered(span) >= _MIN_COVERED and _width(span) > _MAX_WIDTH]
    if not spans or len(narrow) + len(wide) < max(1.0, _MIN_RANGES * len(spans)):
        return
    worst = spans[0] if spans[0] in narrow else min(narrow or wide, key=_covered)
    yield (
        f"the ranges of {len(narrow) + len(wide)} of {len(spans)} activations do not fit the golden samples:"
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
    """Name outlier layers, and what was done to the worst of them."""
    usual = median(layer.error for layer in layers)
    out = [layer for layer in layers if layer.error > max(_threshold(layer), _OUTLIER * usual)]
    for layer in sorted(out, key=lambda layer: -layer.error)[:2]:
        description = _describe(layer, compared.against)
        if description or not layer.scales or layer.error > _COARSE_ERROR:
            differ = f"the weights of {layer.name} differ by {format_number(100 * layer.error)} % from those of"
            yield description or f"{differ} {compared.against}"
    lost = [layer for layer in layers if layer.bias_lost]
    if not out and lost:
        yield f"the bias of {join_names(layer.name for layer in lost)} is zero, that of {compared.against} is not"


def _describe(layer: LayerPair, against: str) -> str:
    """Describe what was done to a layer; empty if its weights are just different."""
    if layer.unsigned:
        return f"the weights of {layer.name} have lost their sign"
    if layer.reordered:
        return f"the output channels of {layer.name} are in another order than in {against}: they look shuffled"
    if layer.residual < max(2 * _threshold(layer), 0.3 * layer.error) and layer.residual < 0.5 * layer.error:
        return f"the weights of {layer.name} are {format_number(layer.factor)} times those of {against}"
    if layer.off:
        named = join_names(map(str, layer.off))
        return f"channel {named} of {layer.name} has nearly all of the layer's difference from {against}"
    if layer.by_channel < 0.3 * layer.error:
        return f"single channels of {layer.name} have another scale than in {against}"
    return ""
