"""The clients of the scenarios: one that pipelines without end, others that ask now and then, and
connections that only stay.

Those that are measured, or that must be quick, are processes of their own on the core for clients,
and work with raw sockets on buffers made beforehand. All of them end by themselves.
"""

import contextlib
import multiprocessing
import os
import random
import select
import signal
import socket
import struct
import time

import servers
from servers import BenchError

FORK = multiprocessing.get_context("fork")
REPLY_TIMEOUT_S = 10
PIPELINE_S_MAX = 40
PIPELINE_NICENESS = 10  # Whoever measures comes first on the core that they share.
BLOCK_BYTES = 64 * 1024
ROOM_BYTES = 1 << 20
STEADY_S = 0.5
STEADY_S_MAX = 8
STEADY_BYTES = 1_000_000
SMALL_BUFFER_BYTES = 4096
ETHERNET_SEGMENT_BYTES = 1460
PAUSE_S = (0.0002, 0.001)  # Between two requests of a prober: it samples, and is no load.
SAMPLES_MAX = 20_000
TCP_INFO_RECEIVED_AT = 128  # tcpi_bytes_received in struct tcp_info, see linux/tcp.h.
SO_TIMESTAMPNS = 35  # The kernel notes when a segment came, see asm-generic/socket.h.
TIMESPEC = struct.Struct("ll")
SENTINEL = (b"mn\r\n", b"MN\r\n")
BINARY_SENTINEL = (struct.pack(">BBHBBHIIQ", 0x80, 0x0a, 0, 0, 0, 0, 0, 0x5ea1ed, 0),
                   struct.pack(">BBHBBHIIQ", 0x81, 0x0a, 0, 0, 0, 0, 0, 0x5ea1ed, 0))


def connect(server, takes_little=False):
    """A blocking connection that closes by a reset, and does not block for more than some seconds.

    One that takes little leaves most of a reply with the server: its segments are as on Ethernet,
    for with those of the loopback interface, of 64 KiB, the kernel takes megabytes off the server.
    """
    connection = socket.socket()
    if takes_little:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, ETHERNET_SEGMENT_BYTES)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for timeout in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, timeout, struct.pack("ll", REPLY_TIMEOUT_S, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        connection.connect(("127.0.0.1", server.port))
    except OSError:
        connection.close()
        raise
    return connection


def received_bytes(connection):
    """All that has ever come to its socket, whether or not it was read."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_RECEIVED_AT + 8)
    return struct.unpack_from("Q", info, TCP_INFO_RECEIVED_AT)[0]


def become_client(server):
    """For a new process: on the clients' core, ended by a signal and with this script."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    servers.run_on(server.cores.client)()


def receive_until(connection, end):
    """All that comes up to a reply that ends so; empty if the server closes or says no more."""
    reply = bytearray()
    with contextlib.suppress(BlockingIOError):
        while not reply.endswith(end):
            received = connection.recv(ROOM_BYTES)
            if not received:
                return b""
            reply += received
        return bytes(reply)
    return b""


def reply_bytes(server, request, sentinel):
    """How long the reply to a request is, which a sentinel with a known reply follows."""
    asked, end = sentinel
    with connect(server) as connection:
        connection.sendall(request + asked)
        reply = receive_until(connection, end)
    if not reply:
        raise BenchError(f"{server.name} does not answer {request[:60]!r}")
    return len(reply) - (len(end) if asked else 0)


@contextlib.contextmanager
def idle_connections(server, count):
    """Connections that asked one thing once, as those of a client's pool."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(connect(server))
            connection.sendall(b"version\r\n")
            if not receive_until(connection, b"\r\n"):
                raise BenchError(f"{server.name} refuses a connection")
        yield


def wait_until_steady(server, counter):
    """Until the server has read or written what it can: a statistic and its memory stay."""
    end = time.monotonic() + STEADY_S_MAX
    last, since = None, time.monotonic()
    while time.monotonic() < min(end, since + STEADY_S):
        # What is asked here counts some bytes, too.
        now = (int(server.stats()[counter]) // STEADY_BYTES, server.rss_now_bytes() // STEADY_BYTES)
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.05)


class Pipeline:
    """A client that sends a request over and over and reads all replies: `with Pipeline(...)`.

    With `burst` it sends so many at once, and the next ones when the replies to those are there;
    otherwise it keeps the socket full. The replies to a burst are `burst_reply_bytes` long or
    longer, and the last of them ends with END.
    """

    def __init__(self, server, request, *, burst=None, burst_reply_bytes=0):
        self._server = server
        self._block = request * (burst or max(1, BLOCK_BYTES // len(request)))
        self._is_burst = burst is not None
        self._burst_reply_bytes = burst_reply_bytes
        self._process = None
        self.connection = None  # Used by the client's process; others may look at its counters.

    def __enter__(self):
        self.connection = connect(self._server)
        self._process = FORK.Process(target=self._run, daemon=True)
        self._process.start()
        # With the sockets' buffers full, as they will stay.
        end = time.monotonic() + 1
        while time.monotonic() < end and received_bytes(self.connection) == 0:
            time.sleep(0.01)
        time.sleep(0.2)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.join()
        self.connection.close()

    def has_ended(self):
        return not self._process.is_alive()

    def _run(self):
        become_client(self._server)
        os.nice(PIPELINE_NICENESS)
        with contextlib.suppress(OSError):
            self._exchange()

    def _exchange(self):
        connection = self.connection
        connection.setblocking(False)
        poller = select.poll()
        poller.register(connection, select.POLLIN | select.POLLOUT)
        block, room = memoryview(self._block), bytearray(ROOM_BYTES)
        sent = received = expected = 0
        may_send = True
        end = time.monotonic() + PIPELINE_S_MAX
        while time.monotonic() < end:
            ready = poller.poll(100)
            events = ready[0][1] if ready else 0
            if events & select.POLLIN:
                n = connection.recv_into(room)
                if n == 0:
                    return
                received += n
                if not may_send and received >= expected and room.startswith(b"END\r\n", n - 5):
                    may_send = True
                    poller.modify(connection, select.POLLIN | select.POLLOUT)
            if may_send and events & select.POLLOUT:
                sent += connection.send(block[sent:])
                if sent == len(block):
                    sent = 0
                    if self._is_burst:
                        may_send = False
                        expected += self._burst_reply_bytes
                        poller.modify(connection, select.POLLIN)


class Waits:
    """What probers saw: each wait for an answer until it was read, and until the kernel had it, and
    how much a pipeline had received until it was read."""

    def __init__(self, waits_ns, arrivals_ns, behind_bytes):
        self.us = sorted(wait / 1000 for wait in waits_ns)
        self.arrival_us = sorted(wait / 1000 for wait in arrivals_ns)
        self.behind_bytes = sorted(behind_bytes)

    def percentile_us(self, share):
        return percentile(self.us, share)

    def percentile_arrival_us(self, share):
        return percentile(self.arrival_us, share)

    def percentile_behind_bytes(self, share):
        return percentile(self.behind_bytes, share)


def percentile(in_order, share):
    return in_order[min(len(in_order) - 1, int(share * len(in_order)))]


def probe(server, count, seconds, pipeline=None):
    """Has so many clients ask for a small value, one request at a time each, for some seconds."""
    watched = pipeline.connection if pipeline is not None else None
    ends, processes = [], []
    for number in range(count):
        ours, theirs = FORK.Pipe(duplex=False)
        process = FORK.Process(target=run_prober, args=(server, seconds, watched, theirs, number),
                               daemon=True)
        process.start()
        theirs.close()
        ends.append(ours)
        processes.append(process)
    seen = ([], [], [])
    for end, process in zip(ends, processes):
        with contextlib.suppress(EOFError):
            for all_of_them, its_own in zip(seen, end.recv()):
                all_of_them += its_own
        process.join()
    waits = Waits(*seen)
    if not waits.us:
        raise BenchError(f"{server.name} answers no other client")
    return waits


def came_at_ns(ancillary):
    """When the kernel got what was received, by the wall clock."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = TIMESPEC.unpack(data)
            return seconds * 1_000_000_000 + nanoseconds
    raise BenchError("the kernel does not say when segments came")


def run_prober(server, seconds, watched, pipe, number):
    become_client(server)
    pauses = random.Random(number)
    request, room = b"get probe\r\n", bytearray(4096)
    waits_ns, arrivals_ns, behind_bytes = [], [], []
    connection = connect(server)
    connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    ancillary_room = socket.CMSG_SPACE(TIMESPEC.size)
    end = time.monotonic() + seconds
    while time.monotonic() < end and len(waits_ns) < SAMPLES_MAX:
        time.sleep(pauses.uniform(*PAUSE_S))
        received_before = received_bytes(watched) if watched is not None else 0
        begin, begin_by_wall = time.perf_counter_ns(), time.time_ns()
        connection.send(request)
        try:
            n, ancillary, _, _ = connection.recvmsg_into([room], ancillary_room)
            while n > 0 and not room.startswith(b"END\r\n", n - 5):
                more, ancillary, _, _ = connection.recvmsg_into([memoryview(room)[n:]],
                                                                ancillary_room)
                n += more
        except BlockingIOError:
            n = 0  # Counted as a wait of REPLY_TIMEOUT_S.
        waits_ns.append(time.perf_counter_ns() - begin)
        arrivals_ns.append(came_at_ns(ancillary) - begin_by_wall if n != 0 else waits_ns[-1])
        if watched is not None:
            behind_bytes.append(received_bytes(watched) - received_before)
        if n == 0:
            break
    pipe.send((waits_ns, arrivals_ns, behind_bytes))
