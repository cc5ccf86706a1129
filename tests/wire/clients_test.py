#!/usr/bin/env -S python3 -B
"""Runs clients that others wrote against Larder: clients_test.py LARDER

pymemcache, and memccapable, memcstat, memcslap and memcaslap of libmemcached. What is not installed
is left out, and the test then counts as skipped, not as passed.
"""

import importlib.util
import re
import shutil
import subprocess
import sys

from larder_process import SKIPPED, Larder

TOOL_TIMEOUT_S = 60

# memccapable (1.1.4) expects an error for `delete <key> 0 noreply` and the like, which memcached
# 1.6.18 gives. 1.6.45 takes them, and so does Larder; the other tests pass on all three, those of
# the binary protocol without exception.
CAPABLE_TESTS = {"ascii": 27, "binary": 27}
CAPABLE_FAILURES = {"ascii delete", "ascii delete noreply"}


def check(is_good, text):
    if not is_good:
        raise AssertionError(text)


def check_equal(got, expected):
    check(got == expected, f"expected {str(expected)[:200]}, got {str(got)[:200]}")


def tool(*words):
    """Runs a program of libmemcached to its end; returns what it printed."""
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=TOOL_TIMEOUT_S, check=False)
    return done.returncode, done.stdout


# --- pymemcache -----------------------------------------------------------------------------------


def pymemcache_strings(client):
    """set, get, replace, add, append, prepend, delete."""
    check(client.set("a", "1", noreply=False), "set")
    check_equal(client.get("a"), b"1")
    check_equal(client.get("missing"), None)
    check_equal(client.add("a", "2", noreply=False), False)
    check_equal(client.add("b", "2", noreply=False), True)
    check_equal(client.replace("missing", "2", noreply=False), False)
    check_equal(client.replace("b", "3", noreply=False), True)
    check_equal(client.append("b", "4", noreply=False), True)
    check_equal(client.prepend("b", "2", noreply=False), True)
    check_equal(client.get("b"), b"234")
    check_equal(client.delete("b", noreply=False), True)
    check_equal(client.delete("b", noreply=False), False)


def pymemcache_many(client):
    """Several keys at once."""
    values = {f"key{i}": f"value{i}" * (i % 50) for i in range(500)}
    check_equal(client.set_many(values, noreply=False), [])
    expected = {key: value.encode() for key, value in values.items()}
    check_equal(client.get_many([*values, "missing"]), expected)
    check_equal({key: value for key, (value, _) in client.gets_many(list(values)).items()},
                expected)
    client.delete_many(list(values), noreply=False)
    check_equal(client.get_many(list(values)), {})


def pymemcache_cas(client):
    """gets and cas."""
    client.set("c", "1", noreply=False)
    value, cas = client.gets("c")
    check_equal(value, b"1")
    check_equal(client.cas("c", "2", cas, noreply=False), True)
    check_equal(client.cas("c", "3", cas, noreply=False), False)
    check_equal(client.cas("missing", "3", cas, noreply=False), None)
    check_equal(client.get("c"), b"2")


def pymemcache_numbers(client):
    """incr and decr."""
    client.set("n", "10", noreply=False)
    check_equal(client.incr("n", 5), 15)
    check_equal(client.decr("n", 16), 0)
    check_equal(client.incr("missing", 1), None)


def pymemcache_expiry(client):
    """touch and exptime."""
    client.set("e", "1", expire=-1, noreply=False)
    check_equal(client.get("e"), None)
    client.set("e", "1", expire=100, noreply=False)
    check_equal(client.touch("e", 100, noreply=False), True)
    check_equal(client.touch("missing", 100, noreply=False), False)
    check_equal(client.get("e"), b"1")


def pymemcache_noreply(client):
    """Writes that wait for nothing, then a read of what they did."""
    for i in range(1000):
        client.set(f"q{i}", str(i), noreply=True)
    client.append("q1", "x", noreply=True)
    client.delete("q2", noreply=True)
    client.incr("q3", 7, noreply=True)
    check_equal(client.get_many(["q1", "q2", "q3", "q999"]),
                {"q1": b"1x", "q3": b"10", "q999": b"999"})


def pymemcache_large(client):
    """Values to just under a megabyte, and one that is too large."""
    from pymemcache.exceptions import MemcacheServerError
    for size in (0, 1, 8191, 8192, 65536, 131072, 500000, 1048400):
        value = bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
        client.set("l", value[:size], noreply=False)
        check_equal(client.get("l"), value[:size])
    try:
        client.set("l", b"x" * 1048577, noreply=False)
        check(False, "a value that is too large was taken")
    except MemcacheServerError as error:
        check(b"too large" in error.args[0], f"another error: {error}")
    # That error closes this client's connection; it makes a new one.
    check_equal(client.get("l"), None)


def pymemcache_admin(client):
    """stats, version, flush_all."""
    stats = client.stats()
    check(stats[b"curr_items"] > 0, "no items are counted")
    check(isinstance(stats[b"rusage_user"], float), "rusage_user is no number")
    settings = client.stats("settings")
    check_equal(settings[b"cas_enabled"], b"yes")
    check(client.version().startswith(b"1.6."), f"version {client.version()}")
    client.flush_all(noreply=False)
    check_equal(client.get("a"), None)


def run_pymemcache(port):
    from pymemcache.client.base import Client
    sessions = [
        pymemcache_strings, pymemcache_many, pymemcache_cas, pymemcache_numbers, pymemcache_expiry,
        pymemcache_noreply, pymemcache_large, pymemcache_admin,
    ]
    client = Client(("127.0.0.1", port), connect_timeout=5, timeout=10)
    for session in sessions:
        session(client)
    client.quit()
    return f"{len(sessions)} sessions"


# --- libmemcached ---------------------------------------------------------------------------------


def run_memccapable(port):
    results = {}
    for protocol, option in (("ascii", "-a"), ("binary", "-b")):
        _, output = tool("memccapable", option, "-h", "127.0.0.1", "-p", str(port))
        found = dict(re.findall(rf"^({protocol} [a-z ]*?) +\[(pass|FAIL)\]", output, re.MULTILINE))
        # Its last line is put into that of the last test.
        found.update(re.findall(rf"^({protocol} [a-z]+) +\d+ of \d+ tests failed\n\[(pass|FAIL)\]",
                                output, re.MULTILINE))
        check_equal(len(found), CAPABLE_TESTS[protocol])
        failed = {name for name, result in found.items() if result == "FAIL"}
        check(failed <= CAPABLE_FAILURES, f"failed: {sorted(failed)}\n{output}")
        results.update(found)
    failed = sorted(name for name, result in results.items() if result == "FAIL")
    return f"{len(results) - len(failed)} of {len(results)} pass; as expected not {failed}"


def run_memcstat(port):
    rows = []
    for option in ([], ["--binary"]):
        status, output = tool("memcstat", f"--servers=127.0.0.1:{port}", *option)
        check_equal(status, 0)
        check(re.search(r"^\s*curr_items: \d+$", output, re.MULTILINE), output)
        rows.append(len(output.splitlines()) - 1)
    check_equal(rows[1], rows[0])
    return f"{rows[0]} rows in both protocols"


def run_memcslap(port):
    for test in ("set", "get", "mget"):
        for option in ([], ["--binary"]):
            status, output = tool("memcslap", f"--servers=127.0.0.1:{port}", "--concurrency=4",
                                  "--execute-number=2000", f"--test={test}", *option)
            check(status == 0 and "Time total" in output, f"{test}: {output}")
    return "set, get and mget, 2000 each on 4 connections, in both protocols"


def run_memcaslap(port):
    # Every reply is compared with what was stored. Not with --overwrite: then the tool itself no
    # longer knows, and counts as many failures with memcached.
    loads = (["-X", "100"], ["-X", "300", "-d", "50"], ["-X", "3000"], ["-X", "20000"],
             ["-X", "100", "-B"], ["-X", "300", "-d", "50", "-B"], ["-X", "20000", "-B"])
    for options in loads:
        status, output = tool("memcaslap", "-s", f"127.0.0.1:{port}", "-T", "1", "-c", "8", "-x",
                              "10000", "-v", "1.0", *options)
        check_equal(status, 0)
        for count in ("verify_failed", "verify_misses"):
            check(f"{count}: 0\n" in output, f"{options}: {output}")
    return f"{len(loads)} loads of 10000, text and binary, every value verified"


PARTS = {
    "pymemcache": run_pymemcache,
    "memccapable": run_memccapable,
    "memcstat": run_memcstat,
    "memcslap": run_memcslap,
    "memcaslap": run_memcaslap,
}


def is_installed(name):
    if name == "pymemcache":
        return importlib.util.find_spec(name) is not None
    return shutil.which(name) is not None


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    failed = []
    missing = [name for name in PARTS if not is_installed(name)]
    # Room for all that they store: what is evicted would look lost.
    with Larder(sys.argv[1], "-m", "1024") as port:
        for name, run in PARTS.items():
            if name in missing:
                continue
            try:
                print(f"passed   {name}: {run(port)}", flush=True)
            except Exception as error:  # Whatever a client library raises.
                failed.append(name)
                print(f"FAILED   {name}: {error}", flush=True)
    for name in missing:
        print(f"SKIPPED: {name} is not installed (scripts/install-deps test)", flush=True)
    if failed:
        return 1
    return SKIPPED if missing else 0


if __name__ == "__main__":
    sys.exit(main())
