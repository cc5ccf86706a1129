"""Looks at a program for what makes faults harder to use: hardening_test.py PROGRAM

Needs readelf and objdump, which come with every compiler. What a library brings along is no property
of the program: the instructions of larder's own functions count.
"""
import platform
import subprocess
import sys


def output(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def own_functions(program):
    """The disassembly of each function in larder's namespace."""
    for function in output("objdump", "-d", "--no-show-raw-insn", program).split("\n\n"):
        name, _, instructions = function.partition(">:\n")
        if "6larder" in name:  # As it is mangled.
            yield instructions


def findings(program):
    """Each property by its name, and whether the program has it."""
    dynamic = output("readelf", "-W", "--dynamic", program)
    segments = output("readelf", "-W", "--program-headers", program)
    notes = output("readelf", "-W", "--notes", program)
    stack = next(line for line in segments.splitlines() if "GNU_STACK" in line)
    functions = list(own_functions(program))
    with_canary = sum("%fs:0x28" in instructions for instructions in functions)
    print(f"         {with_canary} of {len(functions)} functions have a canary")
    found = {
        "is independent of its position": "(FLAGS_1)" in dynamic and "PIE" in dynamic,
        "has its relocations read-only": "GNU_RELRO" in segments,
        "binds all symbols at its start": "BIND_NOW" in dynamic or "NOW" in dynamic,
        "has no executable stack": "RWE" not in stack,
        # Only where the size of a buffer is known as the program runs: FORTIFY 2 has none of them.
        "checks sizes of buffers": any("<__memcpy_chk@" in text for text in functions),
    }
    if platform.machine() == "x86_64":
        # An eighth at least: functions without arrays and addresses of locals need none.
        found["checks canaries behind arrays on the stack"] = (
            with_canary * 8 > len(functions) > 100)
        found["can have its returns checked against a shadow stack"] = "SHSTK" in notes
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
