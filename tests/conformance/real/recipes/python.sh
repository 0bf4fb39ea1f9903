# SPDX-License-Identifier: Apache-2.0
# CPython, static with glibc, from Debian's own static library; and those modules of the standard
# library that the scripts import. Extension modules that are shared objects cannot be loaded.
libraries=usr/lib/x86_64-linux-gnu
configuration=$libpython3_11_dev/usr/lib/python3.11/config-3.11-x86_64-linux-gnu
gcc -static -pthread -o python "$configuration"/python.o "$configuration"/libpython3.11.a \
    -L"$libexpat1_dev/$libraries" -L"$zlib1g_dev/$libraries" -lexpat -lz -lm 2>link.log ||
    { cat link.log >&2; exit 1; }
library=home/lib/python3.11
mkdir -p "$library"
for tree in "$libpython3_11_minimal" "$libpython3_11_stdlib"; do
    cp -r "$tree/usr/lib/python3.11/." "$library"
done
cd "$library"
rm -rf lib-dynload ensurepip distutils lib2to3 idlelib pydoc_data tkinter turtledemo test xmlrpc \
    multiprocessing unittest asyncio email curses dbm venv wsgiref config-3.11-x86_64-linux-gnu \
    __pycache__ sitecustomize.py
