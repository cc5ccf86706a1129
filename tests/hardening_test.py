"""Looks at a program for what makes faults harder to use: hardening_test.py PROGRAM

Needs readelf, nm and objdump, which come with every compiler.
"""
import re
import subprocess
import sys


def output(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def protected_functions(program):
    """How many of the project's own functions end the process when their stack was overwritten."""
    found = set()
    function = ""
    for line in output("objdump", "--disassemble", "--no-show-raw-insn", program).splitlines():
        start = re.fullmatch(r"[0-9a-f]+ <(.*)>:", line)
        if start:
            function = start[1]
        elif "<__stack_chk_fail@plt>" in line and re.match("_ZNK?6larder", function):
            found.add(function)
    return len(found)


def findings(program):
    """Each property by its name, and whether the program has it."""
    dynamic = output("readelf", "-W", "--dynamic", program)
    segments = output("readelf", "-W", "--program-headers", program)
    notes = output("readelf", "-W", "--notes", program)
    imported = output("nm", "--dynamic", "--undefined-only", program)
    stack = next(line for line in segments.splitlines() if "GNU_STACK" in line)
    # Where main begins: a landing pad for indirect branches is its first instruction.
    start = next(line.split()[0] for line in output("nm", program).splitlines()
                 if line.endswith(" T main"))
    first = output("objdump", "--disassemble", "--no-show-raw-insn", f"--start-address=0x{start}",
                   f"--stop-address=0x{int(start, 16) + 4:x}", program)
    found = {
        "is independent of its position": "(FLAGS_1)" in dynamic and "PIE" in dynamic,
        "has its relocations read-only": "GNU_RELRO" in segments,
        "binds all symbols at its start": "BIND_NOW" in dynamic or "NOW" in dynamic,
        "has no executable stack": "RWE" not in stack,
        "protects the stack of functions": protected_functions(program) > 0,
        "checks sizes of buffers": "_chk@" in imported.replace("__stack_chk_fail", ""),
    }
    if "x86" in output("readelf", "-h", program).lower():
        found["is marked for a shadow stack"] = "SHSTK" in notes
        found["has landing pads for indirect branches"] = "endbr64" in first
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
