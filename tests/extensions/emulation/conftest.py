"""Whole runs need a project with a bundle in it."""

from tests.session.conftest import project

__all__ = ["project"]
