"""Set-up of phones from this server: a phone fetches its configuration by an address that contains a secret.

================== ============================================================
``formats``        configuration files of the supported kinds of phones; pure
``phones``         the phones of an account, and what one may fetch
``browser_lines``  lines of the phone in the browser, and their credentials
``server``         host and ports that phones register at; pure
================== ============================================================
"""
