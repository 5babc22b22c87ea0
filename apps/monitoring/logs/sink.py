"""Where lines go: standard output, standard error, a file, a pipe. Whole lines, in order, each once."""

from __future__ import annotations

import os
import select
import stat
import sys
import time
from collections import deque
from contextlib import suppress
from typing import Final, TextIO

_AT_ONCE: Final = 262_144
"""Bytes of one write to a file. The kernel appends each write in one piece, so processes may share the file."""
_STANDARD: Final = ("-", "/dev/stdout", "/dev/stderr")
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
"""Not blocking: a named pipe without a reader is an error to be tried again, not a thread that hangs."""
_MODE: Final = 0o640


class Sink:
    """Opens, reopens when the file was moved away or deleted (log rotation), and writes.

    A pipe that processes share gets pieces of at most PIPE_BUF bytes, which do not mix; a single longer line may.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd: int | None = None
        self._identity: tuple[int, int] | None = None
        self._is_file = False
        self._at_once = _AT_ONCE
        self._torn = False
        self._at = 0
        """How far the first chunk is written."""
        self.lines = 0
        """Written."""

    def write(self, chunks: deque[bytes], deadline: float) -> None:
        """Write ``chunks`` (whole lines, each with its end) and take off what is written, until ``deadline`` (monotonic).

        Raises OSError: TimeoutError when nobody reads. Call it again with the same then: it goes on where it was; a line of
        which half is written is ended before, and written again in full.
        """
        fd = self._open()
        while chunks:
            self._put(fd, chunks[0], deadline)
            if self._at == len(chunks[0]):
                chunks.popleft()
                self._at = 0

    def give_up(self, chunks: deque[bytes]) -> int:
        """Forget chunks, the first of which may be written in part; returns how many lines were not written."""
        lines = sum(chunk.count(b"\n") for chunk in chunks)
        if chunks:
            lines -= chunks[0].count(b"\n", 0, self._at)
        chunks.clear()
        self._at = 0
        return lines

    def close(self) -> None:
        """Close the file; the next write opens it anew."""
        fd, self._fd = self._fd, None
        if fd is not None and self.path not in _STANDARD:
            with suppress(OSError):
                os.close(fd)

    def begin_anew(self) -> None:
        """In a forked child: what is written by half is the parent's to end."""
        self._torn = False
        self._at = self.lines = 0

    def _put(self, fd: int, chunk: bytes, deadline: float) -> None:
        start, end = self._at, self._end_of_piece(chunk)
        ending = b"\n" if self._torn else b""
        data = memoryview(ending + chunk[start:end] if ending or end - start < len(chunk) else chunk)
        done = 0
        try:
            while done < len(data):
                self._wait(fd, deadline)
                done += self._write(fd, data[done:])
        finally:
            if done:
                self._torn = data[done - 1] != ord("\n")
                self._at = chunk.rfind(b"\n", start, start + max(0, done - len(ending))) + 1 or start
                self.lines += chunk.count(b"\n", start, self._at)

    def _end_of_piece(self, chunk: bytes) -> int:
        if len(chunk) - self._at <= self._at_once:
            return len(chunk)
        return chunk.rfind(b"\n", self._at, self._at + self._at_once) + 1 or chunk.index(b"\n", self._at) + 1

    def _wait(self, fd: int, deadline: float) -> None:
        if self._is_file:
            return
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1_000):
            raise TimeoutError(f"nobody reads {self.path}")

    def _write(self, fd: int, data: memoryview) -> int:
        try:
            return os.write(fd, data)
        except BlockingIOError as error:  # others have filled the pipe since we asked
            raise TimeoutError(f"nobody reads {self.path}") from error

    def _open(self) -> int:
        if self._fd is not None and not self._was_moved():
            return self._fd
        self.close()
        if self.path in _STANDARD:
            self._fd = _standard(sys.__stderr__ if self.path == "/dev/stderr" else sys.__stdout__)
        else:
            self._fd = os.open(self.path, _FLAGS, _MODE)
        found = os.fstat(self._fd)
        identity = (found.st_dev, found.st_ino)
        self._torn = self._torn and identity == self._identity
        self._is_file = stat.S_ISREG(found.st_mode)
        shared = stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode)
        self._at_once = select.PIPE_BUF - 1 if shared else _AT_ONCE
        self._identity = identity
        return self._fd

    def _was_moved(self) -> bool:
        if not self._is_file or self.path in _STANDARD:
            return False
        try:
            found = os.stat(self.path)  # noqa: PTH116 - ten times a second, without an object
        except OSError:
            return True
        return (found.st_dev, found.st_ino) != self._identity


def _standard(stream: TextIO | None) -> int:
    """The stream's descriptor. Python has none when the process began with it closed: the number is then another file's."""
    if stream is None:
        raise OSError("the process has no such standard stream")
    return stream.fileno()
