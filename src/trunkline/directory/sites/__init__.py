"""Websites whose visitors call, and their blocks (places where a number is shown): lists and changes.

The product serves no websites: what belongs to pages (visitor ids, links in widgets, lifetimes of cookies) is kept
and told to those who ask. Calls refer to sites by the campaigns that own the numbers.
"""
