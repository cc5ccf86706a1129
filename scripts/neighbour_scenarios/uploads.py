"""What stores of large values that stall after their first bytes take from a full cache."""

import contextlib
import select
import struct
import time

from neighbour_scenarios import Measured
from neighbour_scenarios import clients

FILL_VALUE_BYTES = 1000
FILL_BATCH = 2000
SEND_S_MAX = 8
SMALL_STORES = 50
LARGE_STORES = 5
LARGE_BYTES = 1_000_000
MB = 1e6
# Rows of `stats memory` that tell little: a change of less, in bytes.
MEMORY_ROW_BYTES_MIN = 1_000_000


def text_head(number, value_bytes):
    return b"set upload%d 0 0 %d\r\n" % (number, value_bytes)


def meta_head(number, value_bytes):
    return b"ms upload%d %d\r\n" % (number, value_bytes)


def binary_head(number, value_bytes):
    key = b"upload%d" % number
    return struct.pack(">BBHBBHIIQ", 0x80, 1, len(key), 8, 0, 0, 8 + len(key) + value_bytes, 0,
                       0) + bytes(8) + key


HEADS = {"text": text_head, "meta": meta_head, "binary": binary_head}


class UploadScenario:
    larder_only = False

    def __init__(self, connections, memory_mb, sent_bytes, *, value_bytes=LARGE_BYTES, wire="text"):
        value = "1mb" if value_bytes == LARGE_BYTES else f"{value_bytes // 1000}kb"
        self.name = f"uploads/{connections}-m{memory_mb}-{value}-{wire}-{sent_bytes}"
        self.title = (f"{connections} {wire} uploads of {value_bytes:,} B stalled after "
                      f"{sent_bytes:,}, -m {memory_mb}")
        self._connections = connections
        self._memory_mb = memory_mb
        self._sent_bytes = sent_bytes
        self._value_bytes = value_bytes
        self._head = HEADS[wire]

    def measure(self, start):
        with start(memory_mb=self._memory_mb, connections=self._connections + 100) as server:
            count = fill(server, self._memory_mb)
            rss, memory = server.rss_now_bytes(), server.stats("memory")
            readable = readable_items(server, count)
            with self._stalled(server) as uploads:
                ended = sum(1 for _ in ready_to_read(uploads))
                left = readable_items(server, count)
                figures = {"items before": readable, "items left, %": 100 * left / readable,
                           "uploads answered or closed": ended}
                figures |= store_figures(server)
                figures["RSS MB, full"] = rss / MB
                figures["RSS MB, with the uploads"] = server.rss_now_bytes() / MB
                notes = memory_notes(self.title, server, memory)
            server.check_alive()
            return Measured(figures, notes)

    @contextlib.contextmanager
    def _stalled(self, server):
        with contextlib.ExitStack() as stack:
            uploads = {}  # What is left to send, by connection.
            for number in range(self._connections):
                connection = stack.enter_context(clients.connect(server))
                connection.setblocking(False)
                uploads[connection] = memoryview(self._head(number, self._value_bytes) +
                                                 b"u" * self._sent_bytes)
            send_all(uploads)
            clients.wait_until_steady(server, "bytes_read")
            yield list(uploads)


def send_all(uploads):
    """Sends what the server takes, for some seconds at most: it may stop reading, or close."""
    poller = select.poll()
    by_number = {connection.fileno(): connection for connection in uploads}
    for number in by_number:
        poller.register(number, select.POLLOUT)
    end = time.monotonic() + SEND_S_MAX
    while by_number and time.monotonic() < end:
        for number, _ in poller.poll(100):
            connection = by_number[number]
            try:
                uploads[connection] = uploads[connection][connection.send(uploads[connection]):]
                is_over = len(uploads[connection]) == 0
            except BlockingIOError:
                is_over = False
            except OSError:
                is_over = True
            if is_over:
                poller.unregister(number)
                del by_number[number]


def ready_to_read(connections):
    poller = select.poll()
    for connection in connections:
        poller.register(connection, select.POLLIN)
    return poller.poll(0)


def fill(server, memory_mb):
    """Stores values of 1 kB until some of them are evicted; returns how many."""
    value = b"f" * FILL_VALUE_BYTES
    count_max = memory_mb * 2**20 // FILL_VALUE_BYTES
    for begin in range(0, count_max, FILL_BATCH):
        server.send_quietly(b"".join(b"set fill%d 0 0 %d noreply\r\n%s\r\n" % (
            i, FILL_VALUE_BYTES, value) for i in range(begin, begin + FILL_BATCH)))
        if int(server.stats()["evictions"]) > 0:
            return begin + FILL_BATCH
    return count_max


def readable_items(server, count):
    readable = 0
    asked, end = clients.SENTINEL
    with clients.connect(server) as connection:
        for begin in range(0, count, FILL_BATCH):
            connection.sendall(b"".join(b"mg fill%d\r\n" % i
                                        for i in range(begin, begin + FILL_BATCH)) + asked)
            readable += clients.receive_until(connection, end).count(b"HD\r\n")
    return readable


def store_figures(server):
    """Whether others can store meanwhile, and how long they wait."""
    figures = {}
    for what, keys, value_bytes in (
            ("small stores", [b"small%d" % i for i in range(SMALL_STORES)], 100),
            ("overwrites", [b"fill%d" % i for i in range(SMALL_STORES)], FILL_VALUE_BYTES),
            ("1 MB stores", [b"large%d" % i for i in range(LARGE_STORES)], LARGE_BYTES)):
        taken, longest_s = 0, 0.0
        value = b"s" * value_bytes
        with clients.connect(server) as connection:
            for key in keys:
                request = b"set %s 0 0 %d\r\n%s\r\n" % (key, value_bytes, value)
                begin = time.perf_counter()
                with contextlib.suppress(OSError):
                    connection.sendall(request)
                    taken += clients.receive_until(connection, b"\r\n") == b"STORED\r\n"
                longest_s = max(longest_s, time.perf_counter() - begin)
        figures[f"{what} taken, %"] = 100 * taken / len(keys)
        figures[f"{what}, longest wait ms"] = 1000 * longest_s
    return figures


def memory_notes(title, server, before):
    """What `stats memory` shows of it."""
    after = server.stats("memory")
    changes = [f"{name} {int(before.get(name, 0)) / MB:.1f} -> {int(text) / MB:.1f}"
               for name, text in after.items()
               if abs(int(text) - int(before.get(name, 0))) >= MEMORY_ROW_BYTES_MIN]
    return {f"stats memory, MB, {title}": ", ".join(changes)} if changes else {}


SCENARIOS = [
    UploadScenario(402, 256, 1),
    UploadScenario(402, 256, 40_000),
    UploadScenario(53, 64, 1),
    UploadScenario(70, 64, 1),
    UploadScenario(70, 64, 40_000),
    UploadScenario(70, 64, 900_000),
    UploadScenario(70, 64, 1, wire="meta"),
    UploadScenario(70, 64, 1, wire="binary"),
    UploadScenario(700, 64, 1, value_bytes=100_000),
    UploadScenario(700, 64, 40_000, value_bytes=100_000),
]
