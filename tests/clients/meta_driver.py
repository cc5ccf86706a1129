"""The meta protocol, as newer versions of Dalli send it. driver.py says what a driver speaks.

No library here but a socket of our own: Debian 12 has no client of the meta protocol.
"""

import base64
import socket

from python_driver import serve, values

OUTCOMES = {b"HD": "yes", b"NS": "no", b"EX": "exists", b"NF": "missing", b"EN": "missing"}


class Refused(Exception):
    """With the error line."""


class Operations:
    def __init__(self, port, protocol):
        assert protocol == "meta"
        self._port = port
        self._connect()

    def _connect(self):
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self._socket.makefile("rb")

    @staticmethod
    def _key(key):
        """The key's token, and the flag of one that travels as base64."""
        if all(33 <= byte < 127 for byte in key):
            return key, b""
        return base64.b64encode(key), b" b"

    def _request(self, verb, key, flags=b"", value=None):
        token, encoded = self._key(key)
        if value is None:
            return b"%b %b%b%b\r\n" % (verb, token, flags, encoded)
        return b"%b %b %d%b%b\r\n%b\r\n" % (verb, token, len(value), flags, encoded, value)

    def _line(self):
        line = self._replies.readline()
        if not line.endswith(b"\r\n"):
            self._connect()
            raise Refused("the connection was closed")
        return line[:-2]

    def _read(self):
        """The next reply's code, its flags by letter, and its value."""
        line = self._line()
        if b"ERROR" in line:
            # As libraries do, for memcached 1.6.18 takes the value behind a bad line for a command.
            self._connect()
            raise Refused(line.decode())
        code, *flags = line.split(b" ")
        value = None
        if code == b"VA":
            value = self._replies.read(int(flags.pop(0)) + 2)[:-2]
        return code, {flag[:1]: flag[1:] for flag in flags}, value

    def _ask(self, *request):
        self._socket.sendall(self._request(*request))
        return self._read()

    def _outcome(self, *request):
        return (OUTCOMES[self._ask(*request)[0]],)

    def _found(self, key, flags):
        code, found, value = self._ask(b"mg", key, flags)
        return ("missing",) if code == b"EN" else ("value", value, *found.values())

    def get(self, key):
        return self._found(key, b" v f")[:2]

    def gets(self, key):
        return self._found(key, b" v c")

    def gat(self, key, exptime):
        return self._found(key, b" v f T" + exptime)[:2]

    def get_many(self, *keys):
        requests = [self._request(b"mg", key, b" v f k q") for key in keys]
        self._socket.sendall(b"".join(requests) + b"mn\r\n")
        found = {}
        while True:
            code, flags, value = self._read()
            if code == b"MN":
                return values(found)
            found[base64.b64decode(flags[b"k"]) if b"b" in flags else flags[b"k"]] = value

    def set(self, key, value, exptime):
        return self._outcome(b"ms", key, b" c F0 T" + exptime + b" MS", value)

    def add(self, key, value, exptime):
        return self._outcome(b"ms", key, b" c F0 T" + exptime + b" ME", value)

    def replace(self, key, value, exptime):
        return self._outcome(b"ms", key, b" c F0 T" + exptime + b" MR", value)

    def append(self, key, value):
        return self._outcome(b"ms", key, b" MA", value)

    def prepend(self, key, value):
        return self._outcome(b"ms", key, b" MP", value)

    def cas(self, key, value, exptime, token):
        return self._outcome(b"ms", key, b" c F0 C" + token + b" T" + exptime + b" MS", value)

    def delete(self, key):
        return self._outcome(b"md", key)

    def touch(self, key, exptime):
        return self._outcome(b"mg", key, b" T" + exptime)

    def _count(self, key, flags):
        code, _, value = self._ask(b"ma", key, b" v" + flags)
        return ("missing",) if code == b"NF" else ("number", value)

    def incr(self, key, delta):
        return self._count(key, b" D" + delta + b" MI")

    def decr(self, key, delta):
        return self._count(key, b" D" + delta + b" MD")

    def incr_from(self, key, delta, initial):
        return self._count(key, b" D" + delta + b" J" + initial + b" N0 MI")

    def _quietly(self, *request):
        self._socket.sendall(self._request(*request))
        return ("yes",)

    def set_quiet(self, key, value):
        return self._quietly(b"ms", key, b" F0 T0 MS q", value)

    def delete_quiet(self, key):
        return self._quietly(b"md", key, b" q")

    def incr_quiet(self, key, delta):
        return self._quietly(b"ma", key, b" D" + delta + b" q")

    def flush(self):
        self._socket.sendall(b"flush_all\r\n")
        return ("yes",) if self._line() == b"OK" else ("no",)

    def version(self):
        self._socket.sendall(b"version\r\n")
        return ("value", self._line().removeprefix(b"VERSION "))

    def stats(self, *groups):
        self._socket.sendall(b" ".join([b"stats", *groups]) + b"\r\n")
        found = {}
        while (line := self._line()) != b"END":
            _, name, value = line.split(b" ", 2)
            found[name] = value
        return values(found)

    def types(self):
        for flags in (0, 1, 0xffff, 0xffffffff):
            self._outcome(b"ms", b"type", b" F%d" % flags, b"v")
            if self._ask(b"mg", b"type", b" v f") != (b"VA", {b"f": b"%d" % flags}, b"v"):
                return ("value", flags)
        return ("yes",)


serve(Operations)
