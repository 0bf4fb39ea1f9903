# SPDX-License-Identifier: Apache-2.0
# glibc's own tests of threads and system calls, those that glibc.txt names, each a static program with
# the machine's glibc. They need glibc's library for tests, which expects to be compiled inside glibc: a few
# of its headers, and what its build defines, are given here.
mkdir include
ln -s "$glibc/support" include/support
mkdir include/sysdeps
ln -s "$glibc/sysdeps/pthread" include/sysdeps/pthread
for header in array_length intprops libc-diag libc-pointer-arith scratch_buffer; do
    cp "$glibc/include/$header.h" include
done
cp "$glibc/sysdeps/x86_64/stackinfo.h" "$glibc/test-skeleton.c" include
echo >include/config.h
cat >include/inside.h <<'END'
#include <limits.h>
#define attribute_hidden
#define libc_hidden_proto(...)
#define libc_hidden_def(...)
#define TIMEOUTFACTOR 1
END
flags="-std=gnu11 -O1 -w -D_GNU_SOURCE -include include/inside.h -I include -I $glibc/support"
flags+=" -idirafter $glibc/nptl -idirafter $glibc/sysdeps/pthread"
for path in BINDIR COMPLOCALEDIR INSTDIR LIBDIR OBJDIR_ELF_LDSO OBJDIR ROOTSBINDIR SBINDIR SLIBDIR SRCDIR \
    SYSCONFDIR; do
    flags+=" -D${path}_PATH=\"/none\""
done

mkdir objects
cd "$glibc/support"
ls x*.c support_*.c support-*.c check.c delayed_exit.c dtotimespec.c temp_file.c timespec*.c write_message.c \
    set_fortify_handler.c next_to_fault.c blob_repeat.c oom_error.c |
    grep -vE '_main\.c|time64|dns|resolv|chroot|namespace|support_(descriptors|small_stack|socket_so)' |
    sed 's/\.c$//' >"$OLDPWD/names"
cd "$OLDPWD"
echo support_test_main >>names
xargs -a names -P 2 -I {} gcc $flags -c -o objects/{}.o "$glibc/support/{}.c"
ar rc support.a objects/*.o

grep -v '^#' "$recipes/glibc.txt" | cut -d: -f2 | tr -s ' ' '\n' | grep . >tests
mkdir programs
build() {
    gcc $flags -static -pthread -s -o "programs/${1##*/}" "$glibc/$1.c" support.a -lm 2>"${1##*/}.log" ||
        { cat "${1##*/}.log" >&2; exit 255; } # ends xargs, too
}
export -f build
export flags glibc
xargs -a tests -P 2 -I {} bash -euc 'build {}'
rm -r objects include ./*.log
