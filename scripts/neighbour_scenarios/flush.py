"""How long a flushed cache goes on saying that it has items."""

import time

from neighbour_scenarios import Measured
from neighbour_scenarios import clients
from servers import BenchError

ITEMS = 1_000_000
BATCH = 50_000
MEMORY_MB = 512
POLL_S = 0.02
WAIT_S_MAX = 40
# memcached does not flush what was stored in the current second.
BEFORE_FLUSH_S = 2


class Flush:
    name = "flush/curr-items"
    title = f"flush_all of {ITEMS:,} items"
    larder_only = False

    def measure(self, start):
        with start(memory_mb=MEMORY_MB) as server:
            for begin in range(0, ITEMS, BATCH):
                server.send_quietly(b"".join(b"set k%d 0 0 10 noreply\r\n0123456789\r\n" % i
                                             for i in range(begin, begin + BATCH)))
            if int(server.stats()["curr_items"]) != ITEMS:
                raise BenchError(f"{server.name} did not take all items")
            time.sleep(BEFORE_FLUSH_S)
            with clients.connect(server) as connection:
                begin = time.monotonic()
                connection.sendall(b"flush_all\r\n")
                clients.receive_until(connection, b"\r\n")
                answered = time.monotonic()
                left = self._wait(server, begin)
            emptied = time.monotonic()
        notes = {} if left == 0 else {
            f"{server.name}, {self.title}": f"after {WAIT_S_MAX} s curr_items was {left:,}"}
        return Measured({"s until curr_items is 0": emptied - begin,
                         "flush_all answered after ms": 1000 * (answered - begin)}, notes)

    @staticmethod
    def _wait(server, begin):
        while True:
            left = int(server.stats()["curr_items"])
            if left == 0 or time.monotonic() - begin >= WAIT_S_MAX:
                return left
            time.sleep(POLL_S)


SCENARIOS = [Flush()]
