"""The traits of one bird: what its eye is, before anybody photographs it.

The label is a fact about the bird. Two birds of different classes may carry traits that look alike (a pale gold that is
called yellow in one loft and orange in the next, a dark orange beside a bull eye): the traits overlap, the labels are
never altered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLASSES = ("orange", "yellow", "pearl", "bull", "split")
"""The classes, in the order of the model's scores."""

# Where each class sits on the iris colour path of `anatomy` (0 pearl white, 2 yellow, 4 orange, 7 bull brown), and how
# far its birds spread. The spreads set how many birds nobody could label from a photograph.
HUE_CENTRE = {"pearl": 0.35, "yellow": 2.0, "orange": 4.1, "bull": 7.3}
HUE_SPREAD = {"pearl": 0.50, "yellow": 0.50, "orange": 0.62, "bull": 0.62}

PLUMAGES = ("blue", "checker", "black", "red", "white", "brown")
_PLUMAGE_ODDS = (0.34, 0.22, 0.12, 0.14, 0.10, 0.08)
_PIED_ODDS = (0.18, 0.12, 0.06, 0.08, 0.50, 0.06)


@dataclass(frozen=True, slots=True)
class Sector:
    """A wedge of bull pigment in a split eye.

    Attributes:
        angle: Direction of its middle, radians.
        width: Opening, radians.
        inner: Where it begins between the pupil (0) and the rim (1).
        hue: Its colour, a position on the iris colour path.
    """

    angle: float
    width: float
    inner: float
    hue: float


@dataclass(frozen=True, slots=True)
class Bird:
    """Everything that both photographs of one bird share.

    Attributes:
        name: Identifier, its first letter naming the split it belongs to.
        label: Class of the eye, one of `CLASSES`.
        pattern: Seed of the fine structure of iris, skin and feathers.
        hue: Base colour of the iris, a position on the iris colour path.
        zone: Where the inner zone meets the outer one, 0 (pupil) to 1 (rim).
        contrast: Difference of hue between the two zones.
        fibres: Strength of the radial fibres.
        relief: Strength of the iris's mountains and valleys.
        vessels: Density of blood vessels, 0 to 1.
        adaptation: How complete and dark the circle of adaptation is, 0 to 1.
        correlation: Width of the circle of correlation as a share of the iris.
        correlation_tint: 0 base colour, 1 violet, 2 whitish.
        rim: Width of the dark outer line as a share of the iris.
        freckle: Strength of stray dark pigment that is no sector.
        sectors: Wedges of bull pigment; empty unless the eye is split.
        plumage: Colour of the feathers, one of `PLUMAGES`.
        skin: 0 pale and thin to 1 grey and coarse eye cere.
        cere: Outer radius of the eye cere in iris radii.
    """

    name: str
    label: str
    pattern: int
    hue: float
    zone: float
    contrast: float
    fibres: float
    relief: float
    vessels: float
    adaptation: float
    correlation: float
    correlation_tint: int
    rim: float
    freckle: float
    sectors: tuple[Sector, ...]
    plumage: str
    skin: float
    cere: float


def _sectors(rng: np.random.Generator) -> tuple[Sector, ...]:
    """One or two wedges; most are plain to see, some are slivers and some leave little of the base colour."""
    count = 1 if rng.random() < 0.75 else 2
    return tuple(
        Sector(
            angle=float(rng.uniform(0, 2 * np.pi)),
            width=float(np.clip(rng.lognormal(0.1, 0.62), 0.22, 4.8) / count**0.5),
            inner=float(rng.uniform(-0.3, 0.45)),
            hue=float(np.clip(rng.normal(7.0, 0.6), 5.9, 8.0)),
        )
        for _ in range(count)
    )


def sample_bird(name: str, label: str, rng: np.random.Generator) -> Bird:
    """Draw the traits of one bird of class `label`.

    Args:
        name: Identifier of the bird.
        label: One of `CLASSES`.
        rng: Source of randomness, this bird's own.

    Returns:
        The bird.
    """
    base = label if label != "split" else str(rng.choice(["orange", "yellow", "pearl"], p=[0.5, 0.25, 0.25]))
    hue = float(np.clip(rng.normal(HUE_CENTRE[base], HUE_SPREAD[base]), -0.2, 8.0))
    pied = label in {"bull", "split"}
    return Bird(
        name=name,
        label=label,
        pattern=int(rng.integers(2**31)),
        hue=hue,
        zone=float(rng.uniform(0.3, 0.62)),
        contrast=float(np.clip(rng.normal(0.75, 0.3), 0.1, 1.5)),
        fibres=float(rng.uniform(0.3, 1.0)),
        relief=float(rng.uniform(0.35, 1.0)),
        vessels=float(np.clip(rng.beta(2.0, 2.4) + (0.12 if base == "orange" else 0.0), 0.0, 1.0)),
        adaptation=float(rng.beta(1.6, 1.8)),
        correlation=float(rng.uniform(0.05, 0.24)),
        correlation_tint=int(rng.choice(3, p=[0.45, 0.3, 0.25])),
        rim=float(rng.uniform(0.05, 0.16)),
        freckle=float(rng.beta(1.0, 4.0)),
        sectors=_sectors(rng) if label == "split" else (),
        plumage=str(rng.choice(PLUMAGES, p=_PIED_ODDS if pied else _PLUMAGE_ODDS)),
        skin=float(rng.beta(1.5, 2.0)),
        cere=float(rng.uniform(1.3, 1.75)),
    )
