"""How artefacts are made: export and quantisation. Used from the command line and the bundle, never by a check."""

from __future__ import annotations

from typing import Final

RECIPES: Final = "0.1.0"
"""Version of the recipes, which every artefact carries.

It changes with what the recipes write, and not with each version of this package: an upgrade alone never changes the
bytes of an artefact, and an accepted release stays comparable.
"""
