"""Executes variants on targets: on the host, and on those that extensions provide."""
