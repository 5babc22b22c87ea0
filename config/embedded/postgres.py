"""A private PostgreSQL on the loopback interface, its data in a folder of its own."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from config.embedded import binaries, leftovers, secret
from config.embedded.process import StartError, free_port, start, stop

_USER: Final = "agentmon"
_DATABASE: Final = "agentmon"
_FAST: Final = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


@dataclass(slots=True)
class Postgres:
    """``state`` keeps the data and the log; ``port`` 0 takes a free one at each start.

    ``durable`` is False for the throw-away servers of tests.
    """

    state: Path
    durable: bool = True
    port: int = 0
    url: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Create the data folder if need be, and start. Raises StartError or ServerMissingError."""
        home = _home(self.state)
        as_user = _unprivileged()
        programs = _readable_programs(binaries.postgres_bin(), home)
        password = secret.keep(self.state / "postgres-password", lambda: secrets.token_urlsafe(24))
        data = home / "postgres"
        env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        if not data.exists():
            self._initialise(programs, data, password, env, as_user)
        if leftovers.end(data, "postgres", signal.SIGINT):
            # Nobody is at the data any more: the pid in this file means nothing, after a power cut it may be any program's.
            (data / "postmaster.pid").unlink(missing_ok=True)
        port = self.port or free_port()
        options = () if self.durable else _FAST
        self._process = start(
            [
                programs / "postgres",
                "-D",
                data,
                "-h",
                "127.0.0.1",
                "-p",
                str(port),
                "-k",
                "",
                "-c",
                "max_connections=200",
                # Else nobody writes what a COPY logs until its commit, which waits for all of it.
                "-c",
                "wal_writer_delay=10ms",
                *options,
            ],
            self.state / "postgres.log",
            lambda: _accepts(port, password),
            signal.SIGINT,
            cwd="/",
            env=env,
            **as_user,
        )
        self.url = f"postgresql://{_USER}:{password}@127.0.0.1:{port}/{_DATABASE}"
        _create_database(port, password)

    def stop(self) -> None:
        """Fast shutdown: clients are disconnected, everything committed is on disk."""
        if self._process is not None:
            stop(self._process, signal.SIGINT)
            self._process = None

    def runs(self) -> bool:
        """Whether it was started, and neither stopped nor ended by itself."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """As a crash would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _initialise(self, programs: Path, data: Path, password: str, env: dict[str, str], as_user: dict[str, Any]) -> None:
        unfinished = data.with_name("postgres.new")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        password_file = data.parent / "initdb-password"
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        if as_user:
            os.chown(unfinished, as_user["user"], as_user["group"])
            os.chown(password_file, as_user["user"], as_user["group"])
        try:
            subprocess.run(
                [
                    programs / "initdb", "-D", unfinished, "-U", _USER, "-A", "scram-sha-256", f"--pwfile={password_file}",
                    "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions", *(() if self.durable else ("--no-sync",)),
                ],
                check=True, capture_output=True, text=True, cwd="/", env=env, **as_user,
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            msg = f"initdb failed:\n{error.stderr}"
            raise StartError(msg) from error
        finally:
            password_file.unlink()
        # Only a finished folder gets the name: one that was interrupted looks like a cluster and would never start.
        unfinished.rename(data)


def _unprivileged() -> dict[str, Any]:
    """Arguments of Popen that make root somebody else: Postgres refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _home(state: Path) -> Path:
    """Where the data folder goes: the state folder, or for root in a private checkout a stable one that nobody can enter."""
    state.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0 or _reachable(state):
        return state
    home = Path("/var/tmp") / f"agent-monitoring-{sha256(str(state.resolve()).encode()).hexdigest()[:16]}"  # noqa: S108 - owned and checked
    home.mkdir(mode=0o755, exist_ok=True)
    if home.is_symlink() or home.stat().st_uid != 0:
        msg = f"{home} belongs to somebody else: remove it"
        raise StartError(msg)
    return home


def _reachable(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path.resolve(), *path.resolve().parents))


def _readable_programs(programs: Path, home: Path) -> Path:
    """For root, programs that an unprivileged user cannot reach are copied next to the data."""
    if os.geteuid() != 0 or _reachable(programs):
        return programs
    source = programs.parents[1]
    target = home / "programs" / source.name
    if not (target / "pginstall/bin/postgres").exists():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        libraries = source.parent / f"{source.name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, target.parent / libraries.name, symlinks=True, dirs_exist_ok=True)
    return target / "pginstall/bin"


def _connect(port: int, password: str, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(
        host="127.0.0.1", port=port, user=_USER, password=password, dbname=database, connect_timeout=3, autocommit=True
    )


def _accepts(port: int, password: str) -> bool:
    try:
        _connect(port, password).close()
    except psycopg.OperationalError:
        return False
    return True


def _create_database(port: int, password: str) -> None:
    with _connect(port, password) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_DATABASE]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE)))
