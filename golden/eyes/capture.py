"""How one photograph was taken: frame, light, focus and everything that stands in the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .surroundings import Opening

FRAMES = ((448, 336), (400, 300), (336, 448), (480, 320))
"""Width and height of the photographs as they are meant to be seen."""

_FRAME_ODDS = (0.45, 0.25, 0.15, 0.15)
ORIENTATIONS = (1, 3, 6, 8)
_ORIENTATION_ODDS = (0.76, 0.06, 0.10, 0.08)


@dataclass(frozen=True, slots=True)
class Capture:
    """The circumstances of one photograph.

    Attributes:
        seed: Seed of everything accidental in it.
        size: Width and height as seen, pixels.
        centre: Where the eye sits, as shares of width and height.
        radius: Iris radius as a share of the shorter side.
        squeeze: Foreshortening of the eye, 1 seen straight on.
        turn: Direction of the foreshortening, radians.
        roll: Rotation of the head, radians.
        mirrored: Whether the bird looks to the other side.
        pupil: Radius of the pupil in iris radii.
        opening: Shape of the gap between the lids.
        exposure: Exposure error in stops.
        warmth: White-balance error along red and blue, natural logarithm of the gain.
        tint: White-balance error along green, likewise.
        saturation: Colour strength, 1 faithful.
        contrast: Steepness of the tone curve, 1 plain.
        defocus: Blur radius in pixels at a width of 448.
        motion: Length of the motion smear in pixels at a width of 448.
        smear: Direction of the motion, radians.
        ring: Radius of the ring light's reflection in iris radii; 0 for a window instead.
        glare: Strength of the reflections, 0 to 1.
        lamp: Direction of the reflections from the eye's centre, radians.
        film: How far the third eyelid is drawn across, 0 to 1.
        strands: Number of feather strands across the eye.
        noise: Sensor noise, standard deviation in display values.
        quality: JPEG quality.
        orientation: EXIF orientation of the stored pixels.
    """

    seed: int
    size: tuple[int, int]
    centre: tuple[float, float]
    radius: float
    squeeze: float
    turn: float
    roll: float
    mirrored: bool
    pupil: float
    opening: Opening
    exposure: float
    warmth: float
    tint: float
    saturation: float
    contrast: float
    defocus: float
    motion: float
    smear: float
    ring: float
    glare: float
    lamp: float
    film: float
    strands: int
    noise: float
    quality: int
    orientation: int


def sample_capture(rng: np.random.Generator) -> Capture:
    """Draw the circumstances of one photograph.

    Most photographs are usable; about one in six is taken badly in one way or another, as in any loft.

    Args:
        rng: Source of randomness, this photograph's own.

    Returns:
        The circumstances.
    """
    trouble = rng.random(5) < (0.14, 0.14, 0.10, 0.10, 0.12)  # focus, exposure, glare, lids, white balance
    opening = Opening(
        wide=float(rng.uniform(1.08, 1.22)),
        upper=float(rng.uniform(0.86, 1.1) - (rng.uniform(0.15, 0.45) if trouble[3] else 0.0)),
        lower=float(rng.uniform(0.9, 1.1) - (rng.uniform(0.0, 0.3) if trouble[3] else 0.0)),
        corner=float(rng.uniform(0.1, 0.8)),
        tilt=float(rng.normal(0.12, 0.12)),
    )
    return Capture(
        seed=int(rng.integers(2**31)),
        size=FRAMES[int(rng.choice(len(FRAMES), p=_FRAME_ODDS))],
        centre=(float(np.clip(rng.normal(0.5, 0.035), 0.4, 0.6)), float(np.clip(rng.normal(0.5, 0.035), 0.4, 0.6))),
        radius=float(rng.uniform(0.29, 0.42)),
        squeeze=float(rng.uniform(0.90, 1.0)),
        turn=float(rng.uniform(0, np.pi)),
        roll=float(rng.normal(0, 0.18)),
        mirrored=bool(rng.random() < 0.5),
        pupil=float(rng.uniform(0.36, 0.58)),
        opening=opening,
        exposure=float(rng.normal(0.0, 0.28) + (rng.choice([-1.3, 0.8]) if trouble[1] else 0.0)),
        warmth=float(rng.normal(0.0, 0.07) + (rng.normal(0.0, 0.22) if trouble[4] else 0.0)),
        tint=float(rng.normal(0.0, 0.025)),
        saturation=float(rng.uniform(0.78, 1.15)),
        contrast=float(rng.uniform(0.9, 1.2)),
        defocus=float(rng.uniform(0.5, 1.3) + (rng.uniform(1.5, 5.5) if trouble[0] else 0.0)),
        motion=float(rng.exponential(1.2) + (rng.uniform(3.0, 12.0) if rng.random() < 0.08 else 0.0)),
        smear=float(rng.uniform(0, np.pi)),
        ring=float(rng.uniform(0.12, 0.34)) if rng.random() < 0.65 else 0.0,
        glare=float(rng.beta(1.6, 3.0) * 0.7 + (rng.uniform(0.3, 0.5) if trouble[2] else 0.0)),
        lamp=float(rng.normal(-1.9, 0.7)),
        film=float(rng.uniform(0.25, 0.8)) if rng.random() < 0.07 else 0.0,
        strands=int(rng.integers(1, 5)) if rng.random() < 0.14 else 0,
        noise=float(rng.uniform(0.004, 0.022)),
        quality=int(rng.integers(60, 96)),
        orientation=int(rng.choice(ORIENTATIONS, p=_ORIENTATION_ODDS)),
    )
