"""The private servers of a checkout live as long as their last user, whatever becomes of whom."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from config.embedded import leftovers
from config.embedded.postgres import _home
from config.embedded.servers import _kept
from tests.e2e.parts import ROOT, manage
from tests.patience import eventually

USER = """
import sys
from pathlib import Path
from config.embedded import servers
addresses = servers.acquire(Path(sys.argv[1]))
print(addresses.database_url, addresses.redis_url, flush=True)
sys.stdin.read()
"""


class User:
    """A process that uses the servers until it is told to end."""

    def __init__(self, state: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(state)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.database_url, self.redis_url = self.process.stdout.readline().split()

    def leave(self) -> None:
        self.process.communicate("", timeout=10)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """In a folder with a space in its name that nobody else may enter, as a private checkout is."""
    private = tmp_path / "a private checkout" / ".local"
    private.mkdir(parents=True)
    private.parent.chmod(0o700)
    yield private
    keeper = keeper_of(private)
    if keeper is not None:
        keeper.kill()
    eventually("the servers ended", lambda: not _kept(private), 20)
    elsewhere = data_folder(private).parent
    if elsewhere != private:
        leftovers.end(elsewhere / "postgres", "postgres", signal.SIGKILL)
        shutil.rmtree(elsewhere)


def keeper_of(state: Path) -> psutil.Process | None:
    try:
        return psutil.Process(json.loads((state / "servers.json").read_text())["keeper"])
    except (FileNotFoundError, KeyError, psutil.NoSuchProcess):
        return None


def data_folder(state: Path) -> Path:
    return _home(state) / "postgres"


def bare_environment(state: Path) -> dict[str, str]:
    """Of a person who has no servers."""
    environment = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"}}
    return {**environment, "AGENTMON_STATE": str(state)}


def answers(user: User) -> bool:
    try:
        with psycopg.connect(user.database_url, connect_timeout=2) as connection:
            connection.execute("SELECT 1")
        return bool(redis.Redis.from_url(user.redis_url).ping())
    except (psycopg.OperationalError, redis.ConnectionError):
        return False


def test_servers_are_shared_and_end_after_the_last_user(state: Path) -> None:
    first, second = User(state), User(state)
    assert first.database_url == second.database_url
    first.leave()
    assert answers(second)
    second.leave()
    eventually("the servers ended", lambda: not answers(second), 20)
    eventually("the keeper said so", lambda: keeper_of(state) is None, 10)


def test_what_was_stored_survives_a_killed_user_and_a_killed_keeper(state: Path) -> None:
    user = User(state)
    with psycopg.connect(user.database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    redis.Redis.from_url(user.redis_url).set("kept", 42)
    user.kill()
    eventually("the servers ended", lambda: not answers(user), 20)

    again = User(state)
    keeper = keeper_of(state)
    assert keeper is not None
    children = keeper.children()
    keeper.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(children, 20)
    assert not alive
    again.leave()

    third = User(state)
    with psycopg.connect(third.database_url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert redis.Redis.from_url(third.redis_url, decode_responses=True).get("kept") == "42"
    third.leave()


def test_new_servers_do_not_start_beside_those_that_a_killed_keeper_leaves(state: Path) -> None:
    user = User(state)
    redis.Redis.from_url(user.redis_url).set("kept", 42)
    keeper = keeper_of(state)
    assert keeper is not None
    keeper.kill()
    again = User(state)
    assert redis.Redis.from_url(again.redis_url, decode_responses=True).get("kept") == "42"
    assert answers(again)
    again.leave()
    user.leave()


@pytest.mark.parametrize("server", ["postgres", "valkey-server"])
def test_when_one_server_crashes_the_other_stops_and_the_next_user_gets_both(state: Path, server: str) -> None:
    user = User(state)
    keeper = keeper_of(state)
    assert keeper is not None
    children = keeper.children()
    next(child for child in children if child.name() == server).kill()
    eventually("the keeper ended", lambda: keeper.status() == psutil.STATUS_ZOMBIE, 20)  # its parent, the user, does not look
    assert not any(child.is_running() for child in children)
    assert "ended by itself" in (state / "keeper.log").read_text()
    again = User(state)
    assert answers(again)
    again.leave()
    user.leave()


def test_a_start_that_was_interrupted_does_not_spoil_the_next(state: Path) -> None:
    unfinished = data_folder(state).with_name("postgres.new")
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    user = User(state)
    assert answers(user)
    user.leave()


def test_after_a_power_cut_another_program_with_the_same_pid_is_not_taken_for_postgres(state: Path) -> None:
    user = User(state)
    user.leave()
    eventually("the servers ended", lambda: not _kept(state), 20)
    somebody = subprocess.Popen(["sleep", "300"], user="nobody" if os.geteuid() == 0 else None)
    (data_folder(state) / "postmaster.pid").write_text(f"{somebody.pid}\n")
    try:
        again = User(state)
        assert answers(again)
        assert somebody.poll() is None
        again.leave()
    finally:
        somebody.kill()
        somebody.wait(10)


def test_servers_that_cannot_start_are_one_clear_message(state: Path) -> None:
    (state / "valkey").write_text("a file where the folder should be")
    done = manage(bare_environment(state), "migrate")
    assert done.returncode == 1
    assert "the private servers cannot be used: " in done.stderr
    assert str(state / "valkey") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_without_addresses_starts_the_servers_and_stops_them_again(state: Path) -> None:
    done = manage(bare_environment(state), "migrate", "--verbosity=0")
    assert done.returncode == 0, done.stderr
    assert "starting a private Postgres" in done.stderr
    eventually("the servers ended", lambda: keeper_of(state) is None, 20)


def test_with_a_database_of_ones_own_a_missing_secret_is_one_clear_line() -> None:
    done = manage({k: v for k, v in os.environ.items() if k != "SECRET_KEY"}, "rollup")
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].endswith("put 50 or more random characters into the environment, and keep them")
    assert "Traceback" not in done.stderr
