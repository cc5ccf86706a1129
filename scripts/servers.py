"""Starting, watching and ending the servers that scripts/bench, scripts/neighbours and
scripts/replay compare.

Every server runs on a free loopback port, pinned to one core, and ends with the `with` block that
started it: by its own pid, and also if this script is killed.
"""

import contextlib
import ctypes
import os
import pathlib
import platform
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build" / "release"
LARDER = BUILD / "larder"
TOOLS = BUILD / "tests" / "bench"
PEER = "/usr/bin/memcached"

START_TIMEOUT_S = 15
STOP_TIMEOUT_S = 15
BUILD_TIMEOUT_S = 1800
PR_SET_PDEATHSIG = 1

# Loaded now: between fork and exec it would be too late.
_LIBC = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """Something that the user should read, and no more than that."""


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def print_columns(lines):
    """Prints rows of texts, right-aligned."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths)))


def ensure_built(*programs):
    """Builds the release preset if one of the programs, default ones only, is missing."""
    missing = [program for program in programs if not pathlib.Path(program).exists()]
    if not missing:
        return
    foreign = [str(program) for program in missing if BUILD not in pathlib.Path(program).parents]
    if foreign:
        raise BenchError(f"there is no {', '.join(foreign)}")
    say(f"building {', '.join(pathlib.Path(p).name for p in missing)} (release preset)")
    for command in (["cmake", "--preset", "release"], ["cmake", "--build", "--preset", "release"]):
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=BUILD_TIMEOUT_S, check=False)
        if done.returncode != 0:
            raise BenchError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def split_command(text):
    """The words of a server's command line, its program found and absolute."""
    words = shlex.split(text)
    program = shutil.which(words[0]) if words else None
    if program is None:
        hint = ""
        if words and os.path.basename(words[0]) == "memcached":
            hint = "; `scripts/install-deps bench` installs memcached (without starting it)"
        raise BenchError(f"there is no program {words[0] if words else '(empty)'!r}{hint}")
    return [os.path.abspath(program)] + words[1:]


def raise_file_limit(wanted):
    """Lets this process and its children open that many files, if that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return True
    for limits in ((wanted, max(wanted, hard)), (min(wanted, hard), hard)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            return limits[0] >= wanted
    return False


class Cores:
    """Which core the servers and which the load generators run on."""

    def __init__(self):
        cores = sorted(os.sched_getaffinity(0))
        self.are_apart = len(cores) >= 2
        self.server = {cores[0]}
        self.client = {cores[1]} if self.are_apart else {cores[0]}

    def describe(self):
        if self.are_apart:
            return f"server on core {min(self.server)}, load generator on core {min(self.client)}"
        return ("ONE CORE ONLY: server and load generator share it, so ops/s and latencies mean "
                "little (CPU per operation still does)")


def run_on(cores, file_limit=None):
    """For Popen's preexec_fn: pin to these cores, and die with this script."""
    def prepare():
        os.sched_setaffinity(0, cores)
        if file_limit is not None:
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (file_limit, hard))
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return prepare


def cpu_model():
    found = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    return found.group(1) if found else platform.machine()


def run_client(command, cores, timeout_s):
    """Runs a load generator to its end; returns the finished process, whatever it says."""
    try:
        return subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=timeout_s, check=False, preexec_fn=run_on(cores.client))
    except subprocess.TimeoutExpired as error:
        name = os.path.basename(str(command[0]))
        raise BenchError(f"{name} did not end within {timeout_s:.0f} seconds") from error


class Server:
    """One server process: `with Server(...) as server:`."""

    def __init__(self, name, command, cores, *, memory_mb, connections=1024, prefix=(), tls=None):
        self.name = name
        self.command = command
        self.cores = cores
        self.memory_mb = memory_mb
        self.connections = connections
        self.prefix = list(prefix)  # A program that runs the server, as valgrind does.
        self.tls = tls  # (certificate, key): the load is for tls_port; all else stays plain.
        self.port = None
        self.tls_port = None
        self.process = None
        self._log = None

    def __enter__(self):
        for attempts_left in (2, 1, 0):
            try:
                self._start()
                return self
            except BenchError:
                self.stop()
                # Someone else may have taken the port in the meantime.
                if attempts_left == 0:
                    raise
            except BaseException:
                self.stop()
                raise
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    def _start(self):
        with socket.socket() as probe, socket.socket() as tls_probe:
            probe.bind(("127.0.0.1", 0))
            tls_probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
            self.tls_port = tls_probe.getsockname()[1]
        options = ["-l", "127.0.0.1", "-p", str(self.port), "-t", "1", "-m", str(self.memory_mb),
                   "-c", str(self.connections)]
        if self.tls is not None:
            certificate, key = self.tls
            options[1] = f"notls:127.0.0.1:{self.port},127.0.0.1:{self.tls_port}"
            options += ["-Z", "-o", f"ssl_chain_cert={certificate},ssl_key={key}"]
        if os.geteuid() == 0:
            options += ["-u", "root"]
        self._log = tempfile.TemporaryFile()
        # memcached sets its limit of open files to -c, and valgrind refuses every change of it.
        file_limit = self.connections if self.prefix else None
        self.process = subprocess.Popen(
            self.prefix + self.command + options, stdin=subprocess.DEVNULL, stdout=self._log,
            stderr=self._log, start_new_session=True,
            preexec_fn=run_on(self.cores.server, file_limit))
        deadline = time.monotonic() + START_TIMEOUT_S * (10 if self.prefix else 1)
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended at once ({' '.join(self.command + options)}):"
                                 f"\n{self.log()}")
            try:
                self.ask("version")
                return
            except OSError:
                time.sleep(0.02)
        raise BenchError(f"{self.name} does not answer on port {self.port}")

    def stop(self):
        if self.process is not None:
            if self.process.poll() is None:
                self.process.terminate()
                try:
                    self.process.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    say(f"{self.name} ignores SIGTERM for {STOP_TIMEOUT_S} s: killing it")
                    self.process.kill()
            self.process.wait(STOP_TIMEOUT_S)

    def log(self):
        """What the server has printed."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-3000:]

    def check_alive(self):
        if self.process.poll() is not None:
            raise BenchError(f"{self.name} died with status {self.process.returncode}:\n"
                             f"{self.log()}")

    def ask(self, command):
        """The lines of the reply to a command whose reply ends with END, or is one line."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(command.encode() + b"\r\n")
            is_long = command.startswith("stats")
            reply = b""
            while not reply.endswith(b"END\r\n" if is_long else b"\r\n"):
                received = connection.recv(65536)
                if not received:
                    raise OSError(f"{self.name} closed the connection")
                reply += received
                if reply.startswith((b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR")):
                    break
        return reply.decode(errors="replace").split("\r\n")[:-1]

    def send_quietly(self, requests):
        """Sends requests that have no replies, and returns when they were served."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(requests + b"version\r\n")
            while not connection.recv(4096).endswith(b"\r\n"):
                pass

    def version(self):
        return self.ask("version")[0].removeprefix("VERSION ")

    def stats(self, what=""):
        """STAT lines as a dict of texts; empty if the server does not know them."""
        lines = [line.split(" ", 2) for line in self.ask(f"stats {what}".strip())]
        return {line[1]: line[2] for line in lines if len(line) == 3 and line[0] == "STAT"}

    def rss_bytes(self):
        """Resident memory, once it has not changed for two seconds: background threads may still
        work, or give back what they took ahead of need."""
        end = time.monotonic() + 10
        last = self.rss_now_bytes()
        steady_since = time.monotonic()
        while time.monotonic() < min(end, steady_since + 2):
            time.sleep(0.25)
            now = self.rss_now_bytes()
            if now != last:
                last = now
                steady_since = time.monotonic()
        return last

    def rss_now_bytes(self):
        return self._status_bytes("VmRSS")

    def rss_peak_bytes(self):
        return self._status_bytes("VmHWM")

    def _status_bytes(self, field):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
        raise BenchError(f"{self.name} has no {field}")

    def cpu_s(self):
        """CPU seconds used so far by all threads, precise to nanoseconds."""
        total_ns = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total_ns += int((task / "schedstat").read_text().split()[0])
        return total_ns * 1e-9


def stop_on_signals():
    """Makes SIGTERM and SIGHUP unwind like Ctrl-C, so that servers are ended."""
    def interrupt(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)


def run_main(main):
    """Runs main() for its exit status; turns the expected failures into one message."""
    stop_on_signals()
    try:
        sys.exit(main())
    except BenchError as error:
        print(f"{os.path.basename(sys.argv[0])}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\ninterrupted; all servers have been ended", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
