"""A TCP proxy that does to connections what networks do: cuts them, delays them, closes one side."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from types import TracebackType
from typing import Final, Self

_CHUNK: Final = 65_536


class Proxy:
    """Forwards a free port of the loopback interface to ``target``.

    ``cut_request``, ``cut_answer``, ``half_close`` and ``delay`` are probabilities for each piece that passes: the
    connection is cut before the piece goes to the server, before it goes back to the client (so the server has done its
    work and the client never knows), the client's sending side is closed, or the piece waits up to ``longest_delay``
    seconds. ``down`` refuses every connection.
    """

    def __init__(self, target: int, seed: int = 0) -> None:
        self.target = target
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.cut_request = self.cut_answer = self.half_close = self.delay = 0.0
        self.longest_delay = 0.05
        self.down = False
        self.faults = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.close()
        self.cut()

    def calm(self) -> None:
        """No more faults."""
        self.cut_request = self.cut_answer = self.half_close = self.delay = 0.0

    def cut(self) -> None:
        """Cut every connection now."""
        with self._lock:
            connections, self._open = list(self._open), set()
        for connection in connections:
            _close(connection)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.down:
                _close(client)
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                _close(client)
                continue
            with self._lock:
                self._open |= {client, server}
            for source, sink, cut in ((client, server, "cut_request"), (server, client, "cut_answer")):
                threading.Thread(target=self._pump, args=(source, sink, cut), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, cut: str) -> None:
        try:
            while piece := source.recv(_CHUNK):
                if self._happens(self.delay):
                    time.sleep(self._random.uniform(0, self.longest_delay))
                if self._happens(getattr(self, cut)):
                    break
                sink.sendall(piece)
                if cut == "cut_request" and self._happens(self.half_close):
                    sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        _close(source)
        _close(sink)

    def _happens(self, probability: float) -> bool:
        with self._lock:
            happens = self._random.random() < probability
            self.faults += happens
        return happens


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
