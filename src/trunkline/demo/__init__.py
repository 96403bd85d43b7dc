"""``trunkline demo``: a separate installation, and a simulated carrier, customer and desk phones around it.

Tests and benchmarks use the same parts. What only they use is in :mod:`trunkline.testing` and :mod:`trunkline.bench`,
which are not in the wheel.
"""
