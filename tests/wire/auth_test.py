#!/usr/bin/env -S python3 -B
"""Authentication as only a process shows it: auth_test.py LARDER

Signals, how a start fails, the environment, and that no password ever reaches the log.
"""

import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from larder_process import Larder, command

PATIENCE_S = 10
SECRET = "Sup3rS3cret"
SASL_LIST, SASL_AUTH = 0x20, 0x21
SUCCESS, AUTH_FAILURE = 0x00, 0x20


def check_equal(got, expected):
    if got != expected:
        raise AssertionError(f"expected {expected!r}, got {got!r}")


def ask(port, request):
    """Sends a request of the text protocol; returns the first line of the answer."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.sendall(request)
        return connection.makefile("rb").readline()


def log_in(port, user, password):
    credentials = f"{user} {password}".encode()
    return ask(port, b"set auth 0 0 %d\r\n%s\r\n" % (len(credentials), credentials))


def sasl(port, opcode, mechanism=b"", message=b""):
    """Sends a SASL packet; returns status and value of the answer."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.sendall(
            struct.pack("!BBHBBHIIQ", 0x80, opcode, len(mechanism), 0, 0, 0,
                        len(mechanism) + len(message), 0, 0) + mechanism + message)
        answer = connection.makefile("rb")
        head = answer.read(24)
        status, body_bytes = struct.unpack("!HI", head[6:12])
        return status, answer.read(body_bytes)


def plain(port, user, password, mechanism=b"PLAIN"):
    return sasl(port, SASL_AUTH, mechanism, f"\0{user}\0{password}".encode())


def sighup_reads_the_file_again(program, folder):
    users = folder / "users"
    users.write_text("alice:old\n")
    larder = Larder(program, "-Y", str(users))
    with larder as port:
        check_equal(log_in(port, "alice", "old"), b"STORED\r\n")
        users.write_text("alice:new\n")
        check_equal(log_in(port, "alice", "new"), b"CLIENT_ERROR authentication failure\r\n")
        larder.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE_S
        while log_in(port, "alice", "new") != b"STORED\r\n":
            if time.monotonic() > deadline:
                raise AssertionError("SIGHUP changed nothing")
            time.sleep(0.02)
        check_equal(log_in(port, "alice", "old"), b"CLIENT_ERROR authentication failure\r\n")


def a_bad_file_is_told_and_ends_the_start(program, folder):
    bad = folder / "users"
    bad.write_text("alice\n")
    missing = folder / "missing"
    reason = "No such file or directory"
    for path, text in (
            (bad, f"Authfile [{bad}] has a malformed entry. Should be 'user:password'"),
            (missing, f"Could not open authfile [{missing}] for reading, error {reason}: {reason}")):
        done = subprocess.run(
            command(program, -1, "-Y", str(path)), stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False)
        check_equal(done.returncode, 1)
        check_equal(done.stderr.strip(), text)


def the_environment_names_the_password_file(program, folder):
    passwords = folder / "passwords"
    passwords.write_text("alice:secret\n")
    with Larder(program, "-S", environment={"MEMCACHED_SASL_PWDB": str(passwords)}) as port:
        check_equal(sasl(port, SASL_LIST), (SUCCESS, b"PLAIN"))
        check_equal(plain(port, "alice", "secret"), (SUCCESS, b"Authenticated"))
        check_equal(plain(port, "alice", "wrong"), (AUTH_FAILURE, b"Auth failure."))
        passwords.write_text("alice:changed\n")
        deadline = time.monotonic() + PATIENCE_S
        while plain(port, "alice", "changed") != (SUCCESS, b"Authenticated"):
            if time.monotonic() > deadline:
                raise AssertionError("the changed password does not count")
            time.sleep(0.02)
        check_equal(plain(port, "alice", "secret"), (AUTH_FAILURE, b"Auth failure."))


def no_password_reaches_the_log(program, folder):
    for name in ("users", "passwords"):
        (folder / name).write_text(f"alice:{SECRET}\n")
    (folder / "memcached.conf").write_text(
        "mech_list: PLAIN LOGIN\npwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
        f"sasldb_path: {folder}/sasldb\nlog_level: 7\n")
    environment = {"MEMCACHED_SASL_PWDB": str(folder / "passwords"), "SASL_CONF_PATH": str(folder)}
    with open(folder / "log", "w+", encoding="utf-8") as log:
        with Larder(program, "-S", "-Y", str(folder / "users"), "-vvv", log=log,
                    environment=environment) as port:
            check_equal(log_in(port, "alice", SECRET), b"STORED\r\n")
            log_in(port, "alice", SECRET + "x")
            # In the wrong place, and without a line of its own.
            ask(port, f"alice {SECRET}\r\n".encode())
            ask(port, f"set alice {SECRET} 0\r\n".encode())
            ask(port, f"get alice {SECRET}\r\n".encode())
            ask(port, f"set auth 0 0 5\r\nalice {SECRET}\r\n".encode())
            check_equal(plain(port, "alice", SECRET), (SUCCESS, b"Authenticated"))
            plain(port, "alice", SECRET + "x")
            plain(port, "alice", SECRET, b"LOGIN")
            sasl(port, SASL_AUTH, b"PLAIN", SECRET.encode())
        log.seek(0)
        text = log.read()
    if "(unauthenticated)" not in text:
        raise AssertionError(f"the log has no request: {text}")
    if SECRET in text:
        raise AssertionError(f"the log has a password: {text}")


CASES = [
    sighup_reads_the_file_again,
    a_bad_file_is_told_and_ends_the_start,
    the_environment_names_the_password_file,
    no_password_reaches_the_log,
]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    failed = 0
    for case in CASES:
        name = case.__name__.replace("_", " ")
        try:
            with tempfile.TemporaryDirectory() as folder:
                case(sys.argv[1], pathlib.Path(folder))
            print(f"passed   {name}", flush=True)
        except (AssertionError, OSError, struct.error, subprocess.SubprocessError) as error:
            failed += 1
            print(f"FAILED   {name}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
