"""What holds several processes together: the small values that they tell each other, and word of who is gone.

Process 0 listens, and every other keeps a connection with it for as long as they train. When a process dies, however
busy it was, its system ends the connection at once; of a machine that falls silent the systems of the others find out
within half a minute, as they ask it from time to time (keep-alive probes). So all hear of a death whatever they are
doing, and nobody needs a limit of time for what one of them does alone, be it for an hour.

Lines of JSON go along it. torch's own ways of passing values pickle them, or wait for them with a limit of time.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from torch.distributed.distributed_c10d import Store

from ojak.errors import OjakError

FIRST_WORDS = 300.0
"""seconds in which all must have come"""
LAST_WORDS = 5.0
"""seconds in which the others may say that they miss someone too, before one that is silent is named; and in which one
that is busy may come to wait for who is gone, before it is stopped"""
PROBES = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30_000}
"""a connection along which nothing came for 10 s is asked every 5 s, 4 times; what is sent must arrive within 30 s"""
HEARD = b"."
MISSED = "it missed others"
"""why a process is gone that is not the first to be"""


class Lost(OjakError):
    """Another process has ended, so this one cannot go on."""


class Lifeline:
    """The connections of one process. Whoever waits along them while someone is gone gets Lost, which names them."""

    def __init__(self, rank: int, size: int, store: Store) -> None:
        self.rank, self.size = rank, size
        # The word is theirs alone: others, which were started before them, may have used the same store.
        self.word, self._peers = _listen(size, store) if rank == 0 else _call(rank, store)
        self._values: dict[int, deque[Any]] = {peer: deque() for peer in self._peers}
        self._gone: dict[int, str] = {}
        """who is gone, and why where that was told"""
        self._missing: set[int] = set()
        """who has said that some do not answer"""
        self._left: set[int] = set()
        """who has said that all is done"""
        self._settled = self._over = self._heard = False
        self._changed = threading.Condition()
        self._sending, self._ringing = threading.Lock(), threading.Lock()
        self._names = ["unknown"] * size
        self._reader = threading.Thread(target=self._read, name="lifeline", daemon=True)
        self._reader.start()
        self._names = self.gathered(f"pid {os.getpid()} on {platform.node()}")

    def gathered(self, value: Any) -> list[Any]:
        """The values of all processes, which JSON must be able to hold, in every process."""
        found: list[Any]
        if self.rank:
            self._send([0], {"value": value})
            found = self._come(0)
            return found
        said = {"value": [value, *(self._come(peer) for peer in sorted(self._peers))]}
        self._send(self._peers, said)
        found = json.loads(json.dumps(said))["value"]  # the same as for the others: a tuple is a list
        return found

    def lost(self, error: str) -> Lost:
        """What to raise after an `error` of what all do together: finds out with the others who is missing."""
        self._send(self._peers, {"missing": True})
        until = time.monotonic() + LAST_WORDS * (2 if self.rank else 1)
        with self._changed:
            while not (self._gone or self._settled or self._all_miss()) and time.monotonic() < until:
                self._changed.wait(0.1)
            if not (self._gone or self._settled):
                silent = {0} if self.rank else self._peers.keys() - self._missing
                self._gone |= dict.fromkeys(silent, "")
        self._tell_others()
        return self._lost(error)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Within the block word of a death stops this process even in the middle of work of its own: it raises Lost.
        Not outside the main thread, where signals do not come."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def hear(*_: object) -> None:
            if self._gone and not self._over:
                raise self._lost("the connection has ended")

        before, self._heard = signal.signal(signal.SIGUSR1, hear), True
        try:
            yield
        finally:
            with self._ringing:
                self._heard = False
            signal.signal(signal.SIGUSR1, before)

    def leave(self) -> None:
        """Ends the connections when all have come here."""
        self.gathered(None)
        self._end({"left": True})
        self._reader.join(LAST_WORDS)

    def last_words(self, error: BaseException) -> None:
        """Ends the connections before the others do, and leaves word why."""
        if isinstance(error, Lost):
            self._tell_others()  # who was the first to go, before they hear that this one goes too
        self._end({"ended": MISSED if isinstance(error, Lost) else str(error) or type(error).__name__})

    def _end(self, said: dict[str, Any]) -> None:
        self._over = True
        self._send(self._peers, said)
        for connection in self._peers.values():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)  # what was sent still arrives

    def _send(self, peers: Iterable[int], said: dict[str, Any]) -> None:
        line = json.dumps(said).encode() + b"\n"
        for peer in peers:
            with suppress(OSError), self._sending:  # who is gone is noticed where it is read
                self._peers[peer].sendall(line)

    def _come(self, peer: int) -> Any:
        """The next value of a peer."""
        with self._changed:
            while not self._values[peer]:
                if self._gone:
                    raise self._lost("the connection has ended")
                self._changed.wait()
            return self._values[peer].popleft()

    def _read(self) -> None:
        """What a thread does: reads what the peers say until they end."""
        begun = dict.fromkeys(self._peers, b"")
        with selectors.DefaultSelector() as ready:
            for peer, connection in self._peers.items():
                ready.register(connection, selectors.EVENT_READ, peer)
            while ready.get_map():
                for key, _ in ready.select():
                    peer = key.data
                    try:
                        come = self._peers[peer].recv(2**16)
                    except OSError:
                        come = b""
                    *lines, begun[peer] = (begun[peer] + come).split(b"\n")
                    with self._changed:
                        known = len(self._gone)
                        for line in lines:
                            self._hear(peer, json.loads(line))
                        if not come:
                            ready.unregister(key.fileobj)
                            self._peers[peer].close()
                            if peer not in self._left:
                                self._gone.setdefault(peer, "")
                        self._changed.notify_all()
                    if len(self._gone) > known and not self._over:
                        self._tell_others()
                        alarm = threading.Timer(LAST_WORDS, self._ring)
                        alarm.daemon = True
                        alarm.start()

    def _hear(self, peer: int, said: dict[str, Any]) -> None:
        match said:
            case {"value": value}:
                self._values[peer].append(value)
            case {"missing": _}:
                self._missing.add(peer)
            case {"left": _}:
                self._left.add(peer)
            case {"ended": why}:
                self._gone[peer] = why
            case {"gone": gone}:
                self._gone |= {int(one): why for one, why in gone.items()}
                self._settled = True

    def _ring(self) -> None:
        with self._ringing:
            if self._heard and not self._over:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _all_miss(self) -> bool:
        return self.rank == 0 and len(self._missing) == len(self._peers)

    def _tell_others(self) -> None:
        if self.rank == 0:
            self._send(self._peers, {"gone": self._gone})

    def _lost(self, error: str) -> Lost:
        self._over = True
        first = {one: why for one, why in self._gone.items() if why != MISSED} or self._gone
        said = [
            f"process {one} ({self._names[one]}) of {self.size} {f'ended: {why}' if why else 'is gone or silent'}"
            for one, why in sorted(first.items())
        ]
        return Lost(
            f"Process {self.rank} cannot go on, because "
            f"{'; and '.join(said) or f'the connection of the {self.size} processes broke'} ({error}). What was saved "
            "is whole: start the same command again with --resume."
        )


def _listen(size: int, store: Store) -> tuple[str, dict[int, socket.socket]]:
    """A new word, and the connections with all others, who learn it from the store, and where to call."""
    word, until = secrets.token_hex(8), time.monotonic() + FIRST_WORDS
    peers: dict[int, socket.socket] = {}
    with _server() as server:
        store.set("lifeline", json.dumps([server.getsockname()[1], word]))
        while len(peers) < size - 1:
            server.settimeout(max(0.1, until - time.monotonic()))
            connection = server.accept()[0]
            connection.settimeout(LAST_WORDS)
            try:
                said = connection.recv(24, socket.MSG_WAITALL)
                if said[:16] != word.encode():  # a stranger who tries all doors
                    raise OSError
                connection.sendall(HEARD)
            except OSError:
                connection.close()
                continue
            peers[int(said[16:])] = _kept(connection)
    return word, peers


def _server() -> socket.socket:
    """A place to be called at: on this machine alone the address that all know, else all that it has, as by its own
    name a machine often knows itself as a loopback, which others cannot call."""
    if os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE"):
        address = os.environ.get("MASTER_ADDR", "")
        with suppress(OSError):
            return socket.create_server((address, 0), family=socket.getaddrinfo(address, None)[0][0])
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", 0))


def _call(rank: int, store: Store) -> tuple[str, dict[int, socket.socket]]:
    """The word of process 0, and the connection with it. Where torchrun has started all again the store may tell of one
    that is gone, until the new one has written over it."""
    until = time.monotonic() + FIRST_WORDS
    while True:
        port, word = json.loads(store.get("lifeline"))
        try:
            connection = socket.create_connection((os.environ["MASTER_ADDR"], port), timeout=LAST_WORDS)
            connection.sendall(f"{word}{rank:08d}".encode())
            if connection.recv(1) == HEARD:
                return word, {0: _kept(connection)}
            connection.close()
            if time.monotonic() > until:
                raise OSError(f"what listens at port {port} is not process 0")
        except OSError:
            if time.monotonic() > until:
                raise
        time.sleep(0.2)


def _kept(connection: socket.socket) -> socket.socket:
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in PROBES.items():
        if hasattr(socket, name):  # not every system has all of them
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection
