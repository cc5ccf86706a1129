#!/usr/bin/env -S python3 -B
"""Signals at any moment: signal_test.py LARDER [--moments N] [--seed N]

A server on a memory file is told to stop, and to read its files again, at random moments of its
start, of the restore, while it runs, while it saves and while it ends. Each time it ends with 0, and
what was saved is there again. Then it is killed at moments of its start: that loses nothing either.
"""

import argparse
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

from larder_process import Client, check_equal, command

PATIENCE_S = 60
MEMORY = ("-m", "128", "-t", "2", "-o", "no_lru_crawler")
ITEMS = 300_000
BATCH = 5_000
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
CAUGHT = (*STOPS, signal.SIGHUP)


def value_of(number):
    return b"%d:" % number + b"v" * (number % 100)


def store_all(client):
    for begin in range(0, ITEMS, BATCH):
        client.send(b"".join(
            b"set key%d 0 0 %d noreply\r\n%s\r\n" % (number, len(value_of(number)), value_of(number))
            for number in range(begin, begin + BATCH)))
    check_equal(client.stat("curr_items"), str(ITEMS))


def check_items(client, chance):
    """All are there, and some hundred are looked at."""
    check_equal(client.stat("curr_items"), str(ITEMS))
    for number in chance.sample(range(ITEMS), 300):
        check_equal(client.get(f"key{number}"), value_of(number))


class Server:
    """A larder that was started with signals blocked: it has to be ready for them itself, for
    before main begins nobody can be."""

    def __init__(self, program, folder):
        self._port_file = folder / "ports"
        self._port_file.unlink(missing_ok=True)
        self._log = open(folder / "log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            command(program, -1, "-e", str(folder / "items"), *MEMORY), stdin=subprocess.DEVNULL,
            stderr=self._log, env={**os.environ, "MEMCACHED_PORT_FILENAME": str(self._port_file)},
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, CAUGHT))

    def port(self):
        """Once it serves; None if it has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._port_file.exists():
            if self.process.poll() is not None:
                return None
            if time.monotonic() > deadline:
                raise AssertionError("it neither serves nor ends")
            time.sleep(0.005)
        return int(self._port_file.read_text().split(":")[1])

    def check_masks(self):
        """Only the first thread takes the signals: the others sleep in ways that no signal ends."""
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            blocked = int(re.search(r"SigBlk:\s*(\w+)", (task / "status").read_text())[1], 16)
            wanted = task.name != str(self.process.pid)
            check_equal([number for number in CAUGHT if (blocked >> (number - 1) & 1) != wanted], [])

    def check_ignored(self):
        """A write that a closed connection or a limit refuses is an error, not the end."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        ignored = int(re.search(r"SigIgn:\s*(\w+)", status)[1], 16)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            check_equal(ignored >> (number - 1) & 1, 1)

    def log(self):
        self._log.seek(0)
        return self._log.read()

    def send(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def end(self):
        self.process.wait(PATIENCE_S)
        if self.process.returncode != 0:
            raise AssertionError(f"it ended with {self.process.returncode}: {self.log()}")
        self._log.close()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:  # Something failed.
            self.kill()


def whole_start_s(program, folder):
    """How long a start takes until it serves, and a stop."""
    started_at = time.monotonic()
    with Server(program, folder) as server:
        with Client(server.port()) as client:
            start_s = time.monotonic() - started_at
            check_equal(client.stat("curr_items"), str(ITEMS))
            server.check_masks()
            server.check_ignored()
        stopped_at = time.monotonic()
        server.send(signal.SIGTERM)
        server.end()
    return start_s, time.monotonic() - stopped_at


def one_moment(program, folder, chance, times):
    """One life of a server; where it was when it was told to stop."""
    with Server(program, folder) as server:
        return told_to_stop(server, chance, times)


def told_to_stop(server, chance, times):
    start_s, stop_s = times
    place = chance.choice(("start", "start", "run", "stop"))
    if place == "start":
        for _ in range(chance.randrange(3)):
            time.sleep(chance.random() * start_s / 3)
            server.send(signal.SIGHUP)
        time.sleep(chance.random() * start_s)
    else:
        with Client(server.port()) as client:
            check_items(client, chance)
            server.send(signal.SIGHUP)
            time.sleep(chance.random() * 0.02)
    server.send(chance.choice(STOPS))
    if place == "stop":
        for _ in range(1 + chance.randrange(4)):
            time.sleep(chance.random() * stop_s / 2)
            server.send(chance.choice(CAUGHT))
    serves = server.port() is not None
    server.process.wait(PATIENCE_S)
    text = server.log()
    server.end()
    if "starts empty" in text:
        raise AssertionError(text)
    if "saved" in text:
        return "saved"
    if serves or "stopped" not in text:
        raise AssertionError(f"serves: {serves}, and its last words are: {text}")
    return "while it was read" if "while its items" in text else "otherwise before it served"


def one_kill(program, folder, chance, times):
    """False if it may have served: from then on a kill begins empty."""
    with Server(program, folder) as server:
        time.sleep(chance.random() * times[0] * 0.9)
        text = server.log()
        server.kill()
    return "restored" not in text


def saved_by(program, folder, work):
    """One life of a server in which a client does `work`."""
    with Server(program, folder) as server:
        with Client(server.port()) as client:
            work(client)
        server.send(signal.SIGTERM)
        server.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("larder")
    parser.add_argument("--moments", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    program = arguments.larder
    print(f"seed {arguments.seed}, {arguments.moments} moments", flush=True)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as name:
        folder = pathlib.Path(name)
        saved_by(program, folder, store_all)
        times = whole_start_s(program, folder)
        print(f"a start takes {times[0]:.2f} s, a stop {times[1]:.2f} s", flush=True)
        seen = {}
        for moment in range(arguments.moments):
            seed = f"{arguments.seed}.{moment}"
            try:
                what = one_moment(program, folder, random.Random(seed), times)
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                print(f"FAILED   moment {moment} of seed {arguments.seed}: {error}", flush=True)
                return 1
            seen[what] = seen.get(what, 0) + 1
        killed = 0
        for moment in range(max(1, arguments.moments // 6)):
            chance = random.Random(f"{arguments.seed}.kill.{moment}")
            if not one_kill(program, folder, chance, times):
                saved_by(program, folder, store_all)
                continue
            killed += 1
            saved_by(program, folder, lambda client: check_items(client, chance))
        saved_by(program, folder, lambda client: check_items(client, random.Random(0)))
        print("passed   " + ", ".join(f"{count} {what}" for what, count in sorted(seen.items())) +
              f"; {killed} killed before they served", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
