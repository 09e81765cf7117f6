"""Evidence: measured numbers and arrays with their provenance, without judgement.

Each kind is one frozen type, declared once in :mod:`eyerace_parity.evidence.registry`. Kinds made of numbers are
pydantic models, which cross process borders and enter the record as JSON. Kinds with arrays, one row per sample, are
dataclasses and are stored as ``.npz``.
"""
