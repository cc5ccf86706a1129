"""What clients that ask for a large value and do not read the reply cost the server."""

import contextlib
import time

from neighbour_scenarios import Measured
from neighbour_scenarios import clients
from servers import BenchError

VALUE_BYTES = 1_000_000
READERS = 1000
READERS_OF_ONE_KEY = 300
MEMORY_MB = 64
AFTER_S = 10
MB = 1e6


def store_value(server, key):
    with clients.connect(server) as connection:
        connection.sendall(b"set %s 0 0 %d\r\n%s\r\n" % (key, VALUE_BYTES, b"v" * VALUE_BYTES))
        if clients.receive_until(connection, b"\r\n") != b"STORED\r\n":
            raise BenchError(f"{server.name} refuses a value of {VALUE_BYTES} B")


@contextlib.contextmanager
def slow_readers(server, key, count):
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            reader = stack.enter_context(clients.connect(server, takes_little=True))
            reader.sendall(b"get %s\r\n" % key)
        clients.wait_until_steady(server, "bytes_written")
        yield


class MemoryOfSlowReaders:
    name = "slow-readers/memory"
    title = f"{READERS:,} slow readers of one value of 1 MB"
    larder_only = False

    def measure(self, start):
        with start(memory_mb=MEMORY_MB, connections=READERS + 100) as server:
            store_value(server, b"big")
            before = server.rss_bytes()
            with slow_readers(server, b"big", READERS):
                pass
            time.sleep(AFTER_S)
            server.check_alive()
            return Measured({"RSS MB, before": before / MB,
                             "RSS MB, peak": server.rss_peak_bytes() / MB,
                             f"RSS MB, {AFTER_S} s after they left": server.rss_now_bytes() / MB})


class AnswersBesideSlowReaders:
    """Each command gets a key of its own, whose value nobody else has changed."""

    name = "slow-readers/answers"
    title = f"commands on a key with {READERS_OF_ONE_KEY} slow readers"
    larder_only = False
    _COMMANDS = {
        b"get": (b"get %s\r\n", b"END\r\n", b"VALUE "),
        b"touch": (b"touch %s 60\r\n", b"\r\n", b"TOUCHED"),
        b"gat": (b"gat 60 %s\r\n", b"END\r\n", b"VALUE "),
        b"mg T": (b"mg %s T60\r\n", b"\r\n", b"HD"),
        b"mg T v": (b"mg %s T60 v\r\n", b"\r\n", b"VA "),
        b"append": (b"append %s 0 0 2\r\nxx\r\n", b"\r\n", b"STORED"),
        b"prepend": (b"prepend %s 0 0 2\r\nxx\r\n", b"\r\n", b"STORED"),
        b"ms MA": (b"ms %s 2 MA\r\nxx\r\n", b"\r\n", b"HD"),
        b"md I T": (b"md %s I T60\r\n", b"\r\n", b"HD"),
        b"delete": (b"delete %s\r\n", b"\r\n", b"DELETED"),
    }

    def measure(self, start):
        with start(memory_mb=MEMORY_MB, connections=READERS_OF_ONE_KEY + 100) as server:
            wrong, longest_s = [], 0.0
            for number, (name, (request, end, right)) in enumerate(self._COMMANDS.items()):
                key = b"key%d" % number
                store_value(server, key)
                with slow_readers(server, key, READERS_OF_ONE_KEY), \
                        clients.connect(server) as connection:
                    begin = time.perf_counter()
                    connection.sendall(request % key)
                    reply = clients.receive_until(connection, end)
                    longest_s = max(longest_s, time.perf_counter() - begin)
                if not reply.startswith(right):
                    wrong.append(f"{name.decode()}: {reply[:60].decode(errors='replace').strip()}")
            server.check_alive()
        notes = {f"{server.name}, {self.title}, wrong": "; ".join(wrong)} if wrong else {}
        return Measured({f"right answers of {len(self._COMMANDS)}":
                         len(self._COMMANDS) - len(wrong),
                         "longest wait ms": 1000 * longest_s}, notes)


SCENARIOS = [MemoryOfSlowReaders(), AnswersBesideSlowReaders()]
