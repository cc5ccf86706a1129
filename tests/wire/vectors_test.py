#!/usr/bin/env -S python3 -B
"""Replays the reference's vectors of the text protocol: vectors_test.py LARDER REFERENCE_FOLDER

The reference lies beside the checkout; without it this test is skipped.
"""

import pathlib
import shlex
import subprocess
import sys

from larder_process import Larder, command, skip

TIMEOUT_S = 120

# Vectors that are left out, and why.
LEFT_OUT = "|".join([
    # Commands that are not served yet: they answer ERROR.
    "slabs", "lru", "metadump", "mgdump", "watch",
    # These look at an item, or set its CAS, with the meta commands ms and mg, which are not served
    # yet. What they are about is tested with gets and a moved clock in *_test.cc.
    "^(" + "|".join([
        "append-keeps-ttl", "append-over-limit-is-not-stored", "cas-changes-on-each-store",
        "cas-changes-on-incr", "cas-kept-by-touch", "cas-max-unique", "cas-mismatch-and-match",
        "cas-noreply", "cas-unique-may-not-be-signed-or-spaced", "exptime-30-days-is-relative",
        "gat-updates-ttl", "gat-zero-clears-ttl", "gats-keeps-cas", "gets-cas-value", "gets-multi",
        "incr-keeps-ttl-and-flags", "quirk-exptime-wraps-at-32-bit", "touch",
    ]) + ")$",
    # A get with a key that is too long: memcached drops the hits before it and the replies of
    # earlier requests, and sends an empty line behind the error. Larder sends one error line, after
    # all of them.
    "^quirk-key-251-",
])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    larder = sys.argv[1]
    reference = pathlib.Path(sys.argv[2])
    checker = reference / "check-vectors"
    vectors = reference / "text-vectors.jsonl"
    for path in (checker, vectors):
        if not path.exists():
            skip(f"there is no {path}")
    with Larder(larder) as port:
        done = subprocess.run(
            [sys.executable, str(checker), "--port", str(port), "--skip", LEFT_OUT, "--timeout",
             "5", "--fresh-cmd", shlex.join(command(larder, "{port}")), str(vectors)],
            stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
