#!/usr/bin/env -S python3 -B
"""Is a stream answered alike however it is cut? split_test.py LARDER REFERENCE_FOLDER [SEED]

The streams are random sequences of the requests in the reference's vectors, about half of them
mangled, for each of the three protocols. One server gets each stream in one piece, another, started
alike, in random pieces; both have to answer the same bytes but for CAS numbers, of which a store
that fails may use one up. The reference lies beside the checkout; without it this test is skipped.
"""

import json
import pathlib
import random
import re
import select
import socket
import sys
import time

from larder_process import Larder, skip

STREAMS = 150  # A protocol.
REQUESTS_MAX = 16
REQUEST_BYTES_MAX = 70_000
PIECES_MAX = 30
PIECE_GAP_S = 0.0005
PATIENCE_S = 30
# A clock that ticks between the two servers, as lifetimes of a second and ages show, is no fault; a
# fault comes back.
ATTEMPTS = 3

# As memcached does, Larder closes when more bytes than this have come without the end of a line;
# whether it has come by then is up to the pieces.
LONG_LINE = re.compile(rb"[^\n]{2049}")
LINE_TOO_LONG = b"CLIENT_ERROR line too long\r\n"  # Behind what was answered before.

# So many stores come first that no CAS of a vector is one that an item has.
FIRST_STORES = 20_000

# What is answered differently for other reasons, or would change the server for later streams.
TEXT_LEFT_OUT = (b"stats", b"verbosity", b"cache_memlimit", b"watch", b"slabs", b"lru", b"shutdown")
BINARY_STAT = 0x10


def text_requests(path):
    for line in path.read_text().splitlines():
        for step in json.loads(line)["steps"]:
            parts = step.get("send_parts", [[step.get("send", ""), 1]])
            request = b"".join(text.encode("latin-1") * count for text, count in parts)
            if not request.lstrip().startswith(TEXT_LEFT_OUT):
                yield request


def binary_requests(path):
    for line in path.read_text().splitlines():
        for step in json.loads(line)["steps"]:
            head, tail = step["send_hex"], step.get("send_tail_hex", "")
            if "$" in head + tail:  # Refers to an earlier answer.
                continue
            fill = step.get("send_fill", {"byte": "78", "count": 0})
            request = bytes.fromhex(head) + bytes.fromhex(fill["byte"]) * fill["count"] \
                + bytes.fromhex(tail)
            if request[1:2] != bytes([BINARY_STAT]):
                yield request


def without_text_cas(reply):
    """gets and gats show it last, the meta commands as the flag c, and me by its name."""
    reply = re.sub(rb"^(VALUE \S+ \d+ \d+) \d+\r$", rb"\1 cas\r", reply, flags=re.MULTILINE)
    reply = re.sub(rb"^(ME .* cas=)\d+", rb"\1", reply, flags=re.MULTILINE)
    return re.sub(rb"^((?:HD|VA|OK|NS|EX|NF) .*?)\bc\d+", rb"\1cas", reply, flags=re.MULTILINE)


def without_binary_cas(reply):
    packets = []
    while len(reply) >= 24:
        end = 24 + int.from_bytes(reply[8:12], "big")
        cas = bytes(8) if reply[16:24] == bytes(8) else b"some CAS"
        packets += [reply[:16], cas, reply[24:end]]
        reply = reply[end:]
    return b"".join(packets) + reply


def mangle(request, rng):
    at = rng.randrange(len(request) + 1)
    match rng.randrange(5):
        case 0:  # Cut something out.
            return request[:at] + request[at + rng.choice((1, 1, 2, 10)):]
        case 1:  # Put something in.
            added = rng.choice((b"\r\n", b"\n", b" ", b"\0", b"q", b"\x80"))
            return request[:at] + added + request[at:]
        case 2:  # Another byte.
            return request[:at] + bytes([rng.randrange(256)]) + request[at + 1:]
        case 3:  # Once more from here.
            return request[:at] + request
        case _:
            return request.replace(b"\r\n", b"\n")


def make_stream(requests, rng):
    chosen = [rng.choice(requests) for _ in range(rng.randint(1, REQUESTS_MAX))]
    # Most of the mangled ones late, since many of the binary protocol end the connection.
    return b"".join(mangle(request, rng) if rng.random() < place / len(chosen) else request
                    for place, request in enumerate(chosen))


def cut(stream, rng):
    places = sorted({rng.randrange(len(stream)) for _ in range(rng.randint(1, PIECES_MAX))} - {0})
    return [stream[begin:end] for begin, end in zip([0, *places], [*places, len(stream)])]


def exchange(port, pieces, gap_s):
    """All that is answered to the pieces, until the server closes behind the last of them."""
    reply = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        deadline = time.monotonic() + PATIENCE_S
        waiting = list(pieces)
        while time.monotonic() < deadline:
            readable, writable, _ = select.select(
                [connection], [connection] if waiting else [], [], 0.1)
            try:
                if readable:
                    received = connection.recv(1 << 20)
                    if not received:
                        return reply
                    reply += received
                if writable:
                    sent = connection.send(waiting[0])
                    waiting[0] = waiting[0][sent:]
                    if not waiting[0]:
                        del waiting[0]
                        time.sleep(gap_s)
                    if not waiting:
                        connection.shutdown(socket.SHUT_WR)
            except BlockingIOError:
                continue
            except OSError:  # Closed while more was on its way; what was answered has been read.
                if not readable:
                    waiting.clear()
                    continue
                return reply
    raise TimeoutError(f"the connection was not closed; {len(reply)} bytes were answered")


class Pair:
    """Two servers that have seen the same."""

    def __init__(self, program, without_cas):
        self._without_cas = without_cas
        self._servers = [Larder(program, "-t", "1") for _ in range(2)]

    def __enter__(self):
        self._ports = [server.__enter__() for server in self._servers]
        for port in self._ports:
            exchange(port, [b"set first 0 0 0 noreply\r\n\r\n" * FIRST_STORES], 0)
        return self

    def __exit__(self, *_):
        for server in self._servers:
            server.__exit__()

    def differ(self, pieces):
        """None when both answer alike, else the two answers.

        Where there is a long line, the one that got pieces may have closed at it.
        """
        for port in self._ports:
            exchange(port, [b"flush_all\r\n"], 0)
        whole = self._without_cas(exchange(self._ports[0], [b"".join(pieces)], 0))
        cut_up = self._without_cas(exchange(self._ports[1], pieces, PIECE_GAP_S))
        if whole == cut_up:
            return None
        has_long_line = LONG_LINE.search(b"".join(pieces)) is not None
        if has_long_line and whole.startswith(cut_up.removesuffix(LINE_TOO_LONG)):
            return None
        return whole, cut_up


# How requests are read from a vectors file, and what makes replies comparable.
PROTOCOLS = {
    "text": (text_requests, without_text_cas),
    "meta": (text_requests, without_text_cas),
    "binary": (binary_requests, without_binary_cas),
}


def run_protocol(program, name, vectors, seed):
    """Returns whether all streams were answered alike."""
    read_requests, without_cas = PROTOCOLS[name]
    requests = [request for request in read_requests(vectors)
                if 0 < len(request) <= REQUEST_BYTES_MAX]
    rng = random.Random(f"{name} {seed}")
    streams = [cut(make_stream(requests, rng) or b"\n", rng) for _ in range(STREAMS)]
    place = attempts = 0
    while place < len(streams):
        with Pair(program, without_cas) as pair:
            while place < len(streams):
                difference = pair.differ(streams[place])
                if difference is not None:
                    break
                place, attempts = place + 1, 0
        attempts += difference is not None
        if attempts == ATTEMPTS:
            whole, cut_up = difference
            print(f"FAILED   {name}, seed {seed}, stream {place}: {streams[place]!r}\n"
                  f"in one piece: {whole!r}\nin pieces: {cut_up!r}")
            return False
    print(f"passed   {name}: {STREAMS} streams from {len(requests)} requests, seed {seed}")
    return True


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    program, reference = sys.argv[1], pathlib.Path(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) == 4 else 1
    good = True
    for name in PROTOCOLS:
        vectors = reference / f"{name}-vectors.jsonl"
        if not vectors.exists():
            skip(f"there is no {vectors}")
        good &= run_protocol(program, name, vectors, seed)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
