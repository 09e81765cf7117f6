"""Executes variants on targets: on the host, and on emulated processors."""
