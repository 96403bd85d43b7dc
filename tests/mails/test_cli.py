"""``trunkline account mail-domains``: where the mails of an account may go."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from trunkline.accounts.administration import Administration
from trunkline.cli import accounts
from trunkline.core.errors import InvalidInput


def test_domains_or_any_but_not_both(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[object] = []

    class Recorded:
        async def account(self, account_id: int) -> None: ...

        async def set_mail_domains(self, account_id: int, domains: object) -> None:
            set_to.append((account_id, domains))

    def administer(work: object) -> None:
        coroutine = work(Recorded())  # type: ignore[operator]
        with pytest.raises(StopIteration):
            coroutine.send(None)

    monkeypatch.setattr(accounts, "administer", administer)
    assert hasattr(Administration, "set_mail_domains")
    run = CliRunner().invoke
    named = run(accounts.account, ["mail-domains", "example.com", "--account", "7"])
    assert named.output == "mails may go to example.com\n"
    assert run(accounts.account, ["mail-domains", "--any", "--account", "7"]).exit_code == 0
    assert set_to == [(7, ("example.com",)), (7, None)]
    for wrong in ([], ["example.com", "--any"]):
        assert isinstance(run(accounts.account, ["mail-domains", *wrong]).exception, InvalidInput)
