"""Calls in HubSpot: each finished call becomes one call engagement of the right contact and owner.

The listener writes a row for each call, in the transaction that takes its event out of the outbox. One worker leads and
sends what is due. A request whose outcome is unknown is not repeated before a search has found that it had no effect.
Repair compares a period here and there.
"""
