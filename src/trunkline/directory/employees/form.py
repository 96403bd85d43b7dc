"""An employee in a directory file: phones in the order they are dialled, permitted directions, chat settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, model_validator

from trunkline.accounts import passwords
from trunkline.db.pool import Row
from trunkline.directory.agents.form import AgentForm
from trunkline.directory.exclusive import LINE_OF_EMPLOYEE, SHORT_NUMBER
from trunkline.directory.forms.entity import Column, Elsewhere, Entity, Kept, ReadContext, Refers
from trunkline.directory.forms.fields import (
    BOTH,
    DialTime,
    Email,
    Extension,
    ForwardTarget,
    HubSpotOwner,
    Item,
    Key,
    Login,
    Name,
    OutsidePhone,
    Secret,
    Sides,
    Title,
    TitleForm,
    distinct,
    in_order,
    is_present,
)
from trunkline.directory.lines.digest import new_password
from trunkline.directory.model import CallRecording, EmployeeStatus, limits

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext


class EmployeePhoneForm(Item):
    """A SIP line or an outside number."""

    line: Annotated[Login | None, Refers("sip_lines", "sip_line_id"), LINE_OF_EMPLOYEE] = None
    number: Annotated[OutsidePhone | None, Column("external_number")] = None
    channels: Annotated[int, Field(ge=1, le=limits.MAX_CHANNELS), Column("channels_count")] = 1
    dial_time: DialTime = 60
    active: Annotated[bool, Column("status", words=("active", "inactive"))] = True

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.line is None) == (self.number is None):
            raise ValueError("write either line or number")
        return self


def _operator_password(password: SecretStr | None) -> SecretStr | None:
    if (
        password is not None
        and not passwords.SHORTEST <= len(password.get_secret_value()) <= passwords.LONGEST
    ):
        raise ValueError(f"a password has {passwords.SHORTEST} to {passwords.LONGEST} characters")
    return password


class OperatorForm(Item):
    """Chat settings. Without ``password`` a new operator gets a random one (shown once), an old one keeps theirs."""

    name: Annotated[Name, Column("display_name")]
    login: Name
    password: Annotated[Secret, AfterValidator(_operator_password), Elsewhere()] = None
    position: Annotated[Title | None, Refers("positions", "position_id")] = None
    offline_messages: Annotated[bool, Column("offline_message_enabled")] = False
    invites: Annotated[bool, Column("invite_to_chat_enabled")] = False
    chats: Annotated[bool, Column("chat_enabled")] = True
    sites: Annotated[tuple[str, ...], AfterValidator(in_order), Refers("sites", "site_ids")] = ()


def _few(phones: tuple[EmployeePhoneForm, ...], info: ValidationInfo) -> tuple[EmployeePhoneForm, ...]:
    if len(phones) > limits.MAX_PHONES and not is_present(info):
        raise ValueError(f"an employee has at most {limits.MAX_PHONES} phones")
    return phones


class EmployeeForm(Item):
    last_name: Name
    first_name: str = ""
    patronymic: str = ""
    email: Email | None = None
    extension: Annotated[Extension | None, SHORT_NUMBER] = None
    status: Annotated[EmployeeStatus | None, Kept(EmployeeStatus.AVAILABLE)] = None
    phones: Annotated[tuple[EmployeePhoneForm, ...], AfterValidator(_few), Elsewhere()] = ()
    voice_mail: Annotated[bool, Column("extension_voice_mail_enabled")] = False
    queue: Annotated[bool, Column("extension_queue_enabled")] = False
    schedule: Annotated[Key | None, Refers("schedules", "schedule_id")] = None
    forward_always: Annotated[ForwardTarget | None, Kept("")] = None
    forward_busy: Annotated[ForwardTarget | None, Kept("")] = None
    forward_no_answer: Annotated[ForwardTarget | None, Kept("")] = None
    call_recording: CallRecording = CallRecording.ALL
    in_external_allowed: Sides = BOTH
    in_internal_allowed: Sides = BOTH
    out_external_allowed: Sides = BOTH
    out_internal_allowed: Sides = BOTH
    coach: Annotated[Key | None, Refers("employees", "coach_id", late=True)] = None
    coach_always_enabled: bool = False
    operator: Annotated[OperatorForm | None, Elsewhere()] = None
    agent: Annotated[AgentForm | None, Elsewhere()] = None
    hubspot_owner: Annotated[HubSpotOwner | None, Column("hubspot_owner_id"), Kept("")] = None
    active: Annotated[bool, Column("is_active")] = True

    @model_validator(mode="after")
    def _phones_once(self) -> Self:
        distinct(tuple((phone.line, phone.number) for phone in self.phones))
        return self


def _read(context: ReadContext, row: Row) -> Mapping[str, Any]:
    operators = context.parts("operators", "employee_id", row["employee_id"])
    phones = context.parts("phones", "employee_id", row["employee_id"])
    agents = context.parts("agents", "employee_id", row["employee_id"])
    return {
        "phones": [context.fields(EmployeePhoneForm, phone) for phone in phones],
        "operator": context.fields(OperatorForm, operators[0]) if operators else None,
        "agent": context.fields(AgentForm, agents[0]) if agents else None,
    }


async def _link(context: WriteContext, key: str) -> None:
    item: EmployeeForm = context.item("employees", key)
    employee_id = context.ids["employees"][key]
    rows = await context.rows(
        """select phone_id, sip_line_id, external_number from employee_phones
           where account_id = %(account_id)s and employee_id = %(employee_id)s""",
        employee_id=employee_id,
    )
    wanted = []
    for index, phone in enumerate(item.phones):
        columns = {"employee_id": employee_id, "position": index, **context.columns(phone)}
        wanted.append(((columns["sip_line_id"], columns["external_number"]), columns))
    present = {(row["sip_line_id"], row["external_number"]): row["phone_id"] for row in rows}
    await context.put_list("employee_phones", "phone_id", present, wanted)
    await _operator(context, employee_id, item.operator)
    await _agent(context, employee_id, item.agent)


async def _agent(context: WriteContext, employee_id: int, agent: AgentForm | None) -> None:
    await context.run(
        "delete from agents where account_id = %(account_id)s and employee_id = %(employee_id)s",
        employee_id=employee_id,
    )
    if agent is not None:
        await context.insert("agents", {"employee_id": employee_id, **context.columns(agent)}, "employee_id")


async def _operator(context: WriteContext, employee_id: int, operator: OperatorForm | None) -> None:
    present = await context.rows(
        "select from employee_operators where account_id = %(account_id)s and employee_id = %(employee_id)s",
        employee_id=employee_id,
    )
    if operator is None:
        await context.run(
            "delete from employee_operators where account_id = %(account_id)s and employee_id = %(employee_id)s",
            employee_id=employee_id,
        )
        return
    columns = context.columns(operator)
    password = operator.password.get_secret_value() if operator.password else None
    if password is None and not present:
        password = context.passwords[f"operator {operator.login}"] = new_password()
    if password is not None:
        columns["password_hash"] = await passwords.hash_of(password)
    if present:
        await context.update("employee_operators", "employee_id", employee_id, columns)
    else:
        await context.insert("employee_operators", {"employee_id": employee_id, **columns}, "employee_id")


ENTITIES = (
    Entity("positions", TitleForm, "employee_positions", "position_id", key_column="name"),
    Entity(
        "employees",
        EmployeeForm,
        "employees",
        "employee_id",
        parts={
            "phones": """
                select * from employee_phones where account_id = %(account_id)s order by position, phone_id""",
            "operators": "select * from employee_operators where account_id = %(account_id)s",
            "agents": "select * from agents where account_id = %(account_id)s",
        },
        read=_read,
        link=_link,
        unlink=(
            # their lines get their new owners when all is written
            """update sip_lines set employee_id = null
               where account_id = %(account_id)s and employee_id = any(%(ids)s)""",
        ),
        unique=("extension",),
        # ids in other systems may be exchanged, too; the settings are written again
        release=("delete from agents where account_id = %(account_id)s and employee_id = any(%(ids)s)",),
    ),
)
