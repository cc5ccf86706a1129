"""What every client library has to get right: the rounds that scripts/test-clients runs.

Each round is a function below, of the name in this table. It talks to the server through the
library (driver.py), and every check compares with the one right answer.

    round         what is checked
    store         set, add, replace, get, delete, with the key there and not there
    append        append with the key there and not there, of nothing, and to large values
    prepend       the same for prepend
    cas           gets and cas: fresh, stale, after a delete, twice
    cas_race      four connections that count with gets and cas lose no step
    add_race      of four connections that add a key at once, one wins
    numbers       incr, decr: to zero, past 2^64, with fewer digits, of no key and of no number
    numbers_from  incr with an initial value
    incr_race     four connections that count with incr lose no step
    multi         1000 keys and 100 that are not there in one multi-get
    bytes         empty values, every byte value, line ends and END in a value
    types         numbers, texts and lists, or flags, by the library's own serialiser
    unicode       UTF-8 values, and keys where the library allows them
    keys          a key of 250 bytes is served, one of 251 is not, and the client goes on
    large         values up to just under a megabyte
    too_large     values of a megabyte and more are refused, with the old value, the client goes on
    expiry        negative and relative times, dates to come
    past          what is stored with a date that has passed is not there
    touch         touch prolongs a life
    touch_past    touch ends a life
    gat           get and touch at once
    quiet         1000 writes without replies, then a read of what they did
    quiet_delete  a delete without a reply
    quiet_incr    an incr without a reply
    version       1.6.x
    stats         exact counts of what was just done
    stats_groups  settings, items, slabs
    flush         everything goes, and what is stored afterwards stays
    auth          wrong and no credentials change and show nothing
"""

import threading
import time

from driver import DriverError, Lacking

EXPIRY_PATIENCE_S = 30
RIVALS = 3


class CheckFailed(Exception):
    """The server, or the library, did something else."""


class Session:
    """The connections of a round, and the count of what was checked with them.

    `connect` makes another driver of the same library; with wrong credentials, if some are given.
    """

    def __init__(self, client, connect, protocol, has_credentials):
        self.client = client
        self.protocol = protocol
        self.connect = connect
        self.has_credentials = has_credentials
        self.checks = 0
        self._rivals = []

    @property
    def rivals(self):
        """More connections to the same server."""
        while len(self._rivals) < RIVALS:
            self._rivals.append(self.connect())
        return self._rivals

    def close(self):
        for rival in self._rivals:
            rival.stop()

    def check(self, is_good, text):
        self.checks += 1
        if not is_good:
            raise CheckFailed(text)

    def expect(self, kinds, operation, *arguments):
        """Calls, and checks that the answer is of one of these kinds, parted by blanks."""
        reply = self.client.call(operation, *arguments)
        self.check(reply.kind in kinds.split(),
                   f"{operation} {str(arguments)[:80]}: expected {kinds}, got {reply}")
        return reply

    def expect_value(self, value, operation, *arguments):
        if isinstance(value, (str, int)):
            value = str(value).encode()
        reply = self.client.call(operation, *arguments)
        is_good = reply.kind in ("value", "number") and reply.words[0] == value
        self.check(is_good, f"{operation} {str(arguments)[:80]}: expected {value[:80]!r} "
                            f"({len(value)} bytes), got {reply}")
        return reply

    def expect_refused(self, operation, *arguments):
        """An error, and the next request of the same client is served."""
        reply = self.expect("error", operation, *arguments)
        self.expect("yes", "set", "after", "error", 0)
        self.expect_value("error", "get", "after")
        return reply

    def in_parallel(self, work):
        """Runs work(client, number) on all connections at once; returns what each returned."""
        clients = [self.client, *self.rivals]
        results = [None] * len(clients)
        start = threading.Barrier(len(clients))

        def run(number):
            try:
                start.wait()
                results[number] = work(clients[number], number)
            except (DriverError, Lacking, CheckFailed) as error:
                results[number] = error

        threads = [threading.Thread(target=run, args=(i,)) for i in range(len(clients))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            if isinstance(result, Exception):
                raise result
        return results


def pattern(length):
    """Bytes of every value that no shift of them equals."""
    block = bytes(i * i % 251 for i in range(1009))
    return (block * (length // len(block) + 1))[:length]


def values_of(reply):
    return dict(zip(reply.words[::2], reply.words[1::2]))


# --- Values and keys ------------------------------------------------------------------------------


def store(session):
    expect, expect_value = session.expect, session.expect_value
    expect("missing", "get", "s:absent")
    expect("yes", "set", "s:a", "1", 0)
    expect_value("1", "get", "s:a")
    expect("yes", "set", "s:a", "two", 0)
    expect_value("two", "get", "s:a")
    expect("no exists", "add", "s:a", "3", 0)
    expect_value("two", "get", "s:a")
    expect("yes", "add", "s:b", "4", 0)
    expect_value("4", "get", "s:b")
    expect("no missing", "replace", "s:c", "5", 0)
    expect("missing", "get", "s:c")
    expect("yes", "replace", "s:a", "6", 0)
    expect_value("6", "get", "s:a")
    expect("yes done", "delete", "s:a")
    expect("missing", "get", "s:a")
    expect("missing done", "delete", "s:a")
    expect("no missing", "replace", "s:a", "7", 0)
    expect("yes", "add", "s:a", "8", 0)
    expect_value("8", "get", "s:a")


def check_extending(session, operation, joined):
    session.expect("no missing", operation, "x", "1")
    session.expect("missing", "get", "x")
    session.expect("yes", "set", "x", "first", 0)
    session.expect("yes", operation, "x", "second")
    session.expect_value(joined(b"first", b"second"), "get", "x")
    session.expect("yes", operation, "x", "")
    session.expect_value(joined(b"first", b"second"), "get", "x")
    half = pattern(300_000)
    session.expect("yes", "set", "x", half, 0)
    session.expect("yes", operation, "x", half[:-7])
    session.expect_value(joined(half, half[:-7]), "get", "x")
    session.expect("yes done", "delete", "x")


def append(session):
    check_extending(session, "append", lambda old, new: old + new)


def prepend(session):
    check_extending(session, "prepend", lambda old, new: new + old)


def multi(session):
    values = {b"m:%d:" % i + b"k" * (i % 230): pattern(i * 3) for i in range(1000)}
    replies = [session.client.call("set", key, value, 0).kind for key, value in values.items()]
    session.check(replies == ["yes"] * 1000, "not all were stored")
    keys = list(values)
    for i in range(100):
        keys.insert(i * 11, b"m:absent:%d" % i)
    found = values_of(session.expect("values", "get_many", *keys))
    session.check(found == values, f"{len(found)} of {len(values)}, or other values")
    for key in list(values)[::2]:
        session.client.call("delete", key)
    found = values_of(session.expect("values", "get_many", *keys))
    rest = dict(list(values.items())[1::2])
    session.check(found == rest, f"{len(found)} of {len(rest)}, or other values")
    found = values_of(session.expect("values", "get_many", *(b"m:absent:%d" % i for i in range(9))))
    session.check(not found, "something was found")
    large = {b"m:large:%d" % i: pattern(60_000 + i) for i in range(40)}
    for key, value in large.items():
        session.expect("yes", "set", key, value, 0)
    found = values_of(session.expect("values", "get_many", *large))
    session.check(found == large, f"{len(found)} of {len(large)}, or other values")


def bytes_(session):
    every = bytes(range(256))
    for value in (b"", b"\0", b"\r\n", b"\r\nEND\r\n", b"VALUE b 0 1\r\nx\r\nEND\r\n", b" ",
                  b"\x80\x81", every, every[::-1] * 40):
        session.expect("yes", "set", "b", value, 0)
        session.expect_value(value, "get", "b")


def types(session):
    session.expect("yes", "types")


def unicode_(session):
    for text in ("\u00e4\u00f6\u00fc\u00df", "\u65e5\u672c\u8a9e", "\U0001f511 \u20ac", "a\u0301"):
        session.expect("yes", "set", "u", text, 0)
        session.expect_value(text, "get", "u")
    key = "schl\u00fcssel:\u20ac:\U0001f511"
    if session.expect("yes error", "set", key, "v", 0).kind == "yes":
        session.expect_value("v", "get", key)
        if "get_many" not in session.client.lacking:  # As `multi` has found out.
            found = values_of(session.expect("values", "get_many", key, "u:absent"))
            session.check(found == {key.encode(): b"v"}, f"found {found}")
        session.expect("yes done", "delete", key)
        session.expect("missing", "get", key)


def keys(session):
    longest = "k" * 250
    session.expect("yes", "set", longest, "v", 0)
    session.expect_value("v", "get", longest)
    session.expect("yes done", "delete", longest)
    session.expect("missing", "get", longest)
    # Some libraries send a digest instead.
    if session.expect("yes error", "set", longest + "k", "w", 0).kind == "yes":
        session.expect_value("w", "get", longest + "k")
    # The server may have closed, which not every library notices before its next request; memjs
    # waits forever for an answer to one that it sends while it is about to notice.
    time.sleep(0.3)
    session.client.call("get", longest)
    session.expect("missing", "get", longest)
    session.expect("yes", "set", "k:after", "v", 0)
    session.expect_value("v", "get", "k:after")


def large(session):
    for length in (1, 100, 1023, 1024, 8191, 8192, 8193, 16384, 65536, 131072, 262144, 500_000,
                   524_288, 1_000_000, 1_048_400):
        value = pattern(length)
        session.expect("yes", "set", "l", value, 0)
        session.expect_value(value, "get", "l")


def too_large(session):
    for length in (1 << 20, (1 << 20) + 1, 5 << 20):
        session.expect("yes", "set", "t", "old", 0)
        session.expect_refused("set", "t", pattern(length), 0)
        session.expect("missing", "get", "t")


# --- CAS and numbers ------------------------------------------------------------------------------


def cas(session):
    expect, expect_value = session.expect, session.expect_value
    expect("missing", "gets", "c")
    expect("yes", "set", "c", "1", 0)
    first = expect_value("1", "gets", "c").words[1]
    expect("yes", "cas", "c", "2", 0, first)
    expect_value("2", "get", "c")
    expect("exists no", "cas", "c", "3", 0, first)
    expect_value("2", "get", "c")
    second = expect_value("2", "gets", "c").words[1]
    session.check(session.client.call("gets", "c").kind == "value", "gets again")
    expect("yes", "cas", "c", "2", 0, second)
    expect("exists no", "cas", "c", "4", 0, second)
    third = expect_value("2", "gets", "c").words[1]
    expect("yes done", "delete", "c")
    expect("missing no", "cas", "c", "5", 0, third)
    expect("missing", "get", "c")
    expect("yes", "set", "c", "2", 0)
    expect("exists no", "cas", "c", "6", 0, third)
    expect_value("2", "get", "c")


def cas_race(session):
    session.expect("yes", "set", "r", "0", 0)
    session.expect("value", "gets", "r")
    steps = 50

    def count(client, _):
        done = tries = 0
        while done < steps and tries < steps * 200:
            tries += 1
            value, token = client.call("gets", "r").words
            done += client.call("cas", "r", int(value) + 1, 0, token).kind == "yes"
        return done

    session.check(session.in_parallel(count) == [steps] * (RIVALS + 1), "a connection starves")
    session.expect_value(steps * (RIVALS + 1), "get", "r")


def add_race(session):
    names = [f"a:{i}" for i in range(50)]

    def add_all(client, number):
        return [client.call("add", name, number, 0).kind == "yes" for name in names]

    won = session.in_parallel(add_all)
    for i, name in enumerate(names):
        winners = [number for number, results in enumerate(won) if results[i]]
        session.check(len(winners) == 1, f"{name}: {len(winners)} have added it")
        session.expect_value(winners[0], "get", name)


def numbers(session):
    expect, expect_value = session.expect, session.expect_value
    expect("missing", "incr", "n:absent", 1)
    expect("missing", "decr", "n:absent", 1)
    expect("missing", "get", "n:absent")
    expect("yes", "set", "n", "10", 0)
    expect_value(15, "incr", "n", 5)
    expect_value(15, "get", "n")
    expect_value(11, "decr", "n", 4)
    expect_value(0, "decr", "n", 12)
    expect_value(0, "decr", "n", 1)
    expect("yes", "set", "n", "9223372036854775806", 0)
    expect_value(2**63 - 1, "incr", "n", 1)
    expect("yes", "set", "n", str(2**64 - 1), 0)
    expect_value(0, "incr", "n", 1)
    expect("yes", "set", "n", "1000", 0)
    expect_value(999, "decr", "n", 1)
    # memcached keeps the length of a number that loses digits.
    expect_value("999 ", "get", "n")
    expect_value(1001, "incr", "n", 2)
    expect_value("1001", "get", "n")
    expect("yes", "set", "n:text", "abc", 0)
    session.expect_refused("incr", "n:text", 1)
    session.expect_refused("decr", "n:text", 1)
    expect_value("abc", "get", "n:text")


def numbers_from(session):
    session.expect_value(7, "incr_from", "f", 5, 7)
    session.expect_value("7", "get", "f")
    session.expect_value(12, "incr_from", "f", 5, 7)
    session.expect_value("12", "get", "f")
    session.expect("yes done", "delete", "f")
    session.expect_value(0, "incr_from", "f", 5, 0)


def incr_race(session):
    session.expect("yes", "set", "i", "0", 0)
    session.expect_value(0, "incr", "i", 0)
    steps = 100

    def count(client, _):
        return sorted(int(client.call("incr", "i", 1).words[0]) for _ in range(steps))

    seen = sorted(sum(session.in_parallel(count), []))
    session.check(seen == list(range(1, steps * (RIVALS + 1) + 1)), "a step was lost or seen twice")
    session.expect_value(steps * (RIVALS + 1), "get", "i")


# --- Time -----------------------------------------------------------------------------------------


def wait_until_missing(session, key):
    deadline = time.monotonic() + EXPIRY_PATIENCE_S
    while session.client.call("get", key).kind == "value" and time.monotonic() < deadline:
        time.sleep(0.1)
    session.expect("missing", "get", key)


def expiry(session):
    session.expect("yes", "set", "e:negative", "v", -1)
    # In the binary protocol the field has no sign, and all ones are a date in 2106.
    session.expect("value" if session.protocol == "binary" else "missing", "get", "e:negative")
    # More than 30 days are a date.
    session.expect("yes", "set", "e:future", "v", int(time.time()) + 1000)
    session.expect_value("v", "get", "e:future")
    session.expect("yes", "set", "e:month", "v", 30 * 86400)
    session.expect_value("v", "get", "e:month")
    session.expect("yes", "set", "e:soon", "v", 3)
    session.expect_value("v", "get", "e:soon")
    wait_until_missing(session, "e:soon")
    session.expect("yes", "add", "e:soon", "w", 0)
    session.expect_value("w", "get", "e:soon")
    session.expect_value("v", "get", "e:future")


def past(session):
    session.expect("yes", "set", "p", "v", int(time.time()) - 1000)
    session.expect("missing", "get", "p")


def touch_past(session):
    session.expect("yes", "set", "tp", "v", 0)
    session.expect("yes done", "touch", "tp", int(time.time()) - 1000)
    session.expect("missing", "get", "tp")


def touch(session):
    session.expect("missing done", "touch", "h:absent", 100)
    session.expect("missing", "get", "h:absent")
    session.expect("yes", "set", "h:gone", "v", 3)
    session.expect("yes", "set", "h:kept", "v", 3)
    session.expect("yes done", "touch", "h:kept", 1000)
    wait_until_missing(session, "h:gone")
    session.expect_value("v", "get", "h:kept")


def gat(session):
    session.expect("missing", "gat", "g:absent", 100)
    session.expect("yes", "set", "g:gone", "v", 3)
    session.expect("yes", "set", "g:kept", "v", 3)
    session.expect_value("v", "gat", "g:kept", 1000)
    wait_until_missing(session, "g:gone")
    session.expect_value("v", "get", "g:kept")


# --- Writes without replies -----------------------------------------------------------------------


def quiet(session):
    for i in range(1000):
        reply = session.client.call("set_quiet", f"q:{i}", pattern(i))
        if reply.kind != "yes":
            raise CheckFailed(f"set_quiet {i}: {reply}")
    found = values_of(session.expect("values", "get_many", *(f"q:{i}" for i in range(1001))))
    session.check(found == {b"q:%d" % i: pattern(i) for i in range(1000)},
                  f"{len(found)} of 1000, or other values")


def quiet_delete(session):
    session.expect("yes", "set", "qd", "v", 0)
    session.expect("yes", "delete_quiet", "qd")
    session.expect("missing", "get", "qd")


def quiet_incr(session):
    session.expect("yes", "set", "qi", "5", 0)
    session.expect("yes", "incr_quiet", "qi", 3)
    session.expect_value(8, "get", "qi")


# --- The server -----------------------------------------------------------------------------------


def version(session):
    reply = session.expect("value", "version")
    session.check(reply.words[0].startswith(b"1.6."), str(reply))


def stats(session):
    session.expect("yes", "set", "st:old", "v", 0)
    before = values_of(session.expect("values", "stats"))
    session.expect("yes", "set", "st:a", "1", 0)
    session.expect("yes", "set", "st:b", "2", 0)
    session.expect_value("1", "get", "st:a")
    session.expect_value("2", "get", "st:b")
    session.expect_value("2", "get", "st:b")
    session.expect("missing", "get", "st:absent")
    session.expect("yes done", "delete", "st:old")
    after = values_of(session.expect("values", "stats"))
    for name, change in ((b"cmd_set", 2), (b"get_hits", 3), (b"get_misses", 1), (b"cmd_get", 4),
                         (b"curr_items", 1), (b"total_items", 2)):
        grown = int(after[name]) - int(before[name])
        session.check(grown == change, f"{name} has grown by {grown}, not {change}")
    session.check(after[b"threads"] == b"4", f"threads {after[b'threads']}")


def stats_groups(session):
    session.expect("yes", "set", "sg", "v", 0)
    general = values_of(session.expect("values", "stats"))
    settings = values_of(session.expect("values", "stats", "settings"))
    session.check(settings[b"maxbytes"] == b"67108864", f"maxbytes {settings[b'maxbytes']}")
    session.check(settings[b"item_size_max"] == b"1048576", str(settings[b"item_size_max"]))
    items = values_of(session.expect("values", "stats", "items"))
    session.check(sum(int(n) for name, n in items.items() if name.endswith(b":number")) ==
                  int(general[b"curr_items"]), "stats items counts otherwise than curr_items")
    slabs = values_of(session.expect("values", "stats", "slabs"))
    session.check(int(slabs[b"active_slabs"]) > 0, f"active_slabs {slabs[b'active_slabs']}")


def flush(session):
    for name in ("fl:a", "fl:b"):
        session.expect("yes", "set", name, "v", 0)
    session.expect("yes", "flush")
    for name in ("fl:a", "fl:b"):
        session.expect("missing", "get", name)
    session.expect("yes", "set", "fl:c", "w", 0)
    session.expect_value("w", "get", "fl:c")


def auth(session):
    if not session.has_credentials:
        raise Lacking("auth")
    session.expect("yes", "set", "au:secret", "v", 0)
    for password in ("wrong", None):
        unauthenticated = session.connect(password=password)
        try:
            for operation, *arguments in (("set", "au:stored", "v", 0), ("get", "au:secret")):
                reply = unauthenticated.call(operation, *arguments)
                session.check(reply.kind in ("error", "no", "missing"),
                              f"password {password}: {operation} was answered {reply}")
        finally:
            unauthenticated.stop()
        session.expect("missing", "get", "au:stored")
    session.expect_value("v", "get", "au:secret")


ROUNDS = [store, append, prepend, cas, cas_race, add_race, numbers, numbers_from, incr_race, multi,
          bytes_, types, unicode_, keys, large, too_large, expiry, past, touch, touch_past, gat,
          quiet, quiet_delete, quiet_incr, version, stats, stats_groups, flush, auth]


def run_rounds(session):
    """Runs all; returns the failures as texts, and the rounds that the library cannot do."""
    failures = []
    lacking = []
    for run in ROUNDS:
        name = run.__name__.rstrip("_")
        try:
            run(session)
        except Lacking:
            lacking.append(name)
        except DriverError as error:
            failures.append(f"{name}: {error}")
            break
        except Exception as error:  # Also of an answer without the words that a round looks for.
            failures.append(f"{name}: {type(error).__name__}: {error}")
    return failures, lacking
