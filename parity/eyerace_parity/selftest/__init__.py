"""The gate tests itself: faults are planted in a good bundle, and each must be seen, for the right reason.

A check that cannot fail is worse than none. :mod:`~eyerace_parity.selftest.faults` is the catalogue, a
:class:`~eyerace_parity.selftest.workshop.Workshop` plants a fault without touching the bundle,
:mod:`~eyerace_parity.selftest.examiner` judges what became of it, :mod:`~eyerace_parity.selftest.detection_limits`
finds how small a fault may be and still be seen, and :mod:`~eyerace_parity.selftest.conditions` repeats the untouched
gate where it must stay green.
"""
