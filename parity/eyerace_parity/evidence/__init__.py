"""Evidence: what was measured, with where it came from. Numbers and arrays only; no opinion.

Each kind is one frozen type, declared once in :mod:`eyerace_parity.evidence.registry`. Those made of numbers are
pydantic models, so they cross a process border and go into the record as JSON; those that hold arrays, one row a
sample, are dataclasses and are stored as ``.npz``.
"""
