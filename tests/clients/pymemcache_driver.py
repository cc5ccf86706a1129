"""pymemcache, text only. driver.py says what a driver speaks."""

from pymemcache import serde
from pymemcache.client.base import Client

from python_driver import (check_types, missing_or, number_or_missing, serve, values, yes_or)


class AuthenticatingClient(Client):
    """Begins each connection with the set that carries the credentials, under any key.

    This library connects again after each error.
    """

    credentials = None

    def _connect(self):
        super()._connect()
        if self.credentials is not None:
            self.set("auth", self.credentials)


class Operations:
    def __init__(self, port, protocol, user=None, password=None):
        assert protocol == "text"

        def make(**options):
            client = AuthenticatingClient(("127.0.0.1", port), connect_timeout=10, timeout=30,
                                          allow_unicode_keys=True, default_noreply=False, **options)
            if user is not None:
                client.credentials = f"{user} {password}"
            return client
        self._client = make()
        self._typed_client = make(serde=serde.pickle_serde)

    def get(self, key):
        return missing_or(self._client.get(key))

    def gets(self, key):
        value, cas = self._client.gets(key)
        return ("missing",) if value is None else ("value", value, cas)

    def get_many(self, *keys):
        return values(self._client.get_many(keys))

    def set(self, key, value, exptime):
        return yes_or(self._client.set(key, value, int(exptime)))

    def add(self, key, value, exptime):
        return yes_or(self._client.add(key, value, int(exptime)))

    def replace(self, key, value, exptime):
        return yes_or(self._client.replace(key, value, int(exptime)))

    def append(self, key, value):
        return yes_or(self._client.append(key, value))

    def prepend(self, key, value):
        return yes_or(self._client.prepend(key, value))

    def cas(self, key, value, exptime, token):
        result = self._client.cas(key, value, token, int(exptime))
        return ({True: "yes", False: "exists", None: "missing"}[result],)

    def delete(self, key):
        return yes_or(self._client.delete(key), "missing")

    def touch(self, key, exptime):
        return yes_or(self._client.touch(key, int(exptime)), "missing")

    def incr(self, key, delta):
        return number_or_missing(self._client.incr(key, int(delta)))

    def decr(self, key, delta):
        return number_or_missing(self._client.decr(key, int(delta)))

    def set_quiet(self, key, value):
        return yes_or(self._client.set(key, value, noreply=True))

    def delete_quiet(self, key):
        return yes_or(self._client.delete(key, noreply=True))

    def incr_quiet(self, key, delta):
        self._client.incr(key, int(delta), noreply=True)
        return ("yes",)

    def flush(self):
        return yes_or(self._client.flush_all())

    def version(self):
        return ("value", self._client.version())

    def stats(self, *groups):
        return values(self._client.stats(*groups))

    def types(self):
        return check_types(self._typed_client)


serve(Operations)
