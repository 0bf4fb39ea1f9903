# SPDX-License-Identifier: Apache-2.0
"""Debian's busybox-static, the very file: applets that need no second process, over a folder of
generated files, compared with the same applets on Linux."""
# @verifies ATL-HLR-REAL-0001~1
import io
import os
import random
import tarfile
import threading
import zlib

import lib
import real

WORDS = ("atoll island core ring gate lagoon reef palm tide wave message credit frame slot page "
         "thread signal clock barrier channel deadline stack").split()

# name: command lines; each boots an image. Those of one name share nothing but the folder.
GROUPS = {
    "digests": ["sha256sum text binary sub/deep/words", "md5sum text binary", "sha512sum binary",
                "crc32 binary", "sha3sum text"],
    "text": ["sort -rnu -k2 table", "grep -nE ^(ring|gate).*[0-9]{4} text",
             "sed -n s/\\(core\\)[^r]*ring/<\\1>/gp text",
             "awk {s[$1]+=$2;n++}END{for(k=0;k<20;k++)print(k,s[k]);printf(\"%.3f\\n\",n/7)} table",
             "uniq -c sub/deep/words", "cut -d_ -f2,1 -s table", "wc text binary sub/deep/words",
             "tail -c 100 text", "tac table", "cmp text text2", "diff -u text text2",
             "od -A d -t x2 binary"],
    "archives": ["tar tf files.tar", "tar xOf files.tar", "gzip -c text", "gunzip -c text.gz",
                 "bzip2 -c text", "unzip -l nothing.zip", "base64 binary"],
    # Compared line by line without regard to order: a folder's is the file system's own.
    "tree": ["grep -rc atoll sub text", "env", "find . -type f -size +2k", "ls -R .",
             "stat -c %s:%f:%n text sub", "dd if=binary bs=1000 skip=3 count=11", "cp -r sub copy",
             "rm -r sub", "mv text moved", "rmdir sub", "readlink sub/link"],
    "other": ["expr 6 * 7", "printf %05d:%s:%x\\n 42 text 255", "factor 360360", "cal 2 2024",
              "date -u -d @1000000000", "dc -e 3k2v20*p", "bc", "sh script.sh", "false", "nothing"],
}
SCRIPT = """# What a shell does without a second process.
total=0
for i in 1 2 3 4 5 6 7 8 9 10; do
    case $i in
        *[02468]) total=$((total + i * i)) ;;
        *) : ;;
    esac
done
echo "total $total"
double() { local n=$1; result=$((n * 2)); return $((n % 3)); }
double 21 || echo "status $?"
double 22 || echo "status $?, result $result"
while read -r name number rest; do
    [ "$number" -gt 900 ] && echo "$name: $number"
done <table
value="a-b-c"; echo "${value#*-} ${value%%-*} ${#value} ${nothing:-default}"
read -r first rest <<END
here: $total
END
echo "$first|$rest"
trap 'echo bye' EXIT
echo out >made; echo more >>made
while read -r line; do echo "<$line>"; done <made
exit 7
"""


_lock = threading.Lock()


def folder():
    """The generated files."""
    path = lib.build_directory() / "real" / f"busybox-files-{zlib.crc32(SCRIPT.encode()):x}"
    with _lock:
        if not path.exists():
            aside = path.with_name(f"{path.name}.{os.getpid()}")
            _generate(aside)
            os.rename(aside, path)
    return path


def _generate(top):
    source = random.Random(7)
    lines = [" ".join(source.choices(WORDS, k=8)) + f" {source.randrange(100000)}" for _ in range(3000)]
    text = "\n".join(lines).encode() + b"\n"
    (top / "sub/deep").mkdir(parents=True)
    (top / "sub/link").symlink_to("deep/words")
    for name, data in (("text", text), ("text2", text.replace(b"lagoon reef", b"reef lagoon")),
                       ("text.gz", _gzip(text)), ("binary", source.randbytes(60000)),
                       ("sub/deep/words", "\n".join(sorted(WORDS * 3)).encode() + b"\n"),
                       ("table", b"".join(b"%d %d a_b_%d\n" % (i % 20, source.randrange(1000), i)
                                          for i in range(400))), ("script.sh", SCRIPT.encode())):
        (top / name).write_bytes(data)
        os.utime(top / name, (1000000000, 1000000000))
    with tarfile.open(top / "files.tar", "w") as archive:
        archive.add(top / "sub", "sub")
        archive.add(top / "text", "text")


def _gzip(data):
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    return compressor.compress(data) + compressor.flush()


def busybox():
    return real.build("busybox").trees["busybox-static"] / "bin/busybox"


def lines_of(output):
    return sorted(output.splitlines())


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=30, group=tuple(GROUPS))
def test_applets(guest):
    for line in GROUPS[guest.group]:
        keep = lines_of if guest.group == "tree" else bytes
        real.same(guest, busybox(), *line.split(" "), folder=folder(), keep=keep,
                  stdin=b"1+2*3\nscale=9;5/7\n")


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",))
def test_tar_holds_the_files(guest):
    result = real.run(guest, busybox(), "tar", "cf", "-", "sub", "binary", folder=folder())
    with tarfile.open(fileobj=io.BytesIO(result.expect(status=0).stdout)) as archive:
        names = sorted(archive.getnames())
        wanted = ["binary", "sub", "sub/deep", "sub/deep/words", "sub/link"]
        result.expect_that(names == wanted, f"the archive has {wanted}, not {names}")
        data = archive.extractfile("binary").read()
        result.expect_that(data == (folder() / "binary").read_bytes(), "the file is itself")
        result.expect_that(archive.getmember("sub/link").issym(), "the link is a link")
