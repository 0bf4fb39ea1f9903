# SPDX-License-Identifier: Apache-2.0
"""Where the instructions of a request go: by function of kernel, library OS and program. The plugin tells
each block with its first bytes; where the library OS lies is found by them."""
import bisect
import collections
import re
import subprocess

from atoll.bench.network import profiled
from atoll.build import build_image_parts, build_program
from atoll.demo import SOURCE

PAGE = 4096
FUNCTION_BYTES_MAX = 65536
BLOCKS_COMPARED = 50
WARM_UP_SECONDS, SECONDS = 1, 4
SHOWN_MIN = 1  # instruction of a request


def _symbols(path):
    """[(address, name)] of the functions of an ELF, in order."""
    text = subprocess.run(["nm", str(path)], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^([0-9a-f]+) [tTwW] (\S+)$", text, re.M)
    return sorted((int(address, 16), name) for address, name in found)


def _load_base(path, blocks):
    """By how much the file's addresses are moved: what most blocks say whose bytes the file has once."""
    data, votes = path.read_bytes(), collections.Counter()
    table = subprocess.run(["readelf", "-lW", str(path)], capture_output=True, text=True, check=True).stdout
    loads = [tuple(int(word, 16) for word in match)
             for match in re.findall(r"LOAD +(0x\w+) (0x\w+) 0x\w+ (0x\w+) 0x\w+ R E", table)]
    for address, _, first, _ in blocks[:BLOCKS_COMPARED]:
        place = data.find(first)
        for offset, virtual, size in loads:
            if offset <= place < offset + size and data.find(first, place + 1) < 0:
                votes[address - (place - offset + virtual)] += 1
    return votes.most_common(1)[0][0] if votes else None


def profile(system, options, cores):
    """[(instructions of a request, calls of a request, part, function)], the most first."""
    program = build_program("http", SOURCE)
    kernel, posix = build_image_parts(net="tap")
    with profiled(system, options, cores) as (ask, counters):
        ask(WARM_UP_SECONDS)
        counters.ask(b"p")
        requests = ask(SECONDS)
        rows = [line.split() for line in counters.ask(b"p")]
    blocks = sorted(((int(address, 16), int(count), bytes.fromhex(first.decode()), int(passes))
                     for address, count, passes, first in rows), key=lambda block: -block[1])
    tables = []
    for part, path in (("kernel", kernel), ("posix", posix), ("program", program)):
        base = _load_base(path, [block for block in blocks if part != "posix" or block[0] >> 39 == 255])
        if base is not None:
            tables.append((part, [(address + base, name) for address, name in _symbols(path)]))
    sums, calls = collections.Counter(), collections.Counter()
    for address, count, _, passes in blocks:
        *names, begin = _function(tables, address)
        sums[tuple(names)] += count
        calls[tuple(names)] += passes if begin == address else 0
    return [(count / requests, calls[names] / requests, *names) for names, count in sums.most_common()]


def _function(tables, address):
    for part, symbols in tables:
        place = bisect.bisect_right(symbols, (address, "\xff")) - 1
        if place >= 0 and address - symbols[place][0] < FUNCTION_BYTES_MAX:
            return part, symbols[place][1], symbols[place][0]
    return "elsewhere", f"{address & -PAGE:x}", address


def show_profile(system, options, cores):
    rows = profile(system, options, cores)
    parts = collections.Counter()
    for count, _, part, _ in rows:
        parts[part] += count
    print(f"instructions and calls of one request on {system}, {cores} cores: {sum(parts.values()):,.0f}")
    for part, count in parts.most_common():
        print(f"{count:10,.0f}  {part}")
    for count, calls, part, name in rows:
        if count >= SHOWN_MIN:
            print(f"{count:10,.0f} {calls:6.2f}  {part} {name}")
