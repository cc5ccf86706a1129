"""A larder process of its own, for the tests that need the real program."""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 20
PATIENCE_S = 20

# What CTest is told by its SKIP_RETURN_CODE: shown as skipped, not as passed.
SKIPPED = 77


def skip(reason):
    """Ends the test, for a reason that nobody should overlook."""
    print(f"SKIPPED: {reason}", flush=True)
    sys.exit(SKIPPED)


def command(program, port, *options):
    """The command line of a larder on a loopback port; -1 is any free one."""
    words = [str(program), "-l", "127.0.0.1", "-p", str(port), *options]
    if os.geteuid() == 0:
        words += ["-u", "root"]
    return words


class Larder:
    """`with Larder(program) as port:` runs it on a free port, and ends it by its pid."""

    def __init__(self, program, *options, environment=None, log=None, closed=()):
        """`log` is a file for its standard error; of 0, 1 and 2, it starts without those `closed`."""
        self._command = command(program, -1, *options)
        self._environment = {**os.environ, **(environment or {})}
        self._log = log
        self._closed = closed
        self._process = None
        # Killed, or ended with a status that was expected.
        self._has_ended_otherwise = False

    @property
    def pid(self):
        return self._process.pid

    def has_ended(self):
        return self._process.poll() is not None

    def send_signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        """Ends it at once: no orderly stop, and no complaint that it ended."""
        self._process.kill()
        self._process.wait()
        self._has_ended_otherwise = True

    def terminate(self, status):
        """Asks it to stop, and expects it to exit with this status instead of 0."""
        self._process.terminate()
        check_equal(self._process.wait(STOP_TIMEOUT_S), status)
        self._has_ended_otherwise = True

    def wait(self):
        self._process.wait(STOP_TIMEOUT_S)

    def __enter__(self):
        with tempfile.TemporaryDirectory() as folder:
            port_file = pathlib.Path(folder) / "ports"
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stderr=self._log,
                preexec_fn=lambda: [os.close(standard) for standard in self._closed],
                env={**self._environment, "MEMCACHED_PORT_FILENAME": str(port_file)})
            deadline = time.monotonic() + START_TIMEOUT_S
            while not port_file.exists():
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__()
                    sys.exit(f"{' '.join(self._command)} did not start")
                time.sleep(0.01)
            return int(port_file.read_text().split(":")[1])

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                sys.exit("larder ignores SIGTERM")
        if self._process.returncode != 0 and not self._has_ended_otherwise:
            sys.exit(f"larder ended with status {self._process.returncode}")


def check_equal(got, expected):
    if got != expected:
        raise AssertionError(f"expected {expected!r}, got {got!r}")


class Client:
    """A connection that speaks the text protocol."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._lines = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._lines.close()
        self._socket.close()

    def send(self, request):
        self._socket.sendall(request)

    def ask(self, request):
        self.send(request)
        return self._lines.readline()

    def set(self, key, value, flags=0, exptime=0):
        head = f"set {key} {flags} {exptime} {len(value)}\r\n".encode()
        check_equal(self.ask(head + value + b"\r\n"), b"STORED\r\n")

    def get(self, key):
        """The value, or None."""
        head = self.ask(f"get {key}\r\n".encode())
        if head == b"END\r\n":
            return None
        value = self._lines.read(int(head.split()[3]))
        check_equal(self._lines.read(7), b"\r\nEND\r\n")
        return value

    def meta(self, key, flags):
        return self.ask(f"mg {key} {flags}\r\n".encode())

    def rows(self, group):
        """All numbers of a group of statistics, by name."""
        self.send(f"stats {group}\r\n".encode())
        lines = iter(self._lines.readline, b"END\r\n")
        return {name: int(number) for _, name, number in (line.decode().split() for line in lines)}

    def stat(self, name, group=""):
        self.send(f"stats {group}".strip().encode() + b"\r\n")
        found = None
        for line in iter(self._lines.readline, b"END\r\n"):
            words = line.decode().split(" ", 2)
            if words[1] == name:
                found = words[2].strip()
        return found
