"""The query language of lists: ``fields``, ``filter``, ``sort``, ``limit``, ``offset`` over declared columns.

A list is declared once (:class:`Listing` with its :class:`Column` s); a request is parsed against it
(:func:`parse_request`, pure), compiled to parametrised SQL (:func:`compile_request`, pure) and run by
:func:`fetch_page`. What a client may ask, and what the pieces mean, is written in ``filters``, ``jsquery``
and ``moments``; the declarations are in ``columns``.
"""

from trunkline.db.query.columns import Column, ColumnType, Listing
from trunkline.db.query.compiler import CompiledQuery, compile_request
from trunkline.db.query.moments import FORMATS, Moment, is_moment, parse_moment
from trunkline.db.query.page import Page, fetch_page
from trunkline.db.query.request import ListRequest, SortKey, parse_request

__all__ = [
    "FORMATS",
    "Column",
    "ColumnType",
    "CompiledQuery",
    "ListRequest",
    "Listing",
    "Moment",
    "Page",
    "SortKey",
    "compile_request",
    "fetch_page",
    "is_moment",
    "parse_moment",
    "parse_request",
]
