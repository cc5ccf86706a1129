"""Looks at a program for what makes faults harder to use: hardening_test.py PROGRAM

Needs readelf and nm, which come with every compiler.
"""
import subprocess
import sys


def output(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def findings(program):
    """Each property by its name, and whether the program has it."""
    dynamic = output("readelf", "-W", "--dynamic", program)
    segments = output("readelf", "-W", "--program-headers", program)
    imported = output("nm", "--dynamic", "--undefined-only", program)
    stack = next(line for line in segments.splitlines() if "GNU_STACK" in line)
    found = {
        "is independent of its position": "(FLAGS_1)" in dynamic and "PIE" in dynamic,
        "has its relocations read-only": "GNU_RELRO" in segments,
        "binds all symbols at its start": "BIND_NOW" in dynamic or "NOW" in dynamic,
        "has no executable stack": "RWE" not in stack,
        "checks sizes of buffers": "_chk@" in imported,
    }
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = findings(sys.argv[1])
    for name, has_it in found.items():
        print(f"{'passed' if has_it else 'FAILED'}   the program {name}")
    return 0 if all(found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
