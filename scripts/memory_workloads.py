"""Workloads of scripts/replay --suite that are no traces: what memory is used for when the keys in
it are of no use any more.

Each takes a server that was started afresh, and returns the part of its requests that were served,
from 0 to 1. Requests go in batches, one connection, and every reply is read.
"""

import itertools
import random
import socket
import threading
import time

import servers
from servers import BenchError, Server, say

REPLY_TIMEOUT_S = 60
BATCH = 50
IDLE_S = 15
MIB = 1 << 20
# Of an item, beside its value, in round numbers.
HEAD_BYTES = 70


class Client:
    """A connection that sets values of one length and counts hits."""

    def __init__(self, server, value_bytes):
        self._socket = socket.create_connection(("127.0.0.1", server.port), REPLY_TIMEOUT_S)
        self._replies = self._socket.makefile("rb")
        self._value = b"v" * value_bytes

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._replies.close()
        self._socket.close()

    def set(self, keys):
        """The number of keys that were stored."""
        stored = 0
        for batch in batches(keys):
            self._socket.sendall(b"".join(b"set %b 0 0 %d\r\n%b\r\n" % (key, len(self._value),
                                                                       self._value)
                                          for key in batch))
            stored += sum(self._line() == b"STORED\r\n" for _ in batch)
        return stored

    def get(self, keys):
        """Whether each key was there."""
        hits = []
        for batch in batches(keys):
            self._socket.sendall(b"".join(b"get %b\r\n" % key for key in batch))
            hits += [self._is_hit() for _ in batch]
        return hits

    def get_or_set(self, keys):
        """The number of hits; what was missed is set, batch by batch."""
        hits = 0
        for batch in batches(keys):
            found = self.get(batch)
            hits += sum(found)
            self.set([key for key, is_there in zip(batch, found) if not is_there])
        return hits

    def set_and_get(self, new, old):
        """The number of hits of the old keys, each of which is asked for when a new one was set.
        All requests are ready before the first is sent: as quickly as the server answers."""
        set_line = b" 0 0 %d noreply\r\n%b\r\n" % (len(self._value), self._value)
        requests = b"".join(b"set %b%bget %b\r\n" % (key, set_line, due)
                            for key, due in zip(new, old))
        sender = threading.Thread(target=self._socket.sendall, args=(requests,))
        sender.start()
        hits = sum(self._is_hit() for _ in old)
        sender.join()
        return hits

    def delete(self, keys):
        for batch in batches(keys):
            self._socket.sendall(b"".join(b"delete %b\r\n" % key for key in batch))
            for _ in batch:
                self._line()

    def _is_hit(self):
        line = self._line()
        if line == b"END\r\n":
            return False
        if self._replies.read(len(self._value) + 2) != self._value + b"\r\n":
            raise BenchError("WRONG VALUE")
        return self._line() == b"END\r\n"

    def _line(self):
        line = self._replies.readline()
        if not line:
            raise BenchError("the server closed the connection")
        return line


def batches(keys):
    keys = iter(keys)
    return iter(lambda: list(itertools.islice(keys, BATCH)), [])


def named(prefix, count, step=1):
    return [b"%b%d" % (prefix, number) for number in range(0, count, step)]


def sessions(server):
    """Two thirds of the memory have keys that were read three times and never again. From then on
    new keys are written and read once, half a memory of stores later: eight memories of stores, one
    in a second or more. Counted are the reads during the last one.
    """
    value_bytes = 400
    rounds = 8
    count = server.memory_mb * MIB // (value_bytes + HEAD_BYTES) // BATCH * BATCH
    with Client(server, value_bytes) as client:
        old = named(b"old", count * 2 // 3)
        client.set(old)
        for _ in range(3):
            client.get(old)
        hits = []
        begin = time.monotonic()
        for first in range(0, rounds * count, BATCH):
            client.set(b"s%d" % number for number in range(first, first + BATCH))
            due = first - count // 2
            if due >= 0:
                hits += client.get(b"s%d" % number for number in range(due, due + BATCH))
            time.sleep(max(0.0, begin + first / count - time.monotonic()))
    return sum(hits[-count:]) / count


def quick_sessions(server):
    """The same as quickly as the server answers."""
    value_bytes = 400
    count = server.memory_mb * MIB // (value_bytes + HEAD_BYTES)
    half = count // 2
    with Client(server, value_bytes) as client:
        old = named(b"old", count * 2 // 3)
        client.set(old)
        for _ in range(3):
            client.get(old)
        keys = named(b"s", 17 * half)
        client.set(keys[:half])
        hits = [client.set_and_get(keys[at + half:at + 2 * half], keys[at:at + half])
                for at in range(0, 16 * half, half)]
    return sum(hits[-2:]) / (2 * half)


def scan(server):
    """Zipf requests for a working set of nine tenths of the memory. Counted are its hits after a
    scan of twice the memory."""
    value_bytes = 800
    requests = 50_000
    count = int(0.9 * server.memory_mb * MIB / (value_bytes + HEAD_BYTES))
    draw = random.Random(1)
    weights = list(itertools.accumulate((rank + 1) ** -0.9 for rank in range(count)))
    keys = named(b"set", count)
    with Client(server, value_bytes) as client:
        client.get_or_set(draw.choices(keys, cum_weights=weights, k=8 * count))
        client.set(named(b"scan", int(2 * count / 0.9)))
        return client.get_or_set(draw.choices(keys, cum_weights=weights, k=requests)) / requests


def even_scan(server):
    """Requests for a working set of nine tenths of the memory, eight for each key on the average and
    all keys as likely. Counted are its hits after a scan of twice the memory."""
    value_bytes = 800
    requests = 10_000
    count = int(0.9 * server.memory_mb * MIB / (value_bytes + HEAD_BYTES))
    draw = random.Random(1)
    keys = named(b"set", count)
    with Client(server, value_bytes) as client:
        client.get_or_set(draw.choices(keys, k=8 * count))
        client.set(named(b"scan", int(2 * count / 0.9)))
        return client.get_or_set(draw.choices(keys, k=requests)) / requests


def deleted(server):
    """The memory is filled with values of 11,000 bytes, every second one is deleted, and 15 seconds
    pass. Counted are the values of 6,000 bytes that are there after as many were set as would fit
    into nine tenths of what was deleted."""
    with Client(server, 11_000) as client:
        count = server.memory_mb * MIB // 11_000 - 60
        client.set(named(b"old", count))
        client.delete(named(b"old", count, 2))
    time.sleep(IDLE_S)
    with Client(server, 6_000) as client:
        keys = named(b"new", int(0.9 * count / 2 * 11_000 / 6_000))
        client.set(keys)
        return sum(client.get(keys)) / len(keys)


# Name, function, -m, further options, what is counted.
WORKLOADS = (
    ("sessions", sessions, 16, [], "reads of new keys that hit"),
    ("sessions, quick", quick_sessions, 16, [], "reads of new keys that hit"),
    ("scan", scan, 32, [], "hits of the working set after the scan"),
    ("even scan", even_scan, 32, [], "hits of the working set after the scan"),
    ("deleted", deleted, 60, [], "new values that are there"),
    ("deleted, -M", deleted, 60, ["-M"], "new values that are there"),
)


def run(commands, cores):
    """A line for each workload; returns the figures: {workload: {name: part}}."""
    results = {}
    lines = [("workload", "-m", *commands, "what is counted")]
    for title, workload, memory_mb, options, counted in WORKLOADS:
        say(f"{title}, -m {memory_mb}")
        results[title] = {}
        for name, command in commands.items():
            with Server(name, command + options, cores, memory_mb=memory_mb) as server:
                results[title][name] = workload(server)
                server.check_alive()
        lines.append((title, str(memory_mb),
                      *(f"{results[title][name]:.3f}" for name in commands), counted))
    servers.print_columns(lines)
    return results
