"""What is wrong with what a person gives or with a server gets one clear line and a non-zero exit; the rest counts."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import zlib
from pathlib import Path

import pytest

from tests.e2e.parts import environment_of_tests, manage

START = ("--start", "2026-01-05T00:00:00Z")
RANGE = ("--from", "2026-01-05T00:00:00Z", "--to", "2026-01-06T00:00:00Z")
NO_DATABASE = {"DATABASE_URL": "postgresql://u:p@127.0.0.1:1/none"}
NO_HOT_STORE = {"REDIS_URL": "redis://127.0.0.1:1/0"}

pytestmark = pytest.mark.usefixtures("stores")


def line(offset_ms: int) -> str:
    return f'{{"tenant": "t", "conversation_id": "c", "offset_ms": {offset_ms}, "agent_response": "yes"}}'


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return manage({**environment_of_tests(), **environment}, *arguments)


def complaint(*arguments: str, **environment: str) -> str:
    """The one line that a command says about what is wrong."""
    done = run(*arguments, **environment)
    assert done.returncode != 0, f"no error: {done.stdout}"
    said = done.stderr.splitlines()
    assert len(said) == 1, f"this is not one line:\n{done.stderr}"
    return said[0]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    file = tmp_path / "good.jsonl"
    file.write_text(line(1) + "\n")
    return file


def interactions(*arguments: str) -> int:
    """How many interactions a summary counts."""
    total: int = json.loads(run("summary", *arguments).stdout)["interactions"]["total"]
    return total


def test_broken_lines_are_named_and_the_others_count(tmp_path: Path) -> None:
    broken = {
        2: b"{",
        3: b"[]",
        5: b'{"offset_ms": 1}',
        6: b'{"tenant": "t"}',
        7: b'{"tenant": "t", "offset_ms": "soon"}',
        8: b'{"tenant": "t", "offset_ms": 1e999}',
        9: b'{"tenant": "t", "offset_ms": 1, "processing_time_ms": "long"}',
        10: b'{"tenant": "t", "offset_ms": 1, "errors": 3}',
        11: b'{"tenant": "\xff", "offset_ms": 1}',
        12: b"\x00",
    }
    file = tmp_path / "broken.jsonl"
    file.write_bytes(b"\n".join(broken.get(number, line(number).encode()) for number in range(1, 15)) + b"\n\n")
    done = run("replay", str(file), *START)
    assert done.returncode == 1
    assert [said.split(" is skipped: ")[0] for said in done.stderr.splitlines()] == [f"line {number}" for number in broken]
    assert interactions("--tenant", "t", *RANGE) == 4


def test_strange_values_in_a_line_do_not_cost_the_line(tmp_path: Path) -> None:
    file = tmp_path / "strange.jsonl"
    file.write_text(
        '{"tenant": "t", "offset_ms": 5, "agent_response": 7, "llm_calls": [3, null], "errors": [null, {}], "model": {"a": 1}, '
        '"knowledge_searches": ["?"], "estimated_cost_usd": "much", "conversation_id": null, "prompt_tokens": -1}\n'
    )
    done = run("replay", str(file), *START)
    assert (done.returncode, done.stderr) == (0, "")
    assert interactions("--tenant", "t", *RANGE) == 1


def test_a_line_without_a_conversation_is_in_none(tmp_path: Path) -> None:
    file = tmp_path / "lonely.jsonl"
    file.write_text('{"tenant": "t", "offset_ms": 5, "agent_response": "yes"}\n')
    run("replay", str(file), *START)
    found = json.loads(run("summary", *RANGE).stdout)
    assert (found["interactions"]["total"], found["token_usage"]["conversation_count"]) == (1, 0)


def test_of_a_recording_that_was_cut_off_the_lines_before_the_cut_count(tmp_path: Path) -> None:
    lines = [line(offset) for offset in random.Random(1).sample(range(100_000), 3_000)]
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(lines).encode())[:9_000])
    assert "cannot be read" in complaint("replay", str(file), *START)
    assert 1_000 < interactions("--tenant", "t", *RANGE) < 3_000


def test_of_a_recording_that_is_damaged_the_lines_before_the_damage_count(tmp_path: Path) -> None:
    lines = [line(offset) for offset in random.Random(1).sample(range(100_000), 3_000)]
    packing = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)  # as gzip does
    packed = packing.compress("\n".join(lines).encode()) + packing.flush(zlib.Z_FULL_FLUSH)
    file = tmp_path / "damaged.jsonl.gz"
    file.write_bytes(packed + b"\xff" * 100)  # a block of a type that there is not
    assert "cannot be read: Error -3" in complaint("replay", str(file), *START)
    assert 1_000 < interactions("--tenant", "t", *RANGE) <= 3_000


def test_a_recording_that_is_missing_or_no_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.jsonl", tmp_path):
        said = complaint("replay", str(path), *START)
        assert str(path) in said
        assert "cannot be read" in said


def test_an_unknown_tenant_is_named() -> None:
    assert "'nobody'" in complaint("summary", "--tenant", "nobody", *RANGE)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("yesterday", "ISO 8601"),
        ("", "ISO 8601"),
        ("2026-01-05T00:00:00", "time zone"),
        ("2999-01-01T00:00:00Z", "future"),
        ("1990-01-01T00:00:00Z", "years"),
    ],
)
def test_a_start_that_cannot_be_is_refused_with_the_reason(recording: Path, start: str, reason: str) -> None:
    said = complaint("replay", str(recording), "--start", start)
    assert "--start" in said
    assert reason in said


def test_a_line_of_an_impossible_time_is_named_and_not_counted_at_another(tmp_path: Path) -> None:
    file = tmp_path / "far.jsonl"
    file.write_text('{"tenant": "t", "offset_ms": 1e15}\n' + line(1) + '\n{"tenant": "t", "offset_ms": -1e300}\n')
    done = run("replay", str(file), *START)
    assert done.returncode == 1
    assert [said.split(" is skipped: ")[0] for said in done.stderr.splitlines()] == ["line 1", "line 3"]
    assert interactions("--window", "1h") == 0


def test_a_speed_that_is_none_is_refused(recording: Path) -> None:
    for speed in ("warp", "-1"):
        assert "--speed" in complaint("replay", str(recording), *START, f"--speed={speed}")


def test_a_database_that_cannot_be_reached_is_said_in_one_line(recording: Path) -> None:
    commands = (("replay", str(recording), *START), ("rollup",), ("evaluate",), ("summary",), ("setup_monitoring",))
    for command in commands:
        said = complaint(*command, **NO_DATABASE)
        assert "database" in said
        assert "DATABASE_URL" in said


def test_a_database_that_does_not_exist_is_said_in_one_line() -> None:
    url = environment_of_tests()["DATABASE_URL"].rpartition("/")[0]
    assert "does not exist" in complaint("rollup", DATABASE_URL=f"{url}/nowhere")


def test_a_hot_store_that_cannot_be_reached_is_said_in_one_line() -> None:
    for command in ("rollup", "summary"):
        assert "hot store" in complaint(command, **NO_HOT_STORE)


@pytest.mark.timeout(60)
def test_a_replay_without_a_hot_store_says_so_before_it_begins(recording: Path) -> None:
    with_limit = {**environment_of_tests(), **NO_HOT_STORE}
    done = manage(with_limit, "replay", str(recording), *START, seconds=15)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "REDIS_URL" in done.stderr


def test_the_status_tells_which_server_is_away() -> None:
    for away, name in ((NO_DATABASE, "database"), (NO_HOT_STORE, "hot store")):
        done = run("monitoring_status", **away)
        assert done.returncode == 1
        assert f"the {name} does not answer" in done.stdout
        assert done.stderr == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"SECRET_KEY": ""},
        {"DATABASE_URL": "nonsense"},
        {"REDIS_URL": "nonsense"},
        {"CELERY_BROKER_URL": "", "REDIS_URL": "redis+cluster://127.0.0.1:7000,127.0.0.1:7001"},
    ],
)
def test_a_setting_that_cannot_be_is_named_in_one_line(wrong: dict[str, str]) -> None:
    assert next(iter(wrong)) in complaint("rollup", **wrong)
