# SPDX-License-Identifier: Apache-2.0
"""The standard library of CPython on files, numbers, text, time and errors."""
import collections
import contextlib
import datetime
import errno
import gc
import hashlib
import io
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import weakref
import zlib

print(sys.version_info[:2], sys.platform, sys.byteorder, sys.maxsize, os.sep, sys.argv)
with tempfile.TemporaryDirectory() as folder:
    top = pathlib.Path(folder)
    for name in ("a.txt", "deep/b.txt", "deep/er/c.bin"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name * 10)
    (top / "link").symlink_to("deep/b.txt")
    os.truncate(top / "a.txt", 7)
    print(sorted(str(path.relative_to(top)) for path in top.rglob("*")))
    print((top / "link").read_text()[:12], os.readlink(top / "link"), (top / "a.txt").stat().st_size)
    shutil.copytree(top / "deep", top / "copy")
    os.rename(top / "copy/b.txt", top / "copy/renamed")
    print([(len(f), sorted(d)) for _, d, f in sorted(os.walk(top / "copy"))])
    with open(top / "a.txt", "r+b", buffering=0) as file:
        file.seek(100)
        file.write(b"end")
        print(file.tell(), os.pread(file.fileno(), 8, 98), os.fstat(file.fileno()).st_size)
    for attempt in (lambda: open(top / "none"), lambda: os.rmdir(top / "deep"),
                    lambda: os.mkdir(top / "deep"), lambda: os.listdir(top / "a.txt")):
        try:
            attempt()
        except OSError as error:
            print(errno.errorcode[error.errno])
print(os.path.exists(folder))

text = "the quick brown fox jumps over the lazy dog " * 200
print(hashlib.sha256(text.encode()).hexdigest(), hashlib.md5(b"x").hexdigest(), zlib.adler32(b"abc"))
print(len(zlib.compress(text.encode(), 9)), zlib.decompress(zlib.compress(text.encode())) == text.encode())
print(collections.Counter(text.split()).most_common(3), re.sub(r"(\w+) (\w+)", r"\2 \1", text[:43]))
print(json.dumps({"b": [1, 2.5, None, True], "a": "é\n"}, sort_keys=True), json.loads("[1e3, -0.5]"))
print(struct.pack("<hIq", -2, 7, 1 << 40).hex(), struct.unpack(">d", b"\x3f\xf0" + bytes(6)))
print(random.Random(5).sample(range(1000), 5), random.Random(6).gauss(0, 1))
print(datetime.datetime(2024, 2, 29, 12) + datetime.timedelta(days=366), time.strftime("%j", time.gmtime(0)))
print(2 ** 200 % 10 ** 20, -7 // 2, divmod(7.5, 2), 0.1 + 0.2, float("inf") > 1e308, complex(1, 2) ** 2)
print(list(itertools.islice(itertools.permutations("abcd", 2), 5)), f"{1234567.891:,.2f}|{255:#x}|{'x':^5}")


class Node:
    pass


node = Node()
node.me, watched = node, weakref.ref(node)
del node
print(gc.collect() >= 1, watched() is None)
caught = []
signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))
os.kill(os.getpid(), signal.SIGUSR1)
signal.raise_signal(signal.SIGUSR1)
print(caught, signal.getsignal(signal.SIGTERM))
out = io.StringIO()
with contextlib.redirect_stdout(out):
    try:
        (lambda: {}["missing"])()
    except KeyError:
        traceback.print_exc(file=sys.stdout)
print(out.getvalue().splitlines()[-1], sys.getrecursionlimit())


def deep(n):
    return 0 if n == 0 else 1 + deep(n - 1)


print(deep(900))
try:
    deep(10 ** 6)
except RecursionError as error:
    print(error)
print(sum(1 for line in sys.stdin), os.environ["TZ"], os.cpu_count() >= 1)
sys.exit(5)
