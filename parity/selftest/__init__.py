"""The gate tests itself: faults are planted in a good bundle, and each must be seen, for the right reason.

A check that cannot fail is worse than none. :mod:`~parity.selftest.faults` is the catalogue, a
:class:`~parity.selftest.workshop.Workshop` plants a fault without touching the bundle,
:mod:`~parity.selftest.trial` judges what became of it, :mod:`~parity.selftest.doses` finds how small a fault may be and
still be seen, and :mod:`~parity.selftest.conditions` repeats the untouched gate where it must stay green.
"""
