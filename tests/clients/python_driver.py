"""The loop of the drivers that are written in Python; driver.py says what they speak."""

import base64
import sys


class Lacks(Exception):
    """Raised by an operation that the library offers in another protocol only."""


def missing_or(value):
    return ("missing",) if value is None else ("value", value)


def number_or_missing(value):
    return ("missing",) if value is None else ("number", value)


def yes_or(is_done, otherwise="no"):
    return ("yes",) if is_done else (otherwise,)


def values(mapping):
    return ("values", *(word for pair in mapping.items() for word in pair))


def check_types(client):
    """Sets and gets what the library serialises itself; see `types` in driver.py."""
    for value in (0, -17, 2**70, "text \u00e4\u20ac", b"\x00\xff", ["a", {"b": 1.5}], True):
        client.set("type", value)
        if client.get("type") != value:
            return ("value", repr(value))
    return ("yes",)


class Tokens:
    """Names for whatever a library hands out as a CAS."""

    def __init__(self):
        self._tokens = []

    def add(self, token):
        self._tokens.append(token)
        return len(self._tokens) - 1

    def find(self, name):
        return self._tokens[int(name)]


def _word(value):
    if not isinstance(value, bytes):
        value = str(value).encode()
    return base64.b64encode(value) or b"-"


def _answer(operations, name, arguments):
    if name == "ping":
        return ("yes",)
    operation = getattr(operations, name, None)
    if operation is None:
        return ("lacks",)
    try:
        return operation(*arguments)
    except Lacks:
        return ("lacks",)
    except Exception as error:  # Whatever a client library raises.
        return ("error", f"{type(error).__name__}: {error}")


def serve(make_operations):
    """Makes the operations, methods named as the calls, and serves calls until the input ends."""
    port, protocol, *credentials = sys.argv[1:]
    operations = make_operations(int(port), protocol, *credentials)
    for line in sys.stdin.buffer:
        name, *words = line.split()
        arguments = [b"" if word == b"-" else base64.b64decode(word) for word in words]
        kind, *results = _answer(operations, name.decode(), arguments)
        sys.stdout.buffer.write(b" ".join([kind.encode(), *map(_word, results)]) + b"\n")
        sys.stdout.buffer.flush()
