"""Websites whose visitors call, and their blocks (places where a number is shown): lists and changes.

The product serves no websites: data for pages (visitor ids, links in widgets, lifetimes of cookies) are stored
and returned on request. Calls refer to sites by the campaigns that own the numbers.
"""
