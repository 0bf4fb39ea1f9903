#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the direction of calls between the kernel's libraries, and where privileged instructions
are, on a finished build:

    tools/direction.py BUILD-FOLDER

A library may use what the libraries below it define (the table), the run-time functions that every
freestanding library may use, and symbols of the linker script. Exit status 1: something points up."""
import pathlib
import re
import subprocess
import sys

# Library -> libraries that it may call. Not transitive: what is used is named.
ALLOWED = {
    "percpu": [],
    "kernel_image": [],
    "kernel_cpu": ["percpu"],
    "crypto": ["kernel_cpu"],
    "kernel_driver": ["kernel_cpu", "percpu"],
    "kernel_virtio": ["kernel_driver", "kernel_cpu", "crypto", "percpu"],
    "kernel_boot": ["kernel_cpu", "kernel_driver", "kernel_image", "percpu", "crypto"],
    "kernel_memory": ["kernel_boot", "kernel_cpu", "percpu"],
    "isolation": ["percpu", "kernel_cpu", "crypto", "kernel_boot", "kernel_memory"],
    "isolation_gate": ["isolation", "percpu", "kernel_cpu", "kernel_driver", "crypto", "kernel_boot"],
    "debug": ["isolation_gate", "isolation", "percpu", "kernel_cpu", "kernel_driver", "kernel_virtio", "kernel_boot"],
    "trace": ["isolation_gate", "isolation", "percpu", "kernel_cpu", "kernel_driver", "kernel_boot"],
}
# Calls that must point up, each by name: (library, symbol): why.
EXCEPTIONS = {
    ("kernel_boot", "kernel_main"): "where the boot core goes",
    ("kernel_cpu", "kernel_core_main"): "where the other cores go",
    ("kernel_cpu", "trap_stubs"): "addresses for the interrupt descriptor table",
    ("kernel_cpu", "gate_entry"): "address for the system-call register",
    ("isolation_gate", "end_machine"): "the end of the cell is the machine's",
    ("isolation", "isolation_gate_page_fill"): "a cell is built with its gate page",
    ("trace", "end_machine"): "an operator asks for it by an NMI",
}
# Facts that the boot core writes before seal; read-only for everybody afterwards.
FACTS = {"shared_facts", "shared_regions"}
# What carries percpu must define: its operations and the assertion's end.
OPERATIONS = {"percpu_operation_ipi", "percpu_operation_invalidate", "percpu_operation_switch",
              "percpu_operation_now", "percpu_operation_idle", "percpu_operation_panic",
              "percpu_assert_failed"}
# The vDSO is data of posix.elf and application code; .text is posix's own.
POSIX_CODE = ("-j", ".text")
RUN_TIME = {"memcpy", "memset", "memcmp", "__stack_chk_fail", "__stack_chk_guard"}

# Instructions that fault in ring 3, as objdump prints them.
PRIVILEGED = re.compile(
    r"^(?:cli|sti|hlt|clts|invd|wbinvd|invlpg|invpcid|lgdt\w?|lidt\w?|lldt|ltr|lmsw|rdmsr|wrmsr|"
    r"sysret[lq]?|swapgs|xsetbv|vmcall|vmlaunch|in|out|ins[bwl]?|outs[bwl]?|clac|stac|"
    r"mov[lq]?\s.*%[cd]r\d+.*)\b")


def run(*words):
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True).stdout


def symbols(path):
    """(defined, undefined) of an archive or object; what a member takes from another is internal."""
    defined, undefined = set(), set()
    for line in run("nm", "-g", path).splitlines():
        words = line.split()
        if len(words) >= 2 and words[-2] in ("U", "w"):
            undefined.add(words[-1])
        elif len(words) == 3:
            defined.add(words[-1])
    return defined, undefined - defined


def archives(folder):
    return {p.name.removeprefix("lib").removesuffix(".a"): p for p in sorted(folder.rglob("lib*.a"))}


def check_libraries(folder):
    found = archives(folder)
    tables = {name: symbols(path) for name, path in found.items() if name in ALLOWED}
    errors = [f"library {name} is in no row of the table: add it to tools/direction.py"
              for name in found if name not in ALLOWED and not name.startswith("posix")]
    owner = {s: name for name, (defined, _) in tables.items() for s in defined}
    main_objects = [p for p in folder.rglob("*.o") if "kernel.elf.dir" in str(p)]
    for path in main_objects:
        for symbol in symbols(path)[0]:
            owner.setdefault(symbol, "kernel/main")
    for name, (_, undefined) in tables.items():
        for symbol in sorted(undefined - RUN_TIME - OPERATIONS):
            where = owner.get(symbol)
            if symbol in FACTS and name != "percpu" or (name, symbol) in EXCEPTIONS:
                continue
            if where is not None and where not in ALLOWED[name]:
                errors.append(f"{name} uses {symbol} of {where}: call downwards only, or register a "
                              "function from above")
    if "percpu" not in tables:
        errors.append(f"no libpercpu.a below {folder}: build it first")
    return errors


def privileged_lines(path, options=()):
    """(function, instruction) of every privileged instruction."""
    function = "?"
    for line in run("objdump", "-d", "--no-show-raw-insn", *options, path).splitlines():
        head = re.match(r"^[0-9a-f]+ <(.+)>:$", line)
        if head:
            function = head[1]
            continue
        text = re.match(r"^\s*[0-9a-f]+:\s+(.*)$", line)
        if text:
            instruction = re.sub(r"^(?:rep[nz]*|lock|cs|ds)\s+", "", text[1].strip())
            if PRIVILEGED.match(instruction):
                yield function, instruction


def check_privileged(folder):
    errors = []
    for path in sorted(folder.rglob("posix*.elf")):
        if path.is_file():
            errors += [f"{path.name}, {function}: {instruction}: posix/ runs in ring 3 too"
                       for function, instruction in privileged_lines(path, POSIX_CODE)]
    for name, path in archives(folder).items():
        if name in ("percpu", "kernel_image"):
            errors += [f"{name}, {function}: {instruction}: privileged instructions are kernel/cpu's"
                       for function, instruction in privileged_lines(path)]
    return errors


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    errors = check_libraries(folder) + check_privileged(folder)
    print("\n".join(errors))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
