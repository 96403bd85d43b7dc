"""The interface to Asterisk; all dependencies on Asterisk are in this package.

Rules and features use only :mod:`~trunkline.telephony.port`: channels, signals, commands. Its one implementation for real
calls is :class:`~trunkline.telephony.engine.AsteriskEngine`. Besides, ``engine_configuration`` and ``roles`` use
``config`` and ``engine``, ``roles`` and ``console`` the states of ``carrier_registrations``, ``demo`` and ``bench`` the
clients of ARI and AMI.

==================  ================================================================================================
``port``            the interface: commands and signals
``engine``          its implementation by Asterisk: connections, signals, commands of one channel, survey
``conversations``   its part for controlled channels: redirect, bridge, hold, record, supervise
``engine_commands`` its base: commands, their errors, ids
``account_configuration``  what each account has in the configuration, written and loaded during calls
``dialled_channels``  channels that the switch dials, one for each device of a line
``readiness``       shows Asterisk whether a switch takes new calls and transfers by phones
``message_recordings``  voice mail recordings, which go on without a switch
``translate``       ARI events to signals; its only I/O reads the size of a finished voice message
``connects``        a connect as ``Dial()`` understands it; pure
``hold_music``      music for a party that a phone puts on hold
``answering_machines``  whether a person or a machine answered, by ``AMD()``; pure
``results``         dial status and Q.850 cause to a result; pure
``media_statistics``  how many packets of sound arrived from a party; pure
``registrations``   devices of lines; pure
``device_sources``  from which addresses the devices of each line have authenticated; pure
``request_rates``   how many requests with the password of a line come from one address; pure
``contact_lookups`` follows Asterisk's contacts, from which these devices are known, and stores whom ``Dial()`` calls
``bad_messages``    counts messages of Asterisk that cannot be handled; ``queue_alarm`` reports queues of them that grow
``ami_framing``     which messages of the manager interface are what they seem; pure
``cel_log``         reads the CEL log, which Asterisk writes at all times
``applied``         which configuration Asterisk has loaded, and the reload of what differs
``carrier_registrations``  the state of trunks that register, from the log of Asterisk
``tried_names``     the name of a failed login, from the log of Asterisk; pure
``names``           names of endpoints
``ari``, ``ami``    the two control interfaces; ``http_pool`` and ``ari_events`` belong to ``ari``
``config``          the files Asterisk reads
==================  ================================================================================================

A common call is *decided by the switch and connected by the engine*: it arrives in Stasis, one request sets variables, one
sends it to ``Dial()`` in the dialplan, and from then on Asterisk needs no switch until the talk is over. So a killed
switch has no effect on it. Three mechanisms support this:

- the dialplan lets new calls wait with ring-back while no switch takes calls, then rings the number's default line;
- recording is started by the dialplan, one file for each party's own voice;
- Asterisk writes a CEL log with exact times and causes, so :meth:`Engine.survey` can return missed signals.

The tag of a channel is the call session id in its account code: it is in every listing and CEL entry, and passed on to
dialled channels as peer account.
"""
