#!/usr/bin/env -S python3 -B
"""Replays the reference's vectors of the text protocol, classic and meta commands:
vectors_test.py LARDER REFERENCE_FOLDER

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
    "watch",
    # There is no temporary LRU.
    "^lru-mode-temp-ttl$",
    # A line that is too long is answered before the close.
    "^line-2049-bytes-without-newline-closes$|^long-delete-without-newline-closes$",
    # A dump may stand anywhere in a pipeline: an answer must not be up to how the bytes were cut.
    "^metadump-after-pipelined-command$",
    # A get with a key that is too long: memcached drops the hits before it and the replies of
    # earlier requests, and sends an empty line behind the error. Larder sends one error line, after
    # all of them.
    "^quirk-key-251-",
    # Answers of memcached that mislead; see the differences in protocol/README.md.
    "^quirk-mg-T-negative-with-t-prints-unsigned-wrap$",
    "^quirk-ma-opaque-too-long-still-increments$",
    "^quirk-ms-rejected-E-leaks-into-next-set$",
    "^quirk-me-b-needs-another-token$",
])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    larder = sys.argv[1]
    reference = pathlib.Path(sys.argv[2])
    checker = reference / "check-vectors"
    vectors = [reference / "text-vectors.jsonl", reference / "meta-vectors.jsonl"]
    for path in (checker, *vectors):
        if not path.exists():
            skip(f"there is no {path}")
    with Larder(larder) as port:
        done = subprocess.run(
            [sys.executable, str(checker), "--port", str(port), "--skip", LEFT_OUT, "--timeout",
             "5", "--fresh-cmd", shlex.join(command(larder, "{port}")), *map(str, vectors)],
            stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
