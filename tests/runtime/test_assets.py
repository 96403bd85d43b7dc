"""Scripts of others: fetched from a registry, compared with the lock file, made into modules."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from trunkline.core.assets import AssetFile, AssetLock, AssetPackage, asset_lock
from trunkline.core.errors import SetupError
from trunkline.core.settings import Settings, WebSettings
from trunkline.runtime import assets
from trunkline.runtime.asset_bundle import bundle

BIRD = {
    "package.json": b'{"version": "1.2.3"}',
    "LICENSE": b"Free */ for all",
    "lib/a.js": b"module.exports = 'a';",
}
MODULES = {
    "bird/lib/main.js": "module.exports = { is: 'bird', v: require('../package.json').version, b: require('./b') };",
    "bird/lib/b.js": "exports.name = require('egg')('b'); exports.main = () => require('./main').is;",
    "bird/package.json": '{"version": "1.2.3"}',
    "egg/src/index.js": 'module.exports = (text) => text + require("./shell");',
    "egg/src/shell/index.js": "module.exports = '!';",
}


def archive(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as opened:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def integrity(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def sha384(content: bytes) -> str:
    return base64.b64encode(hashlib.sha384(content).digest()).decode()


class Registry:
    """Serves one archive, and counts requests."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.paths: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.paths.append(self.path)
                self.send_response(200 if self.path == "/npm/bird/-/bird-1.2.3.tgz" else 404)
                self.end_headers()
                self.wfile.write(registry.content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def settings(self, folder: Path) -> Settings:
        url = f"http://127.0.0.1:{self.server.server_port}/npm/"
        return Settings(runtime_dir=folder, web=WebSettings(asset_registry=url))


@pytest.fixture
def registry() -> Iterator[Registry]:
    one = Registry(archive(BIRD))
    yield one
    one.server.shutdown()
    one.server.server_close()


def lock(content: bytes, *, file: bytes = BIRD["lib/a.js"], version: str = "1.2.3") -> AssetLock:
    package = AssetPackage("bird", version, "MIT", integrity(content))
    return AssetLock(
        {"bird": package}, {"bird.js": AssetFile("bird.js", "bird/lib/a.js", False, sha384(file))}
    )


def test_files_are_fetched_once_and_again_when_they_are_damaged(registry: Registry, tmp_path: Path) -> None:
    settings, wanted = registry.settings(tmp_path), lock(registry.content)
    for _ in range(2):
        place = assets.ensure(settings, lock=wanted)
        assert {one.name: one.read_bytes() for one in place.iterdir()} == {"bird.js": BIRD["lib/a.js"]}
    assert len(registry.paths) == 1
    (place / "bird.js").write_text("something else")
    assets.ensure(settings, lock=wanted)
    assert (place / "bird.js").read_bytes() == BIRD["lib/a.js"]


def test_an_archive_with_another_digest_is_not_taken(registry: Registry, tmp_path: Path) -> None:
    wanted = lock(b"the archive that was tested")
    with pytest.raises(SetupError, match=r"bird-1\.2\.3\.tgz has the digest sha512-.*web\.asset_registry"):
        assets.ensure(registry.settings(tmp_path), lock=wanted)
    assert not (tmp_path / "assets").exists()


def test_a_file_with_another_digest_is_not_taken(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"bird\.js has the SHA-384 digest"):
        assets.ensure(registry.settings(tmp_path), lock=lock(registry.content, file=b"x"))
    assert not (tmp_path / "assets").exists()


def test_a_version_that_the_registry_lacks_is_named(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"bird-9\.tgz cannot be fetched .*404.*web\.asset_registry"):
        assets.ensure(registry.settings(tmp_path), lock=lock(registry.content, version="9"))


def test_the_locked_files_are_those_that_setup_fetched() -> None:
    place = assets.ensure(Settings())
    assert assets.is_complete(place, asset_lock())
    text = (place / "jssip.js").read_text()
    for name in ("jssip", "debug", "ms", "events", "sdp-transform"):
        assert f"/*! {name} {asset_lock().packages[name].version} (MIT)\n" in text


def test_modules_keep_their_meaning_in_a_bundle(tmp_path: Path) -> None:
    text = bundle("bird/lib/main.js", MODULES.get, {"egg": "src/index.js"}, ["Free */ for all"])
    assert text == bundle("bird/lib/main.js", MODULES.get, {"egg": "src/index.js"}, ["Free */ for all"])
    assert text.startswith("/*! Free * / for all */\n")
    node = shutil.which("node")
    if node is None:
        return  # the tests in a browser run the real bundle
    (tmp_path / "made.mjs").write_text(text)
    (tmp_path / "try.mjs").write_text(
        "import bird, { internals } from './made.mjs';\n"
        "console.log(bird.is, bird.v, bird.b.name, bird.b.main(), internals('egg/src/index.js')('c'));\n"
    )
    output = subprocess.run([node, tmp_path / "try.mjs"], capture_output=True, text=True, check=True).stdout
    assert output == "bird 1.2.3 b! bird c!\n"


def test_a_module_that_is_not_in_the_packages_is_named() -> None:
    with pytest.raises(SetupError, match=r"bird/lib/b\.js requires egg, which"):
        bundle("bird/lib/main.js", MODULES.get, {}, [])
