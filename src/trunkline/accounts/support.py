"""Contact persons of an account for support, and tickets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trunkline.core.errors import InvalidInput, NotFound
from trunkline.db.pool import Connection, Database, Row
from trunkline.db.rows import insert, transaction

_PERSONS = """
    select p.contact_person_id as contact_id, p.full_name, nullif(p.position_name, '') as position_name,
        array(select jsonb_build_object('id', w.way_id, 'email', w.value) from contact_person_ways w
              where w.account_id = p.account_id and w.contact_person_id = p.contact_person_id
                and w.kind = 'email' order by w.way_id) as emails,
        array(select jsonb_build_object('id', w.way_id, 'phone', w.value) from contact_person_ways w
              where w.account_id = p.account_id and w.contact_person_id = p.contact_person_id
                and w.kind = 'phone' order by w.way_id) as phones
    from contact_persons p where p.account_id = %s order by p.contact_person_id
"""


async def contact_persons(database: Database, account_id: int) -> list[Row]:
    """``contact_id``, ``full_name``, ``position_name``, ``emails`` [{id, email}], ``phones`` [{id, phone}]."""
    return await database.fetch_all(_PERSONS, (account_id,))


async def add_contact_person(
    connection: Connection,
    account_id: int,
    full_name: str,
    *,
    position_name: str = "",
    emails: Sequence[str] = (),
    phones: Sequence[str] = (),
) -> int:
    """Add a person in the transaction of the connection; the id.

    :raises InvalidInput: no name.
    """
    if not full_name.strip():
        raise InvalidInput("a contact person needs a name", field="full_name", value=full_name)
    values = {"full_name": full_name.strip(), "position_name": position_name}
    person = await insert(connection, "contact_persons", "contact_person_id", account_id, values)
    for kind, ways in (("email", emails), ("phone", phones)):
        for way in dict.fromkeys(ways):
            await insert(
                connection,
                "contact_person_ways",
                "way_id",
                account_id,
                {"contact_person_id": person, "kind": kind, "value": way},
            )
    return person


async def remove_contact_person(database: Database, account_id: int, contact_id: int) -> None:
    """:class:`NotFound` when there is none with this id."""
    count = await database.execute(
        "delete from contact_persons where account_id = %s and contact_person_id = %s",
        (account_id, contact_id),
    )
    if not count:
        raise NotFound(f"account {account_id} has no contact person {contact_id}", field="contact_id")


async def write_ticket(
    database: Database,
    account_id: int,
    user_login: str,
    text: str,
    *,
    contact_id: int,
    phone_id: int,
    email_id: int,
) -> int:
    """Write to support; the ticket's id. What the person is called and reached by is kept as it is now.

    :raises NotFound: no such person here, or the telephone or address is not this person's.
    """
    persons = {person["contact_id"]: person for person in await contact_persons(database, account_id)}
    person = persons.get(contact_id)
    if person is None:
        raise _unknown("contact_id", contact_id)
    values = {
        "text": text,
        "full_name": person["full_name"],
        "phone": _way(person["phones"], "phone", phone_id),
        "email": _way(person["emails"], "email", email_id),
        "user_login": user_login,
    }
    async with transaction(database) as connection:
        return await insert(connection, "support_tickets", "ticket_id", account_id, values)


async def tickets(database: Database, *, closed: bool = False) -> list[Row]:
    """Open tickets of all accounts, or closed ones, oldest first: for the administrator of the installation."""
    return await database.fetch_all(
        "select t.account_id, a.name as account_name, t.ticket_id, t.text, t.full_name, t.phone, t.email,"
        " t.user_login, t.status, t.created_at, t.closed_at from support_tickets t join accounts a using (account_id)"
        " where t.status = %s order by t.created_at, t.ticket_id",
        ("closed" if closed else "open",),
    )


async def close_ticket(database: Database, account_id: int, ticket_id: int) -> None:
    """:class:`NotFound` when the account has no open ticket of that number."""
    count = await database.execute(
        "update support_tickets set status = 'closed', closed_at = now()"
        " where account_id = %s and ticket_id = %s and status = 'open'",
        (account_id, ticket_id),
    )
    if not count:
        raise NotFound(
            f"account {account_id} has no open ticket {ticket_id}; see `trunkline support tickets`",
            field="ticket_id",
            value=ticket_id,
        )


def _way(ways: Sequence[dict[str, Any]], kind: str, way_id: int) -> str:
    for way in ways:
        if way["id"] == way_id:
            return str(way[kind])
    raise _unknown(f"{kind}_id", way_id)


def _unknown(field: str, value: int) -> NotFound:
    return NotFound(f"there is no {value} here: see get.customer_contact_info", field=field, value=value)
