"""What Asterisk has loaded is compared with what is wanted, and loaded again until both are the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.telephony.conftest import Pbx, line
from trunkline.core.engine_values import MediaPath
from trunkline.core.errors import EngineError
from trunkline.telephony.applied import applied_digests
from trunkline.telephony.ari import AriError
from trunkline.telephony.config import (
    AccountFiles,
    EndpointSet,
    Kind,
    TrunkConfig,
    TrunkMode,
    write_files,
)
from trunkline.telephony.engine import AsteriskEngine

pytestmark = [pytest.mark.drill, pytest.mark.engine]


async def is_there(engine: AsteriskEngine, endpoint: str) -> bool:
    try:
        await engine._ari.get(f"/asterisk/config/dynamic/res_pjsip/endpoint/{endpoint}")
    except AriError as error:
        if error.status != 404:
            raise
        return False
    return True


async def attributes(engine: AsteriskEngine, type_: str, name: str) -> dict[str, str]:
    found = await engine._ari.get(f"/asterisk/config/dynamic/res_pjsip/{type_}/{name}")
    return {one["attribute"]: one["value"] for one in found}


async def test_only_what_differs_is_loaded(pbx: Pbx) -> None:
    async with pbx.engine() as (engine, _):
        assert await engine.apply() == []
        engine.set_account("7", EndpointSet(lines=[line("2001")]))
        assert await engine.apply() == [Kind.AUTHS, Kind.AORS, Kind.ENDPOINTS]
        assert await is_there(engine, "2001")
        assert await is_there(engine, "1001")
        engine.set_account("7", EndpointSet(lines=[line("2001", "another password")]))
        assert await engine.apply() == [Kind.AUTHS]
        engine.set_account("7", EndpointSet(music=[MediaPath("/nowhere/music")]))
        assert await engine.apply() == [Kind.AUTHS, Kind.AORS, Kind.ENDPOINTS, Kind.MUSIC]
        assert not await is_there(engine, "2001")
        engine.remove_account("7")
        assert await engine.apply() == [Kind.MUSIC]
        await engine.remove_stale_files()
        assert not list((pbx.config.paths.etc / "accounts").glob("7-*"))


async def test_files_that_were_written_and_never_loaded_are_loaded(pbx: Pbx) -> None:
    """A switch was killed between writing and the reload; the next finds the files as it wants them."""
    wanted = EndpointSet(lines=[*pbx.directory.lines, line("1009")], trunks=pbx.directory.trunks)
    async with pbx.engine() as (engine, _):
        files = AccountFiles(pbx.config)
        files.put("0", wanted)
        write_files(pbx.config.paths.etc, files.all_files())
        assert not await is_there(engine, "1009")
    async with AsteriskEngine(pbx.config) as engine:
        await engine.wait_up()
        engine.set_account("0", wanted)
        assert Kind.ENDPOINTS in await engine.apply()
        assert await is_there(engine, "1009")


async def test_a_reload_that_fails_is_an_error_until_it_succeeds(pbx: Pbx) -> None:
    """Asterisk reports success of a reload that found a file it cannot read, so only the mark shows the loaded state."""
    async with pbx.engine() as (engine, _):
        etc = pbx.config.paths.etc
        engine.set_account("7", EndpointSet(lines=[line("2001")]))
        obstacle = etc / "accounts" / "7-endpoints.conf"
        obstacle.mkdir(parents=True)  # in place of the file
        with pytest.raises(OSError):
            await engine.apply()
        obstacle.rmdir()
        files = AccountFiles(pbx.config)
        files.put("0", pbx.directory)
        files.put("7", EndpointSet(lines=[line("2001")]))
        write_files(etc, files.all_files())
        (etc / "accounts" / "7-endpoints.conf").unlink()
        engine.configuration.files.written(engine.configuration.files.unwritten())
        with pytest.raises(EngineError, match="endpoints"):
            await engine.apply()
        assert await is_there(engine, "1001")
        engine.set_account("7", EndpointSet())
        engine.set_account("7", EndpointSet(lines=[line("2001")]))
        assert Kind.ENDPOINTS in await engine.apply()
        assert await is_there(engine, "2001")


async def test_after_a_restart_asterisk_has_what_was_wanted(pbx: Pbx) -> None:
    async with pbx.engine() as (engine, _):
        engine.set_account("7", EndpointSet(lines=[line("2001")]))
        await engine.apply()
        await pbx.stop()
        await pbx.start(keep=True)
        async with asyncio.timeout(20):
            while not (engine._ari.is_up and engine._ami.is_up) or await _not_loaded(engine):
                await asyncio.sleep(0.05)
        assert await engine.apply() == []


async def _not_loaded(engine: AsteriskEngine) -> bool:
    try:
        applied = await applied_digests(engine._ari, engine._ami)
    except Exception:  # Asterisk is still starting
        return True
    return None in applied.values()


ODD = (
    "a=b",
    "a%b",
    "a,b",
    "a'b",
    "ü",
    "a(b)",
    "a#b",
    "[x]",
    "${X}",
    "a;b",
    "a@b",
    "tl-applied",
    ">x",
    "=",
    "a;--b",
)


async def test_odd_logins_arrive_in_asterisk_as_they_are(pbx: Pbx, tmp_path: Path) -> None:
    trunks = [
        TrunkConfig.of(
            str(100 + index), TrunkMode.REGISTER, "127.0.0.1", 9, username=text, password=f'{text}"\\ {text}'
        )
        for index, text in enumerate(ODD)
        if ">" not in text
    ]
    async with pbx.engine() as (engine, _):
        engine.set_account("7", EndpointSet(trunks=trunks))
        await engine.apply()
        for trunk in trunks:
            auth = await attributes(engine, "auth", trunk.auth_name)
            assert (auth["username"], auth["password"]) == (trunk.username, trunk.password)
            assert trunk.username is not None
            registration = await attributes(engine, "registration", trunk.name)
            user = trunk.username.in_uri.replace("\\;", ";")
            assert registration["client_uri"] == f"sip:{user}@127.0.0.1:9"
            assert registration["contact_user"] == user
            assert await is_there(engine, trunk.name)
        assert await is_there(engine, "1001")
