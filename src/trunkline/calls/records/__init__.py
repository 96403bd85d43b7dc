"""What is stored of calls in PostgreSQL.

====================  =======================================================================================
``batch_writer``      writes a batch of events, with history rows and outbox entries, into PostgreSQL
``event_writer``      gathers events into batches, and keeps them until PostgreSQL has them
``history``           history rows, derived from a session and its events
``unwritten_events``  files with the events that PostgreSQL does not have yet
====================  =======================================================================================
"""
