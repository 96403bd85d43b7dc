"""A trunk in a directory file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from trunkline.core.engine_values import HostAddress, SipSecret, SipUser, checked
from trunkline.directory.forms.entity import Column, Elsewhere, Entity
from trunkline.directory.forms.fields import Item, Networks, Secret, distinct
from trunkline.directory.model import NumberFormat, Transport, TrunkMode

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext


def _sip_secret(password: SecretStr | None) -> SecretStr | None:
    if password is not None:
        SipSecret(password.get_secret_value())
    return password


class TrunkForm(Item):
    name: str = ""
    mode: TrunkMode = TrunkMode.ADDRESS
    host: Annotated[str, AfterValidator(checked(HostAddress))]
    port: Annotated[int, Field(ge=1, le=65535)] = 5060
    transport: Transport = Transport.UDP
    username: Annotated[str, AfterValidator(checked(SipUser))] | None = None
    password: Annotated[Secret, AfterValidator(_sip_secret), Elsewhere()] = None
    addresses: Networks = ()
    codecs: Annotated[
        tuple[Literal["alaw", "ulaw", "g722", "opus"], ...], AfterValidator(distinct), Field(min_length=1)
    ] = ("alaw", "ulaw")
    max_channels: Annotated[int, Field(ge=0)] = 0
    number_format: NumberFormat = NumberFormat.E164
    private: Annotated[bool, Column("is_private")] = False
    """Made by ``enable.private_number``: it goes with its last number."""
    active: Annotated[bool, Column("is_active")] = True

    @model_validator(mode="after")
    def _user(self) -> Self:
        if self.mode is TrunkMode.REGISTER and self.username is None:
            raise ValueError("a trunk that registers needs username and password")
        return self


def _values(context: WriteContext, key: str) -> Mapping[str, Any]:
    item: TrunkForm = context.item("trunks", key)
    if not item.password:
        return {}
    return {"password_encrypted": context.cipher.encrypt(item.password.get_secret_value())}


ENTITIES = (Entity("trunks", TrunkForm, "trunks", "trunk_id", values=_values),)
