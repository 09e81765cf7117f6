"""Builds artefacts: export and quantisation. Called by commands and by a run that misses a file, never by a check."""

from __future__ import annotations

from typing import Final

RECIPES: Final = "0.1.0"
"""Version of the recipes; every artefact carries it.

It changes only when the recipes write something else. So an upgrade of the package alone never changes the bytes of an
artefact, and an accepted release stays comparable.
"""
