"""One API in one version: where it is found and who may use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trunkline.apis.jsonrpc.declare import Method
from trunkline.apis.service.request_context import Api, CallerLike


@dataclass(frozen=True)
class ServiceSpec:
    """An API as served at one path.

    :param version: as in the path, ``4.0``.
    :param latest_version: when it differs, this version is deprecated and every response contains that.
    :param aliases: further names of methods, which samples of the reference use, to their own.
    """

    api: Api
    version: str
    title: str
    methods: Sequence[Method]
    latest_version: str | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    _by_name: dict[str, Method] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for method in self.methods:
            if method.api is not self.api:
                raise ValueError(f"{method.name} is declared for {method.api}, not for {self.api}")
            if self._by_name.setdefault(method.name, method) is not method:
                raise ValueError(f"{self.api} declares {method.name} twice")

    @property
    def path(self) -> str:
        return f"/v{self.version}"

    def find(self, name: str) -> Method | None:
        """The method of that name, or alias."""
        return self._by_name.get(self.aliases.get(name, name))

    def admits(self, caller: CallerLike) -> bool:
        """Whether the user may use this API at all."""
        if self.api is Api.CALL:
            return caller.call_api_enabled
        return caller.data_api_enabled

    def version_metadata(self) -> Mapping[str, Any]:
        """``api_version`` of the metadata; empty unless the version is deprecated."""
        if self.latest_version in (None, self.version):
            return {}
        return {
            "api_version": {
                "current_version_deprecated": True,
                "current_version": self.version,
                "latest_version": self.latest_version,
            }
        }
