"""Foreign phones and a relay, for tests and benchmarks. Not in the wheel."""
