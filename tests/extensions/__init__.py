"""Tests of the extensions: how they are loaded, and each one in a folder of its own."""
