"""The self-test: faults are planted in a good bundle, and the gate must detect each one and name its cause.

A check that cannot fail is worse than none. :mod:`~eyerace_parity.selftest.faults` is the catalogue. A
:class:`~eyerace_parity.selftest.workshop.Workshop` plants a fault without changing the bundle.
:mod:`~eyerace_parity.selftest.examiner` judges the damaged bundle. :mod:`~eyerace_parity.selftest.detection_limits`
finds the smallest detected strength. :mod:`~eyerace_parity.selftest.conditions` repeats the unchanged gate under
conditions that must not matter.
"""
