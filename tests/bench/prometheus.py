"""A Prometheus for benchmarks and tests: Debian's package, unpacked into `.local` and installed nowhere, so nobody has to be root.

`python -m tests.bench.prometheus` fetches it, where there is one to be had.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

LOCAL: Final = Path(__file__).resolve().parents[2] / ".local" / "prometheus"
PACKAGE: Final = "prometheus"
_SNAPPY_LITERAL: Final = 63 << 2
"""Tag of a literal whose length follows in four bytes."""
_SERIES_A_REQUEST: Final = 10_000

_ENDED: Final = "prometheus_rule_group_last_evaluation_timestamp_seconds"
"""Of the evaluation that ended last; it is set after its duration."""

Labels = Mapping[str, str]
Samples = Sequence[tuple[int, float]]
"""Milliseconds since the epoch, and the value."""


def provide() -> str | None:
    """The program: the one that is there, or one from Debian; None, with the reason on stderr, when there is none to be had."""
    return find() or (find() if _from_debian() else None)


def find(program: str = PACKAGE) -> str | None:
    """A program of the package, if it is there."""
    unpacked = LOCAL / "usr" / "bin" / program
    return shutil.which(program) or (str(unpacked) if unpacked.exists() else None)


def _from_debian() -> bool:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        print("Prometheus is left out: the package prometheus is not installed, and there is no apt-get", file=sys.stderr)
        return False
    print("fetching Prometheus with apt-get …", file=sys.stderr)
    lists = LOCAL / "apt"
    (lists / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    # The lists of the system may be missing, and are not everybody's to update.
    own = ["-o", f"Dir::State::Lists={lists / 'lists'}", "-o", f"Dir::Cache={lists}"]
    for options in ([], own):
        # As who runs it: the user of its own that root's apt-get takes may not write here.
        command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", *options]
        if options:
            subprocess.run([*command, "update"], check=False)
        fetched = subprocess.run([*command, "download", PACKAGE], cwd=LOCAL, check=False)
        if fetched.returncode == 0:
            break
    packages = sorted(LOCAL.glob(f"{PACKAGE}_*.deb"))
    if not packages or subprocess.run(["dpkg-deb", "-x", packages[-1], LOCAL], check=False).returncode:
        print("Prometheus is left out: apt-get has no package prometheus", file=sys.stderr)
        return False
    return True


class Prometheus:
    """A running server that takes samples, scrapes what it is told to, and evaluates one group of rules."""

    def __init__(self, program: str, state: Path, seconds: int, scraped: Sequence[Mapping[str, Any]] = ()) -> None:
        self._state, self._url = state, f"http://127.0.0.1:{_free_port()}"
        self._rules = state / "rules.json"  # JSON is YAML
        self._rules.write_text("{}")
        config = {"global": {"evaluation_interval": f"{seconds}s"}, "rule_files": [str(self._rules)], "scrape_configs": scraped}
        (state / "prometheus.json").write_text(json.dumps(config))
        with (state / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program, f"--config.file={state / 'prometheus.json'}", f"--storage.tsdb.path={state / 'data'}",
                    f"--web.listen-address={self._url.removeprefix('http://')}", "--web.enable-remote-write-receiver",
                    "--web.enable-lifecycle",
                ],
                stdout=log, stderr=log, cwd=state,
            )  # fmt: skip
        self._until_ready()

    def stop(self) -> None:
        """End it."""
        self.go_on()
        self._process.terminate()
        self._process.wait()

    def judge_by(self, rules: Mapping[str, str]) -> None:
        """Evaluate these conditions from now on, by name, one after the other as every group is."""
        group = {"name": "bench", "rules": [{"alert": name, "expr": expression} for name, expression in rules.items()]}
        self._rules.write_text(json.dumps({"groups": [group]}))
        self._post("/-/reload", b"", {})

    def write(self, series: Iterator[tuple[Labels, Samples]]) -> None:
        """Take in samples as another Prometheus would send them (remote write 1.0); they stay in memory, as fresh ones do."""
        batch: list[bytes] = []
        for labels, samples in series:
            batch.append(_field(1, _series(labels, samples)))
            if len(batch) == _SERIES_A_REQUEST:
                self._write(b"".join(batch))
                batch = []
        self._write(b"".join(batch))

    def next_evaluation(self) -> float:
        """Wait for the next evaluation of the group to end; its seconds, as Prometheus itself says them."""
        before = self._own(_ENDED)
        while self._own(_ENDED) == before:
            time.sleep(0.1)
        if self._own("prometheus_rule_evaluation_failures_total"):
            raise SystemExit("Prometheus could not evaluate a rule of the benchmark")
        return self._own("prometheus_rule_group_last_duration_seconds")

    def pause(self) -> None:
        """Let it do nothing at all."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """After a pause."""
        self._process.send_signal(signal.SIGCONT)

    def firing(self) -> int:
        """How many alerts fire."""
        return len(httpx.get(f"{self._url}/api/v1/alerts", timeout=60).json()["data"]["alerts"])

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The answer to an expression of PromQL: series with their labels and value, or values."""
        answer = httpx.get(f"{self._url}/api/v1/query", params={"query": expression}, timeout=60).json()
        if answer["status"] != "success":
            raise SystemExit(f"Prometheus refused {expression}: {answer}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def _own(self, name: str) -> float:
        said = httpx.get(f"{self._url}/metrics", timeout=60).text
        found = re.search(rf"^{name}{{[^}}]*}} (\S+)$", said, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def _write(self, request: bytes) -> None:
        if request:
            kind = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
            self._post("/api/v1/write", _snappy(request), {**kind, "X-Prometheus-Remote-Write-Version": "0.1.0"})

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        answer = httpx.post(self._url + path, content=body, headers=dict(headers), timeout=60)
        if answer.is_error:
            raise SystemExit(f"Prometheus refused {path}: {answer.text}")

    def _until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if httpx.get(f"{self._url}/-/ready").is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        self.stop()
        raise SystemExit(f"Prometheus does not start:\n{(self._state / 'prometheus.log').read_text()[-2_000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _series(labels: Labels, samples: Samples) -> bytes:
    named = sorted(labels.items())
    pairs = b"".join(_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in named)
    return pairs + b"".join(_field(2, struct.pack("<Bd", 9, value) + b"\x10" + _varint(at)) for at, value in samples)


def _field(number: int, content: bytes) -> bytes:
    """A field of Protocol Buffers that holds bytes."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    spelled = bytearray()
    while number > 0x7F:
        spelled.append(number & 0x7F | 0x80)
        number >>= 7
    spelled.append(number)
    return bytes(spelled)


def _snappy(content: bytes) -> bytes:
    """The block format of Snappy, not compressed: one literal."""
    return _varint(len(content)) + struct.pack("<BI", _SNAPPY_LITERAL, len(content) - 1) + content


if __name__ == "__main__":
    provide()
