"""What is kept of calls.

====================  =======================================================================================
``event_writer``      writes events, history rows and outbox entries into PostgreSQL, in batches
``history``           history rows, derived from a session and its events
``summary``           the figures of a finished session
``durations``         the six durations of a session, from its times
``live_view``         a live session in the form of ``list.calls``
====================  =======================================================================================
"""
