#!/usr/bin/env -S python3 -B
"""Restarts as only a process shows them: restart_test.py LARDER

Which ways to end keep the items, and that no moment of being killed brings back anything wrong.
"""

import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib

from larder_process import Client, Larder, check_equal, command

PATIENCE_S = 20
MEMORY = ("-m", "16", "-t", "2")
KILLS_UNDER_LOAD = 6
KILLS_WHILE_STOPPING = 10
KEYS = 3000
LIMITED_ID = 54321  # Of a user and a group that have nothing else: limits count what a user has.


def value_of(key, salt, size):
    """Bytes that tell their key, and whether all of them are as they were."""
    body = (f"{key} {salt} ".encode() * (size // 8 + 1))[:size]
    return body + b" %08x" % zlib.crc32(f"{key} ".encode() + body)


def check_value(key, value):
    body, crc = value[:-9], value[-8:]
    if crc != b"%08x" % zlib.crc32(f"{key} ".encode() + body):
        raise AssertionError(f"{key} has a wrong value of {len(value)} bytes")


def size_of(number):
    return 300_000 if number % 500 == 0 else number % 1500


def fill(client, salt):
    for number in range(KEYS):
        client.set(f"key{number}", value_of(f"key{number}", salt, size_of(number)))


def count_present(client):
    """How many keys are there, each with a right value."""
    present = 0
    for number in range(KEYS):
        value = client.get(f"key{number}")
        if value is not None:
            check_value(f"key{number}", value)
            present += 1
    return present


def by_signal(number):
    return lambda larder, client: larder.send_signal(number)


def by_command(words):
    return lambda larder, client: client.send(words + b"\r\n")


def every_orderly_stop_keeps_the_items(program, folder):
    options = ("-e", str(folder / "items"), "-A", *MEMORY)
    larder = Larder(program, *options)
    with larder as port, Client(port) as client:
        fill(client, "first")
        client.set("flags", b"value", flags=123)
        client.set("lasting", b"value", exptime=1000)
        expected = count_present(client)
        cas = client.meta("flags", "c f")
        larder.send_signal(signal.SIGTERM)
        larder.wait()
    for stop in (by_signal(signal.SIGINT), by_signal(signal.SIGUSR1), by_command(b"shutdown"),
                 by_command(b"shutdown graceful"), by_signal(signal.SIGTERM)):
        larder = Larder(program, *options)
        with larder as port, Client(port) as client:
            check_equal(count_present(client), expected)
            check_equal(client.meta("flags", "c f"), cas)
            check_equal(client.stat("memory_file", "settings"), str(folder / "items"))
            ttl = int(client.meta("lasting", "t").split()[1][1:])
            if not 900 < ttl <= 1000:
                raise AssertionError(f"{ttl} seconds are left of 1000")
            stop(larder, client)
            larder.wait()


def clients_in_the_middle_of_a_request_do_not_hold_it_up(program, folder):
    options = ("-e", str(folder / "items"), *MEMORY)
    larder = Larder(program, *options)
    with larder as port, Client(port) as client, Client(port) as half, Client(port) as slow:
        fill(client, "first")
        half.send(b"set half 0 0 900000\r\n" + b"x" * 100_000)
        slow.send(b"get key500\r\n" * 100)  # 30 MB that it never reads.
        expected = count_present(client)
        larder.send_signal(signal.SIGTERM)
        larder.wait()
    with Larder(program, *options) as port, Client(port) as client:
        # Less by what made room for the one that never came.
        check_equal(0 < count_present(client) <= expected, True)
        check_equal(client.get("half"), None)


def time_passes_while_it_is_down(program, folder):
    options = ("-e", str(folder / "items"), *MEMORY)
    with Larder(program, *options) as port, Client(port) as client:
        client.set("gone", b"value", exptime=1)
        client.set("flushed", b"value")
        client.set("there", b"value", exptime=1000)
        check_equal(client.ask(b"flush_all 500\r\n"), b"OK\r\n")
    time.sleep(2)
    with Larder(program, *options) as port, Client(port) as client:
        check_equal(client.get("gone"), None)
        check_equal(client.get("there"), b"value")
        check_equal(client.get("flushed"), b"value")
        # Due while it is down: whoever comes back finds nothing.
        check_equal(client.ask(b"flush_all 1\r\n"), b"OK\r\n")
        larder_time = int(client.stat("time"))
    while time.time() < larder_time + 2:
        time.sleep(0.1)
    with Larder(program, *options) as port, Client(port) as client:
        check_equal(client.get("there"), None)


def a_memory_file_has_one_server(program, folder):
    options = ("-e", str(folder / "items"), *MEMORY)
    with Larder(program, *options) as port, Client(port) as client:
        client.set("key", b"value")
        done = subprocess.run(command(program, -1, *options), stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False)
        check_equal(done.returncode, 71)
        check_equal(done.stderr.strip(),
                    f"memory file {folder}/items is in use by another process")
        check_equal(client.get("key"), b"value")


def a_start_that_fails_loses_nothing(program, folder):
    options = ("-e", str(folder / "items"), *MEMORY)
    with Larder(program, *options) as port, Client(port) as client:
        client.set("key", b"value")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(command(program, taken.getsockname()[1], *options),
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              timeout=PATIENCE_S, check=False)
        if done.returncode == 0:
            raise AssertionError("it started on a port that is in use")
    with Larder(program, *options) as port, Client(port) as client:
        check_equal(client.get("key"), b"value")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# Looking for leaks, which a sanitizer does at the end, takes a process and a descriptor more. And one
# goes on after what it takes for a fault: see NO_PIPE_FOR_SANITIZER.
SANITIZERS_SHORT_OF_ALL = {"ASAN_OPTIONS": "detect_leaks=0",
                           "UBSAN_OPTIONS": "halt_on_error=0:print_stacktrace=0"}
# The undefined behaviour sanitizer opens a pipe to learn whether an object's memory may be read; out
# of descriptors, it takes every object for none.
NO_PIPE_FOR_SANITIZER = re.compile("which does not point to an object of type|"
                                   "note: object has invalid vptr|^<memory cannot be printed>$")


def starts_with(limit, number, words, port):
    """Whether the server starts when it may have `number` of what `limit` limits; it must end in
    order, one way or the other."""
    def become_limited():
        if os.geteuid() == 0:
            os.setgid(LIMITED_ID)
            os.setgroups([])
            os.setuid(LIMITED_ID)
        resource.setrlimit(limit, (number, number))

    # Faults that are none of those are still a line too many.
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               env=os.environ | SANITIZERS_SHORT_OF_ALL,
                               preexec_fn=become_limited)
    deadline = time.monotonic() + PATIENCE_S
    serves = False
    while process.poll() is None and not serves:
        if time.monotonic() > deadline:
            process.kill()
            raise AssertionError("it neither starts nor ends")
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
            serves = True
        except (ConnectionRefusedError, ConnectionResetError):  # Not yet, or it just ended.
            time.sleep(0.005)
    if process.poll() is None:
        process.terminate()
    _, text = process.communicate(timeout=PATIENCE_S)
    others = ("memory file ", "<jemalloc>: ")
    lines = [line for line in text.splitlines()
             if not line.startswith(others) and not NO_PIPE_FOR_SANITIZER.search(line)]
    if serves and process.returncode == 0:
        return True
    if serves or process.returncode != 71 or len(lines) != 1:
        raise AssertionError(f"with {number} it ended with {process.returncode}: {text}")
    return False


def a_start_that_lacks_threads_or_descriptors_loses_nothing(program, folder):
    folder.chmod(0o755)
    own = folder / "own"
    own.mkdir()
    copy = own / "larder"
    shutil.copy(program, copy)
    options = ("-e", str(own / "items"), *MEMORY, "-c", "2")
    with Larder(program, *options) as port, Client(port) as client:
        fill(client, "first")
        expected = count_present(client)
    if os.geteuid() == 0:
        for path in (own, own / "items"):
            os.chown(path, LIMITED_ID, LIMITED_ID)
    port = free_port()
    words = [str(copy), "-l", "127.0.0.1", "-p", str(port), *options]
    for limit, first in ((resource.RLIMIT_NPROC, 1), (resource.RLIMIT_NOFILE, 4)):
        number = first
        while not starts_with(limit, number, words, port):
            number += 1
            if number > first + 60 or (limit == resource.RLIMIT_NPROC and os.geteuid() != 0):
                break
        check_equal(number > first or os.geteuid() != 0, True)
    if os.geteuid() == 0:
        os.chown(own / "items", 0, 0)
    with Larder(program, *options) as port, Client(port) as client:
        check_equal(count_present(client), expected)


def a_user_that_cannot_be_looked_up_is_no_unknown_user(program, _):
    if os.geteuid() != 0:
        return
    # Enough for the libraries, which are opened one at a time, but not for the list of users.
    limit = subprocess.run([program, "-u", "daemon", "-c", "1", "-p", "0", "-U", "0"],
                           stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
                           env=os.environ | SANITIZERS_SHORT_OF_ALL,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4)),
                           timeout=PATIENCE_S)
    check_equal(limit.returncode, 71)
    if "failed to look up the user daemon: Too many open files" not in limit.stderr:
        raise AssertionError(limit.stderr)


def other_files_are_refused_and_stay_as_they_are(program, folder):
    note = folder / "note"
    note.write_text("not a memory file\n" * 1000)
    link = folder / "link"
    link.symlink_to(folder / "nothing")
    shared = folder / "shared"
    shared.touch(0o644)
    for path, reason in ((note, "was not written by larder: it stays as it is"),
                         (link, "is a symbolic link"),
                         (shared, "has mode 644, not 600: others may have read or changed it")):
        before = path.lstat()
        done = subprocess.run(command(program, -1, "-e", str(path), *MEMORY),
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              timeout=PATIENCE_S, check=False)
        check_equal(done.stderr.strip(), f"memory file {path} {reason}")
        check_equal(done.returncode, 71)
        after = path.lstat()
        check_equal((after.st_size, after.st_mtime_ns), (before.st_size, before.st_mtime_ns))
    check_equal((folder / "nothing").exists(), False)


def no_space_is_told(program, _):
    full = "/dev/shm/larder-restart-test-no-space"
    if not os.path.isdir("/dev/shm") or os.statvfs("/dev/shm").f_blocks == 0:
        print("         not tried: no /dev/shm with a limit", flush=True)
        return
    try:
        done = subprocess.run(
            command(program, -1, "-e", full, "-m", str(1 << 24)), stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False)
        check_equal(done.returncode, 71)
        if f"for memory file {full} (-e): " not in done.stderr:
            raise AssertionError(done.stderr)
        check_equal(os.path.exists(full), False)
    finally:
        pathlib.Path(full).unlink(missing_ok=True)


def sizes_of_files_may_be_limited(program, folder):
    options = ("-e", str(folder / "items"), *MEMORY)
    limit = 1 << 20

    def start():
        done = subprocess.run(command(program, -1, *options), stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                                                    (limit, limit)))
        check_equal(done.returncode, 71)
        if f"for memory file {folder}/items (-e): File too large" not in done.stderr:
            raise AssertionError(done.stderr)

    start()
    check_equal((folder / "items").exists(), False)
    with Larder(program, *options) as port, Client(port) as client:
        fill(client, "first")
        expected = count_present(client)
    # A file that has its size already is as little of use: what is past the limit cannot be written.
    start()
    larder = Larder(program, *options)
    with larder as port, Client(port) as client:
        check_equal(count_present(client), expected)
        # The save fails, and the program says so.
        resource.prlimit(larder.pid, resource.RLIMIT_FSIZE, (limit, limit))
        larder.terminate(71)
    with Larder(program, *options) as port, Client(port) as client:
        check_equal(count_present(client), 0)


def the_limit_is_bounded_by_the_file(program, folder):
    with Larder(program, "-e", str(folder / "items"), *MEMORY) as port, Client(port) as client:
        check_equal(client.ask(b"cache_memlimit 17\r\n"),
                    b"MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n")
        for megabytes in (8, 16):
            check_equal(client.ask(b"cache_memlimit %d\r\n" % megabytes), b"OK\r\n")
            fill(client, megabytes)
            check_equal(count_present(client) > 0, True)


def a_share_of_the_memory_shows_as_bytes(program, _):
    with Larder(program, "-m", "50%") as port, Client(port) as client:
        shown = int(client.stat("maxbytes", "settings"))
        check_equal(int(client.stat("limit_maxbytes")), shown)
    check_equal(shown % (1 << 20), 0)
    check_equal(shown > 0, True)


def the_memory_adds_up_on_a_file(program, folder):
    """Right after a restart too, when the process has touched little of what the file has."""
    options = ("-e", str(folder / "items"), *MEMORY)
    for is_restarted in (False, True):
        with Larder(program, *options) as port, Client(port) as client:
            if not is_restarted:
                fill(client, "first")
            for _ in range(2):
                rows = client.rows("memory")
                wrong = {name: bytes for name, bytes in rows.items() if bytes < 0}
                check_equal(wrong, {})
                names = list(rows)
                parts = names[names.index("rss") + 1:names.index("other") + 1]
                check_equal(sum(rows[name] for name in parts), rows["rss"])
                arena = ("items", "slack", "free_chunks", "page_tails", "free_pages", "ahead")
                check_equal(sum(rows[f"arena_{name}"] for name in arena) - rows["arena_untouched"],
                            rows["arena"])
                check_equal(count_present(client) > 0, True)
            # All that was read is in memory now.
            check_equal(client.rows("memory")["arena"] > (4 << 20), True)


def a_relative_path_outlives_the_folder(program, folder):
    """With -d the server leaves its folder."""
    pid_file = folder / "pid"
    port_file = folder / "ports"
    done = subprocess.run(
        command(pathlib.Path(program).resolve(), -1, "-e", "items", "-d", "-P", str(pid_file),
                *MEMORY),
        cwd=folder, env={"MEMCACHED_PORT_FILENAME": str(port_file)}, timeout=PATIENCE_S, check=False)
    check_equal(done.returncode, 0)
    deadline = time.monotonic() + PATIENCE_S
    while not pid_file.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    pid = int(pid_file.read_text())
    with Client(int(port_file.read_text().split(":")[1])) as client:
        check_equal(client.stat("memory_file", "settings"), str(folder / "items"))
        check_equal((folder / "items").exists(), True)
        check_equal(client.stat("pid"), str(pid))
    subprocess.run(["kill", str(pid)], check=True)
    while pid_file.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def log_lines_go_nowhere_without_standard_files(program, folder):
    """Never into the memory file."""
    options = ("-e", str(folder / "items"), *MEMORY)
    for closed in ((2,), (0, 1, 2), (0, 2)):
        (folder / "items").unlink(missing_ok=True)
        with Larder(program, *options, "-vv", closed=closed) as port, Client(port) as client:
            fill(client, "first")
            expected = count_present(client)
            # More lines than fit before the items.
            for _ in range(100):
                client.send((b"get " + b"k" * 250 + b"\r\n") * 100)
                for _ in range(100):
                    check_equal(client.ask(b""), b"END\r\n")
        with Larder(program, *options) as port, Client(port) as client:
            check_equal(count_present(client), expected)


def check_threads(pid):
    """Of a server with three workers; a thread gives itself its name."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        threads = [(task / "comm").read_text().strip()
                   for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        if "jemalloc_bg_thd" in threads or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    check_equal(threads.count("jemalloc_bg_thd"), 1)
    check_equal(len(threads), 9)  # With main, the reporter, the watch hub, and two for the cache.


def one_thread_gives_memory_back(program, folder):
    """With -d too: threads do not survive a fork."""
    parts = pathlib.Path(program).read_bytes()
    if b"jemalloc_bg_thd" not in parts and b"libjemalloc.so" not in parts:
        print("         not tried: it has no jemalloc of its own", flush=True)
        return
    larder = Larder(program, "-t", "3")
    with larder:
        check_threads(larder.pid)
    pid_file = folder / "pid"
    subprocess.run(command(pathlib.Path(program).resolve(), -1, "-d", "-t", "3", "-P", str(pid_file)),
                   cwd=folder, timeout=PATIENCE_S, check=True)
    deadline = time.monotonic() + PATIENCE_S
    while not pid_file.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    pid = int(pid_file.read_text())
    try:
        check_threads(pid)
    finally:
        os.kill(pid, signal.SIGTERM)


class Load(threading.Thread):
    """Stores self-checking values until the server is gone."""

    def __init__(self, port, seed):
        super().__init__()
        self._port = port
        self._random = random.Random(seed)

    def run(self):
        try:
            with Client(self._port) as client:
                while True:
                    number = self._random.randrange(KEYS)
                    key = f"key{number}"
                    client.set(key, value_of(key, self._random.random(), size_of(number)))
                    if number % 10 == 0:
                        client.ask(f"delete key{number + 1}\r\n".encode())
        except (OSError, AssertionError, IndexError):
            pass  # Killed in the middle of an answer.


def a_kill_under_load_begins_empty(program, folder):
    options = ("-e", str(folder / "items"), *MEMORY)
    with Larder(program, *options) as port, Client(port) as client:
        fill(client, "before")
    for turn in range(KILLS_UNDER_LOAD):
        larder = Larder(program, *options)
        with larder as port:
            with Client(port) as client:
                check_equal(count_present(client) > 0, turn == 0)
            load = Load(port, turn)
            load.start()
            time.sleep(random.Random(turn).random() * 0.2)
            larder.kill()
            load.join()
    with Larder(program, *options) as port, Client(port) as client:
        check_equal(client.stat("curr_items"), "0")
        fill(client, "after")
        check_equal(count_present(client) > 0, True)


def a_kill_while_stopping_or_starting_brings_back_all_or_nothing(program, folder):
    options = ("-e", str(folder / "items"), *MEMORY)
    kept = 0
    for turn in range(KILLS_WHILE_STOPPING):
        chance = random.Random(turn)
        larder = Larder(program, *options)
        with larder as port:
            with Client(port) as client:
                fill(client, turn)
                expected = count_present(client)
            load = Load(port, turn)
            if turn % 2 == 0:
                load.start()
            larder.send_signal(signal.SIGTERM)
            time.sleep(chance.random() * 0.06)
            larder.kill()
            if turn % 2 == 0:
                load.join()
        starting = subprocess.Popen(command(program, -1, *options), stdin=subprocess.DEVNULL)
        if turn % 3 == 0:
            time.sleep(chance.random() * 0.03)
        starting.kill()
        starting.wait()
        with Larder(program, *options) as port, Client(port) as client:
            present = count_present(client)
            if turn % 2 != 0 and present not in (0, expected):
                raise AssertionError(f"{present} items came back, not 0 or {expected}")
            kept += present > 0
            check_equal(client.stat("curr_items") == "0", present == 0)
    print(f"         kept after {kept} of {KILLS_WHILE_STOPPING} kills while stopping", flush=True)


CASES = [
    every_orderly_stop_keeps_the_items,
    clients_in_the_middle_of_a_request_do_not_hold_it_up,
    time_passes_while_it_is_down,
    a_memory_file_has_one_server,
    a_start_that_fails_loses_nothing,
    a_start_that_lacks_threads_or_descriptors_loses_nothing,
    a_user_that_cannot_be_looked_up_is_no_unknown_user,
    other_files_are_refused_and_stay_as_they_are,
    no_space_is_told,
    sizes_of_files_may_be_limited,
    the_limit_is_bounded_by_the_file,
    a_share_of_the_memory_shows_as_bytes,
    the_memory_adds_up_on_a_file,
    a_relative_path_outlives_the_folder,
    log_lines_go_nowhere_without_standard_files,
    one_thread_gives_memory_back,
    a_kill_under_load_begins_empty,
    a_kill_while_stopping_or_starting_brings_back_all_or_nothing,
]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    failed = 0
    for case in CASES:
        name = case.__name__.replace("_", " ")
        started_at = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as folder:
                case(sys.argv[1], pathlib.Path(folder))
            print(f"passed   {name} ({time.monotonic() - started_at:.1f} s)", flush=True)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"FAILED   {name}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
