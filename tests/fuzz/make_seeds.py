#!/usr/bin/env python3
"""Makes seeds for the fuzz targets from the reference's vectors:
make_seeds.py REFERENCE_FOLDER SEED_FOLDER

Writes a folder per target. A seed is a byte that chooses how the target tests, and what the vector
sends. `scripts/fuzz --seeds` calls this and keeps those that reach something new.
"""

import json
import pathlib
import re
import sys

BYTES_MAX = 4096
FIRST_CAS = f"{4:016x}"  # Of the first item that a stream stores; for those that vectors refer to.
META_COMMANDS = ["mg ", "ms ", "md ", "ma ", "me "]


def vectors(path):
    with open(path, encoding="ascii") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def sent(step):
    if "send_hex" in step:
        sent_hex = re.sub(r"\$\{\w+\}", FIRST_CAS, step["send_hex"])
        fill = step.get("send_fill", {"byte": "", "count": 0})
        tail_hex = re.sub(r"\$\{\w+\}", FIRST_CAS, step.get("send_tail_hex", ""))
        return bytes.fromhex(sent_hex + fill["byte"] * fill["count"] + tail_hex)
    if "send_parts" in step:
        return b"".join(text.encode("latin-1") * count for text, count in step["send_parts"])
    return step.get("send", "").encode("latin-1")


def timed(step):
    """What the connection target takes: pauses are marks that move its clock."""
    seconds = step.get("wait", step.get("sleep_before"))
    pause = b"\xf0\x9f" + bytes([int(seconds) + 1]) if seconds else b""
    return pause + sent(step)


def meta_text(stream):
    """As the target for meta commands wants them: a byte for the command that begins a line."""
    lines = []
    for line in stream.decode("latin-1").split("\n")[:-1]:
        if line[:3] in META_COMMANDS:
            lines.append(chr(ord("d") + META_COMMANDS.index(line[:3])) + line[3:] + "\n")
    return "".join(lines).encode("latin-1")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    reference, folder = map(pathlib.Path, sys.argv[1:])
    text = vectors(reference / "text-vectors.jsonl")
    meta = vectors(reference / "meta-vectors.jsonl")
    binary = vectors(reference / "binary-vectors.jsonl")

    def write(target, vector, stream, choice=0):
        if 0 < len(stream) <= BYTES_MAX:
            place = folder / target
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{vector['name']}-{choice}").write_bytes(bytes([choice]) + stream)

    for number, vector in enumerate(text + meta + binary):
        stream = b"".join(map(sent, vector["steps"]))
        if number < len(text + meta):
            write("text_parser", vector, stream)
            write("meta_parser", vector, meta_text(stream))
        else:
            write("binary_parser", vector, stream)
        timed_stream = b"".join(map(timed, vector["steps"]))
        write("connection", vector, timed_stream)
        write("connection", vector, timed_stream, 1 + number % 7)


if __name__ == "__main__":
    main()
