"""The phones of an account that fetch their configuration from this server.

The address of a phone contains a token of 256 random bits, of which the database keeps the hash. The password of the line
is kept encrypted with the master key, because a phone fetches it again after each restart; it is sent only while it is
still the line's password.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trunkline.accounts import tokens
from trunkline.accounts.secrets import Cipher
from trunkline.core.errors import InUse, NotFound
from trunkline.core.log import get_logger
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import delete, insert, transaction
from trunkline.directory.lines.changes import set_password
from trunkline.directory.lines.digest import Ha1
from trunkline.directory.model import Srtp
from trunkline.provisioning.formats import (
    ConfigurationFile,
    PhoneKind,
    PhoneSettings,
    configuration_file,
    is_file_of,
    normalised_mac,
)
from trunkline.provisioning.server import Transport

_log = get_logger("provisioning.phones")

_TABLE, _ID = "provisioned_phones", "provisioned_phone_id"
_USER_AGENT_MAX = 200
"""Characters that are kept."""

_LIST = """
select p.provisioned_phone_id as phone_id, l.phone_number as line, e.full_name as employee, p.kind, p.mac, p.transport,
    p.created_at, p.fetched_at, host(p.fetched_from) as fetched_from, p.user_agent,
    p.line_ha1_sha256 is distinct from l.ha1_sha256 as is_outdated
from provisioned_phones p
join sip_lines l on l.account_id = p.account_id and l.sip_line_id = p.sip_line_id
left join employees e on e.account_id = l.account_id and e.employee_id = l.employee_id
where p.account_id = %(account_id)s
order by p.provisioned_phone_id
"""

# The token finds its account, so this is a look-up that cannot name it.
_OF_LINK = """
select p.account_id, p.provisioned_phone_id, p.kind, p.mac, p.transport, p.password, l.phone_number as line, l.srtp,
    e.full_name as employee, p.line_ha1_sha256 is distinct from l.ha1_sha256 as is_outdated
from provisioned_phones p
join accounts a on a.account_id = p.account_id and a.status = 'active'
join sip_lines l on l.account_id = p.account_id and l.sip_line_id = p.sip_line_id
left join employees e on e.account_id = l.account_id and e.employee_id = l.employee_id
where p.token_hash = %s
"""


@dataclass(frozen=True, slots=True)
class AddedPhone:
    """:ivar token: the secret in the phone's address, shown once.
    :ivar has_new_password: the line got a new password, so phones that were set up by hand need it, too.
    """

    phone_id: int
    token: str = field(repr=False)
    has_new_password: bool


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """:ivar file: None: the phone gets none now.
    :ivar refusal: why it gets none, and what to do.
    """

    account_id: int
    file: ConfigurationFile | None
    refusal: str = ""


async def list_phones(db: Database, account_id: int) -> list[dict[str, Any]]:
    """The phones of an account; ``is_outdated``: the line's password was changed since."""
    return await db.fetch_all(_LIST, {"account_id": account_id})


async def remove_phone(db: Database, account_id: int, phone_id: int) -> None:
    """Remove a phone: its address gives nothing any more. Its line and password stay.

    :raises NotFound: no such phone.
    """
    async with transaction(db) as connection:
        await delete(connection, _TABLE, _ID, account_id, phone_id)


class Phones:
    """Changes and requests that need the passwords of phones.

    :param cipher: encrypts the passwords.
    """

    def __init__(self, db: Database, cipher: Cipher) -> None:
        self._db = db
        self._cipher = cipher

    async def add(
        self, account_id: int, login: str, kind: PhoneKind, mac: str | None, transport: Transport
    ) -> AddedPhone:
        """Add a phone for a line. The line gets a new password, unless another phone of the line was added with the
        present one.

        :param login: of the line.
        :param mac: of phones that have one; None for others.
        :raises NotFound: no such line in the account.
        :raises InvalidInput: not a MAC address.
        :raises InUse: another phone has this MAC address.
        """
        mac = normalised_mac(mac) if mac is not None else None
        token = tokens.new_token()
        async with transaction(self._db) as connection:
            line = await _line(connection, account_id, login)
            await _check_mac(connection, account_id, mac)
            known = await self._present_password(connection, account_id, line)
            password, digest = known or await set_password(connection, account_id, line["sip_line_id"], login)
            phone_id = await insert(
                connection,
                _TABLE,
                _ID,
                account_id,
                {
                    "sip_line_id": line["sip_line_id"],
                    "kind": kind.value,
                    "mac": mac,
                    "transport": transport.value,
                    "token_hash": tokens.hash_of(token),
                    "password": self._cipher.encrypt(password),
                    "line_ha1_sha256": digest.sha256,
                },
            )
        return AddedPhone(phone_id, token, known is None)

    async def renew(self, account_id: int, login: str) -> int:
        """Give a line a new password, and all its phones with it; they fetch it at their next restart or check.

        :return: how many phones the line has.
        :raises NotFound: no such line, or the line has no phone here.
        """
        async with transaction(self._db) as connection:
            line = await _line(connection, account_id, login)
            password, digest = await set_password(connection, account_id, line["sip_line_id"], login)
            cursor = await connection.execute(
                """update provisioned_phones set password = %s, line_ha1_sha256 = %s
                   where account_id = %s and sip_line_id = %s""",
                (self._cipher.encrypt(password), digest.sha256, account_id, line["sip_line_id"]),
            )
            if not cursor.rowcount:
                raise NotFound(
                    f"Line {login} has no phone that fetches its configuration here: `trunkline phone add` adds one.",
                    field="line",
                    value=login,
                )
            return cursor.rowcount

    async def fetch(
        self,
        token: str,
        file_name: str,
        server: Mapping[Transport, tuple[str, int]],
        address: str,
        agent: str,
    ) -> FetchedFile | None:
        """The file that a phone asks for, None when there is none; the time and the client of the last fetch are stored.

        :param server: host and port of each transport that is turned on.
        :param address: of the client.
        :param agent: its ``User-Agent``.
        """
        row = await self._db.fetch_one(_OF_LINK, (tokens.hash_of(token),))
        if row is None or not is_file_of(file_name, PhoneKind(row["kind"]), row["mac"]):
            return None
        log = _log.bind(account_id=row["account_id"], line=row["line"], phone_id=row["provisioned_phone_id"])
        if row["is_outdated"]:
            log.warning(
                "phone_password_outdated",
                address=address,
                remedy="run `trunkline phone renew LINE`: its phones get a new password at their next restart",
            )
            return FetchedFile(
                row["account_id"],
                None,
                "The password of this line was changed. The administrator: trunkline phone renew LINE",
            )
        transport = Transport(row["transport"])
        if transport not in server:
            log.warning(
                "phone_transport_off",
                transport=transport.value,
                remedy="set the port of this transport in the settings, or add the phone again with another one",
            )
            return FetchedFile(
                row["account_id"], None, "The transport of this phone is turned off in the PBX."
            )
        host, port = server[transport]
        settings = PhoneSettings(
            login=row["line"],
            password=self._cipher.decrypt(row["password"]),
            name=row["employee"] or row["line"],
            host=host,
            port=port,
            transport=transport,
            srtp=Srtp(row["srtp"]),
        )
        await self._db.execute(
            """update provisioned_phones set fetched_at = now(), fetched_from = %s, user_agent = %s
               where account_id = %s and provisioned_phone_id = %s""",
            (address, _printable(agent), row["account_id"], row["provisioned_phone_id"]),
        )
        log.info("phone_configuration_sent", address=address)
        return FetchedFile(row["account_id"], configuration_file(PhoneKind(row["kind"]), settings))

    async def _present_password(
        self, connection: Connection, account_id: int, line: Mapping[str, Any]
    ) -> tuple[str, Ha1] | None:
        cursor = await connection.execute(
            """select password from provisioned_phones
               where account_id = %s and sip_line_id = %s and line_ha1_sha256 = %s limit 1""",
            (account_id, line["sip_line_id"], line["ha1_sha256"]),
        )
        row = await cursor.fetchone()
        if row is None:
            return None
        return self._cipher.decrypt(row["password"]), Ha1(line["ha1_md5"], line["ha1_sha256"])


async def _line(connection: Connection, account_id: int, login: str) -> Mapping[str, Any]:
    cursor = await connection.execute(
        """select sip_line_id, ha1_md5, ha1_sha256 from sip_lines
           where account_id = %s and phone_number = %s for update""",
        (account_id, login),
    )
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(
            f"There is no SIP line {login}: `trunkline export` and get.sip_lines show the logins.",
            field="line",
            value=login,
        )
    return row


async def _check_mac(connection: Connection, account_id: int, mac: str | None) -> None:
    cursor = await connection.execute(
        "select provisioned_phone_id from provisioned_phones where account_id = %s and mac = %s",
        (account_id, mac),
    )
    row = await cursor.fetchone()
    if row is not None:
        raise InUse(
            f"Phone {row['provisioned_phone_id']} has this MAC address: remove it first.",
            field="mac",
            value=mac,
        )


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:_USER_AGENT_MAX]
