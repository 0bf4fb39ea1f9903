# SPDX-License-Identifier: Apache-2.0
# SQLite's benchmark and a program of ours with several connections, static with glibc, with Debian's
# own build of the library.
libraries=usr/lib/x86_64-linux-gnu
build() {
    gcc -O2 -w -static -pthread -I"$libsqlite3_dev/usr/include" -o "$1" "$2" \
        -L"$libsqlite3_dev/$libraries" -L"$zlib1g_dev/$libraries" -lsqlite3 -lz -lm 2>link.log ||
        { cat link.log >&2; exit 1; }
}
build speedtest1 "$sqlite3/test/speedtest1.c"
build sqlite_threads "$recipes/sqlite_threads.c"
