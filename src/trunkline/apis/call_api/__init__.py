"""The Call API, v4.0: start calls, act on calls that live. Translates; the switch does the work."""
