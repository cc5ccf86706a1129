"""libmemcached's own programs: each returns how many checks passed, or raises ToolFailed."""

import re
import subprocess

TIMEOUT_S = 120

# memccapable (1.1.4) expects an error for `delete <key> 0 noreply` and the like, which memcached
# 1.6.18 gives. 1.6.45 takes them, and so does Larder; all other tests pass on all three.
ASCII_TESTS = 27
ASCII_MAY_FAIL = {"ascii delete", "ascii delete noreply"}
BINARY_TESTS = 27


class ToolFailed(Exception):
    """With what the program printed."""


def run_tool(*words):
    """Runs a program to its end; returns its status and what it printed."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ToolFailed(f"{words[0]} did not end within {TIMEOUT_S} seconds") from error
    return done.returncode, done.stdout


def require(is_good, text):
    if not is_good:
        raise ToolFailed(text)
    return 1


def memccapable(port, protocol):
    option = {"text": "-a", "binary": "-b"}[protocol]
    _, output = run_tool("memccapable", option, "-h", "127.0.0.1", "-p", str(port))
    name = {"text": "ascii", "binary": "binary"}[protocol]
    results = dict(re.findall(rf"^({name} [a-z ]*?) +\[(pass|FAIL)\]", output, re.MULTILINE))
    # Its last line is put into that of the last test.
    results.update(re.findall(rf"^({name} [a-z]+) +\d+ of \d+ tests failed\n\[(pass|FAIL)\]",
                              output, re.MULTILINE))
    failed = {name for name, result in results.items() if result == "FAIL"}
    require(len(results) == {"text": ASCII_TESTS, "binary": BINARY_TESTS}[protocol], output)
    require(failed <= (ASCII_MAY_FAIL if protocol == "text" else set()),
            f"failed: {sorted(failed)}\n{output}")
    return len(results) - len(failed)


def memcstat(port, protocol):
    options = ["--binary"] if protocol == "binary" else []
    status, output = run_tool("memcstat", f"--servers=127.0.0.1:{port}", *options)
    require(status == 0, output)
    return require(re.search(r"^\s*curr_items: \d+$", output, re.MULTILINE), output)


def memcslap(port, protocol):
    options = ["--binary"] if protocol == "binary" else []
    for test in ("set", "get", "mget"):
        status, output = run_tool("memcslap", f"--servers=127.0.0.1:{port}", "--concurrency=4",
                                  "--execute-number=2000", f"--test={test}", *options)
        require(status == 0 and "Time total" in output, f"{test}: {output}")
    return 3


def memcaslap(port, protocol):
    # Every reply is compared with what was stored. Not with --overwrite: then the tool itself no
    # longer knows, and counts as many failures with memcached.
    loads = (["-X", "100"], ["-X", "300", "-d", "50"], ["-X", "3000"], ["-X", "20000"])
    for load in loads:
        options = load + (["-B"] if protocol == "binary" else [])
        status, output = run_tool("memcaslap", "-s", f"127.0.0.1:{port}", "-T", "1", "-c", "8",
                                  "-x", "10000", "-v", "1.0", *options)
        require(status == 0, output)
        for count in ("verify_failed", "verify_misses"):
            require(f"{count}: 0\n" in output, f"{options}: {output}")
    return len(loads)


TOOLS = {tool.__name__: tool for tool in (memccapable, memcstat, memcslap, memcaslap)}
