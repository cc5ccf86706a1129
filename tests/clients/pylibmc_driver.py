"""pylibmc, which wraps libmemcached: text and binary. driver.py says what a driver speaks."""

import pylibmc

from python_driver import Tokens, check_types, missing_or, serve, values, yes_or

BEHAVIORS = {"cas": True, "tcp_nodelay": True, "receive_timeout": 30_000_000,
             "send_timeout": 30_000_000, "_poll_timeout": 30_000}


class Operations:
    def __init__(self, port, protocol, user=None, password=None):
        self._client = pylibmc.Client([f"127.0.0.1:{port}"], binary=protocol == "binary",
                                      username=user, password=password, behaviors=BEHAVIORS)
        self._tokens = Tokens()

    def get(self, key):
        return missing_or(self._client.get(key))

    def gets(self, key):
        value, cas = self._client.gets(key)
        return ("missing",) if value is None else ("value", value, self._tokens.add(cas))

    def get_many(self, *keys):
        return values(self._client.get_multi(keys))

    def set(self, key, value, exptime):
        return yes_or(self._client.set(key, value, time=int(exptime)))

    def add(self, key, value, exptime):
        return yes_or(self._client.add(key, value, time=int(exptime)))

    def replace(self, key, value, exptime):
        try:
            return yes_or(self._client.replace(key, value, time=int(exptime)))
        except pylibmc.NotFound:
            return ("missing",)

    def append(self, key, value):
        return yes_or(self._client.append(key, value))

    def prepend(self, key, value):
        return yes_or(self._client.prepend(key, value))

    def cas(self, key, value, exptime, token):
        try:
            is_done = self._client.cas(key, value, self._tokens.find(token), int(exptime))
            return yes_or(is_done, "exists")
        except pylibmc.NotFound:
            return ("missing",)

    def delete(self, key):
        return yes_or(self._client.delete(key), "missing")

    def touch(self, key, exptime):
        return yes_or(self._client.touch(key, int(exptime)), "missing")

    def incr(self, key, delta):
        return self._count(self._client.incr, key, delta)

    def decr(self, key, delta):
        return self._count(self._client.decr, key, delta)

    @staticmethod
    def _count(count, key, delta):
        try:
            return ("number", count(key, int(delta)))
        except pylibmc.NotFound:
            return ("missing",)

    def _quietly(self, write, *arguments):
        self._client.behaviors["_noreply"] = True
        try:
            return yes_or(write(*arguments))
        finally:
            self._client.behaviors["_noreply"] = False

    def set_quiet(self, key, value):
        return self._quietly(self._client.set, key, value)

    def delete_quiet(self, key):
        return self._quietly(self._client.delete, key)

    def flush(self):
        return yes_or(self._client.flush_all())

    def stats(self, *groups):
        if groups:  # Of these it has the names that are in the general statistics too.
            return ("lacks",)
        return values(self._client.get_stats()[0][1])

    def version(self):
        return ("value", self._client.get_stats()[0][1]["version"])

    def types(self):
        return check_types(self._client)


serve(Operations)
