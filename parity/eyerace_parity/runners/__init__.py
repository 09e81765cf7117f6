"""Runs variants: one file for each runtime."""
