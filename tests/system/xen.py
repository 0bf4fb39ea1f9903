# SPDX-License-Identifier: Apache-2.0
"""A Xen host inside QEMU: Debian's hypervisor, Debian's kernel as dom0, and a small root of Debian's
packages with xl, kept in the build folder. It makes one PVH domain after the other and says so on the
serial line, where the hypervisor's log is as well; what was on the domains' consoles follows at the end."""
import base64
import dataclasses
import gzip
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from atoll.debian import binary_tree
from atoll.machine import DIE_WITH_PARENT, QEMU
from atoll.paths import build_directory
from lib import TestFailure

HYPERVISOR, VERSION = "xen-hypervisor-4.17-amd64", "4.17"
PACKAGES = """xen-utils-4.17 xenstore-utils libxenmisc4.17 libxencall1 libxendevicemodel1 libxenevtchn1
    libxenforeignmemory1 libxengnttab1 libxenhypfs1 libxenstore4 libxentoollog1 libxentoolcore1 libyajl2
    libext2fs2 libcom-err2 liblzma5 libuuid1 libzstd1 zlib1g libbz2-1.0 liblzo2-2 libfdt1 libncurses6 libtinfo6
    libnl-3-200 libnl-route-3-200 libgcc-s1 libc6 busybox-static bsdutils""".split()
MODULES = ("xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd", "xenfs/xenfs")
# What Xen asks of the emulated processor and of the dom0. Its clock goes by instructions, so that QEMU runs both
# processors and all timers in one thread: with one each, nested SVM of QEMU 7.2 changes the pending interrupts of a
# processor (VMRUN and #VMEXIT in svm_helper.c) beside the thread of the timers, without its lock. Of 50 hosts six ended
# a domain by a triple fault, with Xen's own registers in it, or stood still.
MACHINE = ["-M", "q35", "-smp", "2", "-icount", "shift=1,sleep=off", "-rtc", "base=2026-01-01,clock=vm", "-m", "1536",
           "-cpu", "max,smap=off,smep=off,pku=off,pks=off,la57=off", "-display", "none", "-nodefaults",
           "-no-user-config", "-no-reboot", "-serial", "stdio"]
XEN_WORDS = "console=com1 com1=115200,8n1 dom0_mem=768M guest_loglvl=all"
DOM0_WORDS = "console=hvc0 rdinit=/init quiet"
# A PVH guest under QEMU's nested SVM gets #UD for AVX although CPUID offers it: it is not offered.
DOMAIN = """name = "{name}"
type = "pvh"
kernel = "/{name}.img"
memory = {memory}
vcpus = {cores}
cpuid = "host,avx=0,avx2=0,f16c=0,fma=0"
on_poweroff = "destroy"
on_reboot = "destroy"
on_crash = "destroy"
"""
DOMAIN_SECONDS = 150
INIT = f"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/sbin:/usr/bin:/usr/lib/xen-{VERSION}/bin
mkdir -p /proc /sys /dev /run/xen /var/run/xen /var/run/xenstored /var/lib/xen /var/lib/xenstored /var/log/xen
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts; mount -t devpts devpts /dev/pts
for module in /modules/*.ko; do insmod $module; done
mount -t xenfs xenfs /proc/xen
mkdir -p /var/log/xen/console /var/lock /etc/xen; touch /etc/xen/xl.conf
xenstored --pid-file /run/xenstored.pid && xen-init-dom0 && xenconsoled --log=guest --pid-file=/run/xenconsoled.pid
wait_for() {{ until [ -e $name.over ] || grep -q "$1" $name.$2; do sleep 0.2; done; }}
for domain in /*.cfg; do
    name=$(basename $domain .cfg)
    touch $name.seen $name.xl
    # In the foreground xl ends when it has destroyed the domain, and has said why.
    (timeout {DOMAIN_SECONDS} xl create -F $domain >$name.xl 2>&1; touch $name.over) &
    wait_for "^Waiting for domain" xl
    # Who closes a terminal takes with it what nobody has read: the end is typed when all has been seen.
    [ -e $name.typed ] && (
        wait_for ready seen; cat $name.typed
        wait_for "$(tail -n 1 $name.typed)" seen; printf '\\004'; wait_for "its end" seen
    ) | script -qfc "xl console $name" /dev/null >$name.seen
    wait
    cat $name.xl
    echo "ended $domain: $(sed -n 's/.*has shut down, reason code //p' $name.xl)"
done
for domain in /*.cfg; do
    name=$(basename $domain .cfg)
    gzip -c /var/log/xen/console/guest-$name.log | base64 | sed "s/^/written $name /"
    gzip -c $name.seen | base64 | sed "s/^/seen $name /"
done
poweroff -f
"""


@dataclasses.dataclass
class Domain:
    """What to boot, and lines that are typed into `xl console` once the program has said "ready", before Ctrl-D
    when it has answered the last; then how it went: the lines in the hypervisor's log, all that was written to
    the console, what `xl console` showed, and why it ended as xl says."""
    name: str
    image: bytes
    typed: bytes = b""
    memory: int = 64
    cores: int = 2
    logged: list = None
    written: bytes = None
    seen: bytes = None
    end: str = None


def _kernel_package(configuration):
    """The name of the package that Debian's current kernel is in."""
    depends = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True,
                             check=True, env={**os.environ, "APT_CONFIG": str(configuration)}).stdout
    return re.search(r"Depends: (linux-image-\S+)", depends)[1]


def _archive(root):
    """The bytes of a cpio archive of a folder."""
    paths = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    busybox = binary_tree("busybox-static").path / "bin/busybox"
    data = subprocess.run([busybox, "cpio", "-o", "-H", "newc"], cwd=root, input=paths.encode(), check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return data + bytes(-len(data) % 4)


def _host():
    """Paths of hypervisor, dom0's kernel and its root, made once."""
    hypervisor = binary_tree(HYPERVISOR)
    kernel = binary_tree(_kernel_package(hypervisor.path.parents[1] / "apt.conf"))
    trees = [binary_tree(package) for package in PACKAGES]
    key = hashlib.sha256(repr([INIT, hypervisor.version, kernel.version, *(t.version for t in trees)]).encode())
    folder = build_directory() / "xen" / key.hexdigest()[:12]
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            work = pathlib.Path(work, "host")
            root = work / "root"
            for tree in trees:
                shutil.copytree(tree.path, root, symlinks=True, dirs_exist_ok=True,
                                ignore=shutil.ignore_patterns("share"))
            (root / "modules").mkdir()
            drivers = next(kernel.path.glob("lib/modules/*/kernel/drivers/xen"))
            for number, module in enumerate(MODULES):
                source = drivers / f"{module}.ko"
                shutil.copy(source, root / "modules" / f"{number}-{source.name}")
            (root / "init").write_text(INIT)
            (root / "init").chmod(0o755)
            (work / "root.gz").write_bytes(gzip.compress(_archive(root), 1))
            shutil.rmtree(root)
            with gzip.open(next(hypervisor.path.glob("boot/xen-*.gz"))) as packed:
                (work / "xen").write_bytes(packed.read())
            shutil.copy(next(kernel.path.glob("boot/vmlinuz-*")), work / "vmlinuz")
            work.rename(folder)
    return folder / "xen", folder / "vmlinuz", folder / "root.gz"


def _console(text, what, name):
    packed = base64.b64decode("".join(re.findall(rf"^{what} {name} (\S+)$", text, re.M)))
    return gzip.decompress(packed).replace(b"\r\n", b"\n")


def run_domains(domains, timeout_s):
    """Boots the host and one domain after the other, in the order of their names; fills in how it went and
    returns the whole log."""
    hypervisor, kernel, root = _host()
    with tempfile.TemporaryDirectory(prefix="atoll-xen-") as folder:
        files = pathlib.Path(folder, "files")
        files.mkdir()
        for domain in domains:
            (files / f"{domain.name}.img").write_bytes(domain.image)
            (files / f"{domain.name}.cfg").write_text(DOMAIN.format(**vars(domain)))
            if domain.typed:
                (files / f"{domain.name}.typed").write_bytes(domain.typed)
        base = root.read_bytes()
        initrd = pathlib.Path(folder, "initrd")
        initrd.write_bytes(base + bytes(-len(base) % 4) + _archive(files))
        command = [QEMU, *MACHINE, "-kernel", str(hypervisor), "-append", XEN_WORDS, "-initrd",
                   f"{kernel} {DOM0_WORDS},{initrd}"]
        try:
            done = subprocess.run(DIE_WITH_PARENT + command, capture_output=True, stdin=subprocess.DEVNULL,
                                  timeout=timeout_s)
            log, errors = done.stdout, done.stderr
        except subprocess.TimeoutExpired as error:
            raise TestFailure(f"no end after {timeout_s} s",
                              (error.stdout or b"").decode("utf-8", "replace")) from None
    text = log.decode("utf-8", "replace").replace("\r", "")
    whole = " ".join(command) + "\n" + text + errors.decode()
    try:
        for number, domain in enumerate(sorted(domains, key=lambda domain: domain.name), 1):
            domain.logged = re.findall(rf"^\(d{number}\) (.*)$", text, re.M)
            domain.written, domain.seen = (_console(text, what, domain.name) for what in ("written", "seen"))
            domain.end = "".join(re.findall(rf"^ended /{domain.name}\.cfg: (.*)$", text, re.M))
    except (ValueError, EOFError, OSError) as error:
        raise TestFailure(f"the host did not tell how it went: {error}", whole) from None
    return whole
