"""Set-up: pages that write what the account has, one entity each.

A page writes by a method of the Data API (its checks, its permission, its writer) or by a function of the package that
owns the entity, and has no rules of its own. Each change is a row of the request log (``get.api_requests``).

``controls``   controls of a form: from a row to the form and from the form to parameters; pure
``problems``     an error of a method beside the field that it is about, in plain words; pure
``writer``     what makes, changes and removes an entity
``file_writer``  the same by items of directory files
``entity``     list, form and confirmation of an entity, from its declaration
``menu_entry`` a page that is no entity
``menu``       the first page of the set-up, and the entities in its menu
``choices``    what selects offer
``first_steps``  from an empty account to the first call

Entities:

``api_access``  keys of users, addresses and points of the APIs
``blacklist``  numbers whose calls are refused
``campaigns``  dialing campaigns: settings, start and stop, results
``contacts``   the address book
``do_not_call``  numbers that no campaign calls
``employees``  employees and their phones
``groups``     groups of employees
``lines``      SIP lines and their devices
``logins``     logins of employees for the console
``media``      sounds that callers hear
``notifications``  what other systems get of calls, with deliveries
``numbers``    virtual numbers
``phone_lists``  lists of numbers for campaigns, and their leads
``queues``     queues and the agents in them
``schedules``  working hours; ``hours``: as people write them, pure
``request_log``  requests to the APIs and changes by the console
``trunks``     trunks with a test call
``tags``       marks on calls
"""
