"""Decisions about numbers that carry uncertainty."""
