"""What is stored of calls in PostgreSQL.

====================  =======================================================================================
``event_writer``      writes events, history rows and outbox entries into PostgreSQL, in batches
``history``           history rows, derived from a session and its events
``unwritten_events``  files with the events that PostgreSQL does not have yet
====================  =======================================================================================
"""
