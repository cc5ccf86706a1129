"""Speaks to a driver: a small program around one client library, in that library's language.

A driver serves one connection's worth of calls until its standard input ends:

    <driver> PORT PROTOCOL [USER PASSWORD]      PROTOCOL is text, binary or meta

It reads a call a line, an operation and its arguments, and answers each with a line. The words are
base64, and "-" is the empty string. Keys and values are bytes, numbers are decimal.

    call                                        answers
    ping                                        yes, at once, before any connection is made
    get KEY                                     value V | missing
    gets KEY                                    value V TOKEN | missing
    gat KEY EXPTIME                             value V | missing
    get_many KEY...                             values KEY V KEY V ... (only those that are there)
    set, add, replace KEY V EXPTIME             yes | no
    append, prepend KEY V                       yes | no
    cas KEY V EXPTIME TOKEN                     yes | exists | missing | no
    delete KEY, touch KEY EXPTIME               yes | missing | no | done
    incr, decr KEY DELTA                        number N | missing
    incr_from KEY DELTA INITIAL                 number N
    set_quiet KEY V                             yes: nothing is waited for
    delete_quiet KEY                            yes
    incr_quiet KEY DELTA                        yes
    flush                                       yes
    version                                     value V
    stats [GROUP]                               values NAME V NAME V ...
    types                                       yes: values of the library's own types came back
                                                alike; value TEXT names one that did not

`no` refuses without a reason, and `done` may be yes or missing: not every library tells. TOKEN is
the driver's own name of a CAS. Any call may be answered `error TEXT`, for what the library raises,
and `lacks`, when it offers no such thing.
"""

import base64
import select
import subprocess
import time

# Longer than any call takes, also when the server runs under a sanitizer and a library retries.
CALL_TIMEOUT_S = 60
STOP_TIMEOUT_S = 10


class DriverError(Exception):
    """The driver itself failed, or did not answer in time."""


class Lacking(Exception):
    """The library does not offer the operation."""


class Reply:
    """The kind of an answer, and the words behind it."""

    def __init__(self, line):
        kind, *words = line.split()
        self.kind = kind.decode()
        self.words = [b"" if word == b"-" else base64.b64decode(word) for word in words]

    def __eq__(self, other):
        return (self.kind, self.words) == (other.kind, other.words)

    def __repr__(self):
        return " ".join([self.kind, *(repr(word[:60]) for word in self.words[:6])])


def encode(word):
    if isinstance(word, (str, int)):
        word = str(word).encode()
    return base64.b64encode(word) or b"-"


class Driver:
    """A running driver: `with Driver(command, "pylibmc", 11211, "binary") as client:`."""

    def __init__(self, command, log, *arguments, environment=None):
        self._lacking = set()
        self._log = log
        self._buffer = b""
        self._process = subprocess.Popen(
            [*map(str, command), *map(str, arguments)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=log, env=environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def lacking(self):
        """The operations that were asked for in vain."""
        return self._lacking

    def call(self, operation, *arguments):
        line = b" ".join([operation.encode(), *map(encode, arguments)])
        try:
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
            reply = Reply(self._read_line(operation))
        except BrokenPipeError as error:
            raise DriverError(f"the driver ended before `{operation}`") from error
        if reply.kind == "lacks":
            self._lacking.add(operation)
            raise Lacking(operation)
        return reply

    def _read_line(self, operation):
        deadline = time.monotonic() + CALL_TIMEOUT_S
        while b"\n" not in self._buffer:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([self._process.stdout], [], [], left_s)[0]:
                raise DriverError(f"no answer to `{operation}` within {CALL_TIMEOUT_S} seconds")
            received = self._process.stdout.read1(1 << 20)
            if not received:
                raise DriverError(f"the driver ended in `{operation}`")
            self._buffer += received
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
