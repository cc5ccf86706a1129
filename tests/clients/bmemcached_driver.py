"""python-binary-memcached: binary, with and without SASL. driver.py says what a driver speaks."""

import bmemcached

from python_driver import Tokens, check_types, missing_or, serve, values, yes_or

PLAIN = 0  # The compress_level that compresses nothing.


class Operations:
    def __init__(self, port, protocol, user=None, password=None):
        assert protocol == "binary"
        self._client = bmemcached.Client([f"127.0.0.1:{port}"], user, password, socket_timeout=30)
        self._tokens = Tokens()

    # Keys are str in this library; byte keys it sends as they are, but answers under another name.

    def get(self, key):
        return missing_or(self._client.get(key.decode()))

    def gets(self, key):
        value, cas = self._client.gets(key.decode())
        return ("missing",) if value is None else ("value", value, self._tokens.add(cas))

    def get_many(self, *keys):
        return values(self._client.get_multi([key.decode() for key in keys]))

    def set(self, key, value, exptime):
        return yes_or(self._client.set(key.decode(), value, int(exptime), PLAIN))

    def add(self, key, value, exptime):
        return yes_or(self._client.add(key.decode(), value, int(exptime), PLAIN))

    def replace(self, key, value, exptime):
        return yes_or(self._client.replace(key.decode(), value, int(exptime), PLAIN))

    def cas(self, key, value, exptime, token):
        return yes_or(self._client.cas(key.decode(), value, self._tokens.find(token), int(exptime),
                                       PLAIN))

    def delete(self, key):
        # True also for a key that is not there.
        return ("done",) if self._client.delete(key.decode()) else ("no",)

    def incr_from(self, key, delta, initial):
        return ("number", self._client.incr(key.decode(), int(delta), default=int(initial)))

    def set_quiet(self, key, value):
        failed = self._client.set_multi({key.decode(): value}, 0, PLAIN)
        return yes_or(not failed)

    def flush(self):
        return yes_or(self._client.flush_all())

    def stats(self, *groups):
        found = self._client.stats(*(group.decode() for group in groups))
        return values(next(iter(found.values())))

    def version(self):
        return ("value", next(iter(self._client.stats().values()))["version"])

    def types(self):
        return check_types(self._client)


serve(Operations)
