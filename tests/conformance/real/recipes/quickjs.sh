# SPDX-License-Identifier: Apache-2.0
# QuickJS's interpreter, static with glibc. Its compiler makes the C source of the interactive part.
cp -r "$quickjs"/tests tests
objects="quickjs libregexp libunicode cutils quickjs-libc dtoa"
for name in $objects qjs qjsc; do echo "$quickjs/$name.c"; done |
    xargs -P 2 -n 1 gcc -O2 -w -fwrapv -D_GNU_SOURCE "-DCONFIG_VERSION=\"$(cat "$quickjs/VERSION")\"" -c
link() {
    gcc -static -pthread -o "$@" $(printf '%s.o ' $objects) -lm 2>link.log || { cat link.log >&2; exit 1; }
}
link qjsc qjsc.o
./qjsc -s -c -o repl.c -m "$quickjs/repl.js"
gcc -O2 -w -I"$quickjs" -c repl.c
link qjs qjs.o repl.o
