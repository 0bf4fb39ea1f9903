# SPDX-License-Identifier: Apache-2.0
"""System calls as lines of strace: what each type of posix/syscalls.toml looks like. A call is shown in two
parts, the first when it begins and the second with its result."""
import functools
import struct

from atoll.live import names, show
from atoll.live.takes import BEFORE, BEHIND, PATH_BYTES_MAX, Takes
from atoll.paths import ROOT

AT_FDCWD = -100
WAITS, WAITS_BITSET, WAKES, REQUEUES = (0,), (9,), (1,), (3, 4, 12)
LOCKS, UNLOCKS, WAIT_REQUEUE = (6, 13), (7, 8), (11,)
HEX_RESULTS = ("mmap", "mremap", "brk")
CLONE_WORDS = ((1, "child_stack"), (0, "flags"), (2, "parent_tid"), (4, "tls"), (3, "child_tidptr"))
NO_RESULT = ("exit", "exit_group")
PRCTL_NAMES = {15: "PR_SET_NAME", 16: "PR_GET_NAME"}
FCNTL_PLAIN = {"F_DUPFD": str, "F_DUPFD_CLOEXEC": str, "F_SETFD": lambda v: show.flags(v, names.DESCRIPTOR),
               "F_SETFL": show.open_flags, "F_SETOWN": str, "F_SETSIG": str, "F_SETPIPE_SZ": str,
               "F_ADD_SEALS": lambda v: show.flags(v, names.SEALS, "F_SEAL_???")}


def _flags(table, unknown=None):
    return lambda value: show.flags(value, table, unknown)


def _name(table, unknown):
    return lambda value: show.name(value, table, unknown)


def _name_signed(table, unknown):
    return lambda value: table.get(show.signed(value), f"{value & 0xffffffff:#x} /* {unknown} */")


def _int(value):
    return str(show.signed(value))


def _id(value):
    return _int(value) if value & 0xffffffff == 0xffffffff else str(value & 0xffffffff)


def _masked(bits, function):
    return lambda value: function(value & bits)


def _socket_kind(value):
    rest = value & ~0xf
    return (show.name(value & 0xf, names.SOCKETS, "SOCK_???")
            + ("|" + show.flags(rest, names.SOCKET) if rest else ""))


def _map_flags(value):
    rest = value & ~0x3
    return show.name(value & 3, names.MAP_KIND, "MAP_???") + ("|" + show.flags(rest, names.MAP) if rest else "")


def _futex_operation(value):
    operation = value & 0x7f
    text = names.FUTEX.get(operation, f"{operation:#x} /* FUTEX_??? */")
    return (text + ("_PRIVATE" if value & names.FUTEX_PRIVATE else "")
            + ("|FUTEX_CLOCK_REALTIME" if value & names.FUTEX_REALTIME else ""))


def _clone_flags(value):
    number = value & 0xff
    text = show.flags(value & ~0xff, names.CLONE)
    return text + (f"|{show.signal_name(number)}" if number else "")


INT = 0xffffffff
PLAIN = {
    "fd": _int, "int": _int, "unsigned": lambda v: str(v & INT), "size": str, "long": lambda v: str(show.signed(v, 64)),
    "hex": show.hexadecimal, "pointer": show.address, "id": _id,
    "dirfd": lambda v: "AT_FDCWD" if show.signed(v) == AT_FDCWD else _int(v),
    "mode": _masked(0xffff, show.mode), "file_mode": _masked(0xffff, show.file_mode),
    "open": _masked(INT, show.open_flags), "dup": _flags(names.CLOSE_ON_EXEC), "pipe": _flags(names.PIPE),
    "at": _flags(names.AT), "access": lambda v: show.flags(v & INT, names.ACCESS) if v & INT else "F_OK",
    "whence": _name(names.WHENCE, "SEEK_???"),
    "protection": lambda v: show.flags(v, names.PROTECTION) if v else "PROT_NONE",
    "map": _map_flags, "mremap": _flags(names.MREMAP), "msync": _flags(names.MSYNC),
    "madvise": _name(names.MADVISE, "MADV_???"), "clone": _clone_flags, "signal": show.signal_name,
    "sig_how": _name(names.SIGNAL_HOW, "SIG_???"), "family": _name(names.FAMILIES, "AF_???"), "socket": _socket_kind,
    "message_flags": _masked(INT, _flags(names.MESSAGE)), "shutdown": _name(names.SHUTDOWN, "SHUT_???"),
    "option_level": _masked(INT, _name(names.LEVELS, "SOL_???")), "accept": _flags(names.ACCEPT),
    "epoll": _flags(names.EPOLL), "epoll_operation": _name(names.EPOLL_OPERATION, "EPOLL_CTL_???"),
    "eventfd": _flags(names.EVENTFD), "signalfd": _flags(names.SIGNALFD), "timerfd": _flags(names.TIMERFD),
    "timer": _flags(names.TIMER), "clock": _name(names.CLOCKS, "CLOCK_???"),
    "itimer": _name(names.ITIMERS, "ITIMER_???"), "futex": _futex_operation,
    "fcntl": _masked(INT, _name(names.FCNTL, "F_???")),
    "ioctl": lambda v: names.IOCTL.get(v & INT, f"{v & INT:#x}"), "flock_operation": _flags(names.FLOCK),
    "resource": _name(names.RESOURCES, "RLIMIT_???"), "rusage_who": _name_signed(names.USAGE, "RUSAGE_???"),
    "priority_which": _name(names.PRIORITY, "PRIO_???"), "policy": _name(names.POLICIES, "SCHED_???"),
    "arch_prctl": _name(names.ARCH, "ARCH_???"), "fallocate": _flags(names.FALLOCATE), "rename": _flags(names.RENAME),
    "random": _flags(names.RANDOM), "memfd": _flags(names.MEMFD), "membarrier": _name(names.MEMBARRIER, "MEMBARRIER_???"),
    "close_range": _flags(names.CLOSE_RANGE), "statx_mask": _flags(names.STATX),
    "prctl": lambda v: PRCTL_NAMES.get(v & INT, f"{v & INT:#x}"), "high": None,
}
POINTED = {
    "stat": show.stat, "statx": show.statx, "sigaction": show.action, "siginfo": show.signal_information,
    "sigset": lambda data: show.signal_set(int.from_bytes(data, "little")), "sigstack": show.signal_stack,
    "timespec": show.timespec, "timespec2": show.timespec2, "timeval": show.timeval, "itimerval": show.itimerval,
    "itimerspec": show.itimerspec, "rlimit": show.limit, "rusage": show.usage, "utsname": show.uname,
    "sysinfo": show.system, "tms": show.times, "sched_param": show.ints, "cpus": show.cpus,
    "sigevent": show.signal_event, "clone_arguments": show.clone_arguments, "sockaddr": show.socket_address,
    "option": show.option, "int2": show.ints, "word": show.ints,
}


@functools.cache
def takes():
    return Takes(ROOT / "posix/syscalls.toml")


@functools.cache
def call_names():
    return {call["number"]: name for name, call in takes().calls.items()}


def call_name(number):
    return call_names().get(number, f"syscall_{number:#x}")


class Call:
    """A call from its records; enter or leave may be None. A leave has the arguments as well."""

    def __init__(self, enter, leave=None):
        self.enter, self.leave = enter, leave
        record = enter or leave
        self.name = call_name(record.number)
        self.values = record.arguments
        self.arguments = takes().arguments(self.name)

    # ---- parts of the line

    def _split(self):
        """How many arguments are known at the beginning: those before the first that is written."""
        for position, argument in enumerate(self.arguments):
            if argument.when == BEHIND and self.values[position]:
                return position
        return len(self.arguments)

    def beginning(self):
        mask = self.enter.items.get((0, 0)) if self.name == "rt_sigreturn" and self.enter else None
        if mask:
            return f"rt_sigreturn({{mask={show.signal_set(int.from_bytes(mask, 'little'))}}}"
        return f"{self.name}(" + self._join(range(self._split()))

    def has_more(self):
        return self._split() < len(self.arguments)

    # @impl ATL-LLR-TOOL-1001~1
    def rest(self):
        """What follows beginning() when the call has ended."""
        split = self._split()
        first, second = self._join(range(split)), self._join(range(split, len(self.arguments)))
        comma = ", " if first and second else ""
        return f"{comma}{second})", self.result()

    def _join(self, positions):
        if self.name == "clone":  # as strace has it
            texts = [(word, self._argument(self.arguments[i])) for i, word in CLONE_WORDS if i in positions]
            return ", ".join(f"{word}={text}" for word, text in texts if text is not None)
        texts = [self._argument(self.arguments[i]) for i in positions]
        return ", ".join(text for text in texts if text is not None)

    def result(self):
        if self.name in NO_RESULT or self.leave is None:
            return "?"
        value = self.leave.result
        if -4096 < value < 0:
            return show.error(value)
        if self.name in HEX_RESULTS:
            return show.hexadecimal(value)
        special = getattr(self, f"_result_{self.name}", None)
        try:
            return special(value) if special else str(value)
        except struct.error:
            return str(value)

    # ---- what arguments point to

    def _data(self, argument, part=0, when=None):
        """Bytes that were noted, of what is written if the call has ended; None: none."""
        when = when or argument.when
        for record, bit in ((self.leave, BEHIND), (self.enter, BEFORE)):
            if record is not None and when & bit and (argument.position, part) in record.items:
                return record.items[argument.position, part]
        return None

    def _argument(self, argument):
        """Its text; None: strace does not show it. Of bytes that are not what they should be: where they are."""
        value = self.values[argument.position]
        special = getattr(self, f"_show_{argument.type}", None)
        try:
            if special is not None:
                return special(argument, value)
            if argument.when:
                data = self._data(argument)
                return show.address(value) if data is None else POINTED[argument.type](data)
        except (struct.error, IndexError):
            return show.address(value)
        function = PLAIN[argument.type]
        return function(value) if function else None

    def _fits(self, argument, index):
        """How long the data of an argument is, by what says so."""
        if argument.count == 7:
            return self.leave.result if self.leave else 0
        return self.values[argument.count - 1] if 0 < argument.count < 7 else index

    # ---- types of their own

    def _show_path(self, argument, value):
        data = self._data(argument)
        if data is None:
            return show.address(value)
        text, end, _ = data.partition(b"\0")
        return show.quote(text) + ("" if end or len(data) < PATH_BYTES_MAX else "...")

    def _show_bytes(self, argument, value):
        data = self._data(argument)
        if data is None:
            return show.address(value)
        cut = "..." if self._fits(argument, len(data)) > len(data) else ""
        if self.name == "getrandom":
            return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"' + cut
        return show.quote(data) + cut

    def _show_text(self, argument, value):
        data = self._data(argument)
        return show.address(value) if data is None else show.quote(data.partition(b"\0")[0])

    def _show_name(self, argument, value):
        data = self._data(argument)
        is_name = self.values[0] & INT == 15 and data is not None
        return show.quote(data.partition(b"\0")[0]) if is_name else show.hexadecimal(value)

    def _show_hex(self, argument, value):
        if self.name == "futex":
            return self._futex_last(value)
        is_rest = self.name == "prctl" and self.values[0] & INT in PRCTL_NAMES
        return None if is_rest else show.hexadecimal(value)

    def _show_open_mode(self, argument, value):
        creates = self.values[argument.position - 1] & 0o20200100
        return show.mode(value & 0xffff) if creates & 0o100 or creates == 0o20200000 else None

    def _show_vectors(self, argument, value, part=0, count=None):
        data = self._data(argument, part)
        count = self.values[argument.count - 1] if count is None else count
        if data is None:
            return show.address(value) if count or not value else "[]"
        out = []
        for position, (base, size) in enumerate(struct.iter_unpack("<QQ", data)):
            noted = self._data(argument, part + 1 + position)
            if noted is None:
                is_empty = self.leave is not None and argument.when == BEHIND and base
                text = '""' if is_empty else show.address(base)
            else:
                left = self.leave.result - sum(s for _, s in list(struct.iter_unpack("<QQ", data))[:position]) \
                    if argument.when == BEHIND and self.leave else size
                text = show.quote(noted) + ("..." if min(size, left) > len(noted) else "")
            out.append(f"{{iov_base={text}, iov_len={size}}}")
        return "[" + ", ".join(out) + (", ..." if count > len(out) else "") + "]"

    def _show_message(self, argument, value):
        data = self._data(argument)
        if data is None or len(data) != 56:
            return show.address(value)
        name, name_bytes, vectors, count, control, control_bytes, flags = struct.unpack("<QIxxxxQQQQI4x", data)
        named, controlled = self._data(argument, 1), self._data(argument, 2)
        words = ["msg_name=" + (show.socket_address(named) if named else show.address(name)),
                 f"msg_namelen={name_bytes}",
                 "msg_iov=" + self._show_vectors(argument, vectors, 3, count), f"msg_iovlen={count}"]
        if control_bytes:
            words.append("msg_control=" + (show.control(controlled) if controlled else show.address(control)))
        words += [f"msg_controllen={control_bytes}", f"msg_flags={show.flags(flags, names.MESSAGE)}"]
        return "{" + ", ".join(words) + "}"

    def _show_socket_protocol(self, argument, value):
        return PLAIN["int"](value) if self.values[0] not in (2, 10) else show.name(value, names.PROTOCOLS, "IPPROTO_???")

    def _show_option_name(self, argument, value):
        return show.name(value & INT, names.OPTIONS.get(self.values[1] & INT, {}), "???")

    def _show_epoll_event(self, argument, value):
        data = self._data(argument)
        if data is None:
            return show.address(value)
        return show.epoll_events(data, argument.when == BEHIND) or show.address(value)

    def _show_pollfd(self, argument, value):
        data = self._data(argument, when=BEFORE)
        return show.address(value) if data is None else show.poll_asked(data)

    def _show_fdset(self, argument, value):
        data = self._data(argument, when=BEFORE)
        return show.address(value) if data is None else show.descriptor_set(data, show.signed(self.values[0]))

    def _show_timeval(self, argument, value):
        data = self._data(argument, when=BEFORE) or self._data(argument)
        return show.address(value) if data is None else show.timeval(data)

    def _show_int_at(self, argument, value):
        before, behind = self._data(argument, when=BEFORE), self._data(argument, when=BEHIND)
        if argument.when == BEHIND or behind is None or before is None or before == behind:
            data = behind or before
            is_off = self.name == "clone" and not self.values[0] & (0x100000 if argument.position == 2 else 0x1200000)
            if is_off or (self.name == "clone" and argument.position == 3):
                return None if is_off else show.address(value)
            return show.address(value) if data is None else show.ints(data)
        return f"{show.ints(before)[:-1]} => {show.ints(behind)[1:]}"

    def _show_long_at(self, argument, value):
        before, behind = self._data(argument, when=BEFORE), self._data(argument, when=BEHIND)
        if before is None:
            return show.address(value)
        if behind is None or before == behind:
            return show.long_at(before)
        return f"{show.long_at(before)[:-1]} => {show.long_at(behind)[1:]}"

    def _show_word(self, argument, value):
        request = names.IOCTL.get(self.values[1] & INT)
        data = self._data(argument)
        return show.ints(data) if data is not None and request in ("FIONREAD", "FIONBIO") else show.address(value)

    def _show_flock(self, argument, value):
        command = names.FCNTL.get(self.values[1] & INT, "")
        if command.endswith(("LK", "LKW")):
            data = self._data(argument)
            return show.address(value) if data is None else show.record_lock(data)
        if command.startswith("F_GET"):
            return None
        return FCNTL_PLAIN.get(command, lambda v: f"{v:#x}")(value & INT)

    # ---- calls whose arguments depend on each other

    def _futex(self):
        return self.values[1] & 0x7f

    def _futex_last(self, value):
        operation = self._futex()
        if operation in WAITS_BITSET + (10,):
            return "FUTEX_BITSET_MATCH_ANY" if value & INT == INT else show.hexadecimal(value & INT)
        return PLAIN["unsigned"](value) if operation in (4, 12) else show.hexadecimal(value) if operation == 5 else None

    def _show_unsigned(self, argument, value):
        if self.name == "futex" and self._futex() in LOCKS + UNLOCKS:
            return None
        return PLAIN["unsigned"](value)

    def _show_timespec(self, argument, value):
        if self.name == "futex":
            operation = self._futex()
            if operation in REQUEUES:
                return PLAIN["unsigned"](value)
            if operation in WAKES + UNLOCKS + (10,):
                return None
        data = self._data(argument)
        return show.address(value) if data is None else show.timespec(data)

    # ---- results with more

    def _show_pointer(self, argument, value):
        if self.name == "futex" and argument.position == 4 and self._futex() not in REQUEUES + WAIT_REQUEUE + (5,):
            return None
        if self.name == "mremap" and argument.position == 4 and not self.values[3] & 2:
            return None
        return show.address(value)

    def _result_rt_sigtimedwait(self, value):
        return f"{value} ({show.signal_name(value)})"

    def _result_umask(self, value):
        return show.mode(value)

    def _result_fcntl(self, value):
        command = names.FCNTL.get(self.values[1] & INT)
        if command == "F_GETFL":
            return f"{value:#x} (flags {show.open_flags(value)})"
        if command == "F_GETFD":
            return f"{value:#x} (flags {show.flags(value, names.DESCRIPTOR)})" if value else "0"
        if command == "F_GET_SEALS":
            return f"{value:#x} (seals {show.flags(value, names.SEALS)})" if value else "0"
        return str(value)

    def _result_poll(self, value):
        if value == 0:
            return "0 (Timeout)"
        data = self._data(self.arguments[0], when=BEHIND)
        return f"{value} ({show.poll_found(data)})" if data is not None else str(value)

    _result_ppoll = _result_poll

    def _result_select(self, value):
        if value == 0:
            return "0 (Timeout)"
        words = []
        for word, argument in zip(("in", "out", "except"), self.arguments[1:4]):
            data = self._data(argument, when=BEHIND)
            found = show.descriptor_set(data, show.signed(self.values[0])) if data else "[]"
            words += [f"{word} {found}"] if found != "[]" else []
        left = self._data(self.arguments[4], when=BEHIND) if self.arguments[4].when & BEHIND else None
        words += [f"left {show.timeval(left)}"] if left else []
        return f"{value} ({', '.join(words)})" if words else str(value)

    _result_pselect6 = _result_select
