#!/usr/bin/env -S python3 -B
"""Replays the reference's vectors of the binary protocol: binary_vectors_test.py LARDER REFERENCE

The reference lies beside the checkout; without it this test is skipped.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

from larder_process import Larder, skip

TIMEOUT_S = 240

# Vectors that are left out, and why.
LEFT_OUT = {
    # The byte at which a value becomes too large depends on the item header, and Larder's is
    # smaller: this value fits.
    "one-byte-more-is-too-large",
}


# A second may end between the steps of a vector that sets an expiry of one: such a vector gets
# another chance. What is wrong fails every time.
RUNS_MAX = 3


def run(checker, port, lines):
    """Runs vectors; returns the names of those that failed."""
    # The checker cannot choose several vectors by itself.
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as chosen:
        chosen.writelines(f"{line}\n" for line in lines)
        chosen.flush()
        done = subprocess.run(
            [sys.executable, str(checker), "--port", str(port), chosen.name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S,
            check=False)
    print(done.stdout, end="", flush=True)
    failed = re.findall(r"^FAIL ([^:]+):", done.stdout, re.MULTILINE)
    if (done.returncode == 0) == bool(failed) or done.returncode > 1:
        sys.exit(f"{checker} ended with status {done.returncode}")
    return failed


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    reference = pathlib.Path(sys.argv[2])
    checker = reference / "check-binary-vectors"
    vectors = reference / "binary-vectors.jsonl"
    for path in (checker, vectors):
        if not path.exists():
            skip(f"there is no {path}")
    lines = [line for line in vectors.read_text(encoding="utf-8").splitlines() if line.strip()]
    by_name = {json.loads(line)["name"]: line for line in lines}
    if unknown := LEFT_OUT - set(by_name):
        sys.exit(f"no such vectors: {sorted(unknown)}")
    wanted = [name for name in by_name if name not in LEFT_OUT]
    with Larder(sys.argv[1]) as port:
        for _ in range(RUNS_MAX):
            wanted = run(checker, port, [by_name[name] for name in wanted])
            if not wanted:
                break
    print(f"left out: {', '.join(sorted(LEFT_OUT))}")
    return 1 if wanted else 0


if __name__ == "__main__":
    sys.exit(main())
