"""Phone lists and their leads: numbers for the dialer, lists of numbers that are not called, and the like."""
