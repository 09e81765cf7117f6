"""The project's own run: nothing but the marker of tests that need minutes rather than seconds.

The gate itself is the installed plugin (``parity.plugin``); no user needs a conftest for it.
"""
