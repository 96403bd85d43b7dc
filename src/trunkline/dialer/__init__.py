"""The rules of dialing campaigns: whom to call when, how many lines at once, and what the results mean.

=====================  =============================================================================================
settings               what a campaign may be: mode, hours, limits
campaigns              states of a campaign and what changes them
outcomes               what an attempt ended with, and the rule for the next one
leads                  the state of a lead from its attempts; which lead is next
hours                  time zones of numbers, and when they may be called
estimates              what is measured of a campaign: who answers, how soon, how long talks take
pacing                 how many calls to begin now
abandonment            counts of answered and abandoned calls, and the limit on them
campaign_store         campaigns in PostgreSQL
lead_store             leads and attempts in PostgreSQL
retention              deletes attempts that are older than the account keeps them
=====================  =============================================================================================

All but the last three are pure: times are given, and the switch carries out what is decided
(:mod:`trunkline.calls.switch.dialer`).
"""
