"""Mails of accounts through the configured mail server (``mail.*``): voice messages with the
recording, and notifications of scenarios.

A listener of events writes a row for each mail and enqueues the job that sends it, in the transaction that handles the
event: each mail is sent at least once. A mail that is sent again, after a worker was killed, has the same ``Message-ID``.
"""
