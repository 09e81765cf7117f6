"""Emulated processors: which exist, and how a worker starts on one. Needs neither root nor a container."""
