"""What clients that ask for a small value wait while another one pipelines without end."""

import struct
import time

from neighbour_scenarios import Measured
from neighbour_scenarios import clients
from servers import BenchError

PROBERS = 2
SECONDS = 1.0
MEMORY_MB = 1024
IDLE_CONNECTIONS = 500
PREFIXES = 10_000
LISTED_KEYS = 50_000
BURST = 900
APPENDS = 4000  # As many as fit behind a value of 900 kB.
WAIT_MEDIAN = "wait p50 us"
ARRIVAL_MEDIAN = "until the kernel had the answer, p50 us"
BEHIND_MEDIAN = "MB of its replies in a wait, p50"
BEHIND_MAX = "MB of its replies in a wait, max"
BEHIND_REPLY_BYTES_MIN = 10_000  # Where replies are shorter, their bytes say little.
SMALL, MIDDLE, LARGE, NEARLY_LARGE = 100, 100_000, 1_000_000, 900_000


def store(key, value_bytes, noreply=False):
    return b"set %s 0 0 %d%s\r\n%s\r\n" % (key, value_bytes, b" noreply" * noreply,
                                          b"v" * value_bytes)


def binary_get(key):
    return struct.pack(">BBHBBHIIQ", 0x80, 0, len(key), 0, 0, 0, len(key), 0, 0) + key


# Each of these makes a server ready, and returns the request that is repeated.

def text(request):
    """For a request that needs no more than values of all sizes."""
    return lambda server: request


def multiget(server):
    keys = [b"many%02d" % i for i in range(100)]
    server.send_quietly(b"".join(store(key, SMALL, noreply=True) for key in keys))
    return b"get " + b" ".join(keys) + b"\r\n"


def detail_dump(server):
    server.send_quietly(b"stats detail on\r\n")
    server.send_quietly(b"".join(store(b"prefix%d:k" % i, 1, noreply=True)
                                 for i in range(PREFIXES)))
    return b"stats detail dump\r\n"


def list_many(server):
    server.send_quietly(b"".join(store(b"listed%05d" % i, 1, noreply=True)
                                 for i in range(LISTED_KEYS)))


def cachedump(server):
    list_many(server)
    numbers = {int(count): name.split(":")[1] for name, count in server.stats("items").items()
               if name.endswith(":number")}
    return b"stats cachedump %s 0\r\n" % numbers[max(numbers)].encode()


def metadump(server):
    list_many(server)
    return b"lru_crawler metadump all\r\n"


class PipelineScenario:
    def __init__(self, name, what, make_request, *, idle=0, burst=None, is_binary=False,
                 is_dump=False, operations=1, larder_only=False):
        self.name = f"pipelines/{name}"
        self.title = f"get beside {what}"
        self.larder_only = larder_only
        self._make_request = make_request
        self._idle = idle  # Connections that only stay.
        self._burst = burst
        self._sentinel = clients.BINARY_SENTINEL if is_binary else clients.SENTINEL
        if is_dump:
            self._sentinel = (b"", b"END\r\n")
        self._operations = operations  # In what is repeated.

    def measure(self, start):
        with start(memory_mb=MEMORY_MB) as server:
            make_ready(server)
            request = self._make_request(server)
            with clients.idle_connections(server, self._idle):
                reply_bytes = clients.reply_bytes(server, request, self._sentinel)
                burst_bytes = reply_bytes * self._burst if self._burst and self._burst > 1 else 0
                with clients.Pipeline(server, request, burst=self._burst,
                                      burst_reply_bytes=burst_bytes) as pipeline:
                    return self._measure_beside(pipeline, server, reply_bytes)

    def _measure_beside(self, pipeline, server, reply_bytes):
        received, begin = clients.received_bytes(pipeline.connection), time.monotonic()
        waits = clients.probe(server, PROBERS, SECONDS, pipeline)
        received = clients.received_bytes(pipeline.connection) - received
        passed_s = time.monotonic() - begin
        server.check_alive()
        notes = {}
        if pipeline.has_ended():
            notes[f"{server.name}, {self.title}"] = "the pipeline was closed"
        figures = wait_figures(waits)
        if reply_bytes / self._operations >= BEHIND_REPLY_BYTES_MIN:
            for metric, share in ((BEHIND_MEDIAN, 0.5), (BEHIND_MAX, 1.0)):
                figures[metric] = waits.percentile_behind_bytes(share) / 1e6
        figures["its requests/s"] = received / reply_bytes * self._operations / passed_s
        return Measured(figures, notes)


class Calibration:
    """The same clients beside nobody: what they, the kernel and an idle server take."""

    name = "pipelines/nothing"
    title = "get beside nothing"
    larder_only = False

    def measure(self, start):
        with start(memory_mb=MEMORY_MB) as server:
            make_ready(server)
            return Measured(wait_figures(clients.probe(server, PROBERS, SECONDS)))


def make_ready(server):
    """Values of many sizes, so that most classes have items, and those that are asked for."""
    size, stores = 10, [store(b"probe", 10), store(b"v100", SMALL), store(b"v100k", MIDDLE),
                        store(b"v1m", LARGE), store(b"v900k", NEARLY_LARGE),
                        b"set number 0 0 10\r\n1000000000\r\n"]
    while size < NEARLY_LARGE:
        stores.append(store(b"size%d" % size, size))
        size = size * 5 // 4 + 1
    with clients.connect(server) as connection:
        for request in stores:
            connection.sendall(request)
            if clients.receive_until(connection, b"\r\n") != b"STORED\r\n":
                raise BenchError(f"{server.name} refuses a store")


def wait_figures(waits):
    return {WAIT_MEDIAN: waits.percentile_us(0.5),
            ARRIVAL_MEDIAN: waits.percentile_arrival_us(0.5),
            "wait p99 us": waits.percentile_us(0.99), "wait max us": waits.percentile_us(1.0)}


SCENARIOS = [
    Calibration(),
    PipelineScenario("get", "get of 100 B", text(b"get v100\r\n")),
    PipelineScenario("set", "set of 100 B", text(store(b"v100", SMALL))),
    PipelineScenario("multiget", "get of 100 keys", multiget, operations=100),
    PipelineScenario("mg", "mg of 100 B", text(b"mg v100 v\r\n")),
    PipelineScenario("binary-get", "binary get of 100 B", text(binary_get(b"v100")),
                     is_binary=True),
    PipelineScenario("delete", "set and delete", text(store(b"gone", SMALL) + b"delete gone\r\n"),
                     operations=2),
    PipelineScenario("touch", "touch", text(b"touch v100 0\r\n")),
    PipelineScenario("gat", "gat of 100 B", text(b"gat 0 v100\r\n")),
    PipelineScenario("incr", "incr", text(b"incr number 1\r\n")),
    PipelineScenario("ma", "ma", text(b"ma number\r\n")),
    PipelineScenario("flush-all", "flush_all", text(b"flush_all\r\n")),
    PipelineScenario("append", "append of 10 B to 900 kB",
                     text(store(b"v900k", NEARLY_LARGE) +
                          b"append v900k 0 0 10\r\n0123456789\r\n" * APPENDS),
                     operations=APPENDS + 1),
    PipelineScenario("get-100k", "get of 100 kB, 900 at once", text(b"get v100k\r\n"),
                     burst=BURST),
    PipelineScenario("get-1m", "get of 1 MB", text(b"get v1m\r\n")),
    PipelineScenario("set-100k", "set of 100 kB", text(store(b"v100k", MIDDLE))),
    PipelineScenario("set-1m", "set of 1 MB", text(store(b"v1m", LARGE))),
    PipelineScenario("stats", "stats", text(b"stats\r\n")),
    PipelineScenario("stats-items", "stats items", text(b"stats items\r\n")),
    PipelineScenario("stats-slabs", "stats slabs", text(b"stats slabs\r\n")),
    PipelineScenario("stats-settings", "stats settings", text(b"stats settings\r\n")),
    PipelineScenario("stats-conns", f"stats conns, {IDLE_CONNECTIONS} connections",
                     text(b"stats conns\r\n"), idle=IDLE_CONNECTIONS),
    PipelineScenario("stats-memory", "stats memory", text(b"stats memory\r\n"), larder_only=True),
    PipelineScenario("stats-detail", f"stats detail dump, {PREFIXES:,} prefixes", detail_dump),
    PipelineScenario("stats-cachedump", f"stats cachedump N 0, {LISTED_KEYS:,} keys", cachedump),
    # memcached serves one dump at a time, and none that comes behind another request.
    PipelineScenario("metadump", f"lru_crawler metadump all, {LISTED_KEYS:,} keys", metadump,
                     burst=1, is_dump=True),
]
