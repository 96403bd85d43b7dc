"""Measurements against a bare peer on the same machine in the same run: what the product costs.

Ratios are what counts here; the machine, and who shares it, falls out of them as far as possible because the two
sides are measured in turn.
"""
