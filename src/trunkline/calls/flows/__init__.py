"""Rules of each kind of call; pure: no I/O and no clock.

====================  =======================================================================================
``inbound``           a call to a virtual number, through its scenario
``outbound``          a call that a phone starts
``click_to_call``     a call that the Call API starts; ``start_requests`` builds it from the request
``consultation``      hold, transfer and consultation: calls whose parties the switch connects itself
``coaching``          listen, whisper and barge
``engine_connect``    what the engine rings and connects by itself, and how that ends
``table``             transition tables: what each input means in each state; ``inputs`` has the inputs
``parties``           the participants that a start request or a transfer names, as dial targets
``dialing``           how several devices or employees ring
``number_plan``       what a dialled number means
``caller_id``         which number a call shows
``recording``         when a party's voice is recorded
``feature_codes``     keys that a participant presses during a talk
``outgoing_limits``   limits of outgoing calls per account and line
``channel_quota``     how many channels one account may have
====================  =======================================================================================
"""
