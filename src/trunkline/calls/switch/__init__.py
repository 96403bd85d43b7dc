"""The running switch: handles signals of the engine and commands of the APIs, and performs the effects that follow.

====================  =======================================================================================
Signals of the engine
--------------------------------------------------------------------------------------------------------------
``switch``            the sessions of one node: finds the session of a signal and applies the rules
``arrivals``          calls that come in: each finds its account, is refused or begun
``phone_transfers``   attended and blind transfers by phones
``pick_ups``          calls that another phone answers
``parking``           codes by which phones park contacts, and take them
``refused_media``     counts calls that Asterisk refuses because of media encryption
``silent_devices``    reports lines and trunks from which no sound arrives
``unlisted_carriers`` reports requests of a trunk's server that do not identify the trunk
--------------------  ---------------------------------------------------------------------------------------
Commands of the APIs
--------------------------------------------------------------------------------------------------------------
``rpc_server``        accepts commands from other processes; ``rpc_client`` is the other end
``command_handler``   commands on live calls
``site_commands``     websites whose visitors may call; ``browser_tickets`` has what their browsers dial
``number_chooser``    which virtual number a call that the API starts uses
--------------------  ---------------------------------------------------------------------------------------
Queues
--------------------------------------------------------------------------------------------------------------
``queues``            the queues of all accounts: configuration, and effects on calls
``queue_owner``       the queues of one account: inputs in, events stored, effects out
``queue_store``       their event streams in PostgreSQL
``queue_facts``       what decisions about calls mean for the queues
``queue_commands``    commands on agents
``queue_callbacks``   calls to customers who asked to be called back
``dialer``            dials the leads of campaigns; ``dialer_facts`` has the results of their calls
--------------------  ---------------------------------------------------------------------------------------
What rules need, and what follows from a decision
--------------------------------------------------------------------------------------------------------------
``live_context``      the context of a rule, answered from memory
``presence``          which lines are registered and which devices are busy
``last_talks``        which employee talked last with each caller
``channel_admission`` which legs may begin: an account's share of the channels
``call_timers``       timers and questions of live calls
``phone_settings``    what employees set by phone
``executor``          performs the effects of a decision on the engine
``limit_events``      publishes reached limits
--------------------  ---------------------------------------------------------------------------------------
Recovery, and one switch per node
--------------------------------------------------------------------------------------------------------------
``lease``             the lease of a node, with its fencing token
``recovery``          compares the engine with the event streams after a restart
``lost_signals``      finds live calls whose channels ended without a signal
``unknown_channels``  ends channels that no call contains
--------------------  ---------------------------------------------------------------------------------------
Logins and registrations
--------------------------------------------------------------------------------------------------------------
``registration_recorder``  writes registrations of devices into the database
``login_guard``       bans addresses after failed logins; ``login_bans`` has the rules, ``login_guessing`` counts
``trunk_addresses``   which addresses trunks have
====================  =======================================================================================

An arrival takes the way ``arrivals``, a flow (:mod:`trunkline.calls.flows`), ``switch.apply``, ``executor``.
"""
