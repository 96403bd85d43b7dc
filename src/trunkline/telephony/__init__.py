"""What knows Asterisk, and hides it.

The house sees :mod:`~trunkline.telephony.port` alone: channels, signals, commands. Its one implementation for real
calls is :class:`~trunkline.telephony.engine.AsteriskEngine`.

==================  ================================================================================================
``port``            what the house says and hears
``engine``          the port over Asterisk: life, signals, reaching others, survey, configuration at run time
``conversations``   its part for channels in our hands: take, bridge, hold, record, supervise
``control``         its ground: commands, their errors, ids
``translate``       ARI events to signals; pure
``connects``        a connect as ``Dial()`` understands it; pure
``results``         dial status and Q.850 cause to a result; pure
``registrations``   devices of lines; pure
``journal``         what Asterisk wrote down while nobody listened
``ari``, ``ami``    the two control interfaces; ``http_pool`` and ``ari_events`` belong to ``ari``
``config``          the files Asterisk reads
==================  ================================================================================================

A common call is *decided by us and connected by the engine*: it arrives in Stasis, one request sets variables, one
sends it to ``Dial()`` in the dialplan, and from then on Asterisk needs nobody until the talk is over. So a dead
switch changes nothing for it. Three things make that whole:

- the dialplan lets new calls wait with ring-back for an absent switch, then rings the number's default line;
- recording is started by the dialplan, one file for each party's own voice;
- Asterisk keeps a journal (CEL) with exact times and causes, so :meth:`Engine.survey` can tell what was missed.

Our mark on a channel is its account code: in every listing and journal line for free, handed on to dialled channels
as peer account.
"""
