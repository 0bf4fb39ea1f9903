# SPDX-License-Identifier: Apache-2.0
# pigz, which compresses in several threads, static with glibc and Debian's zlib, without zopfli.
gcc -O2 -w -static -pthread -DNOZOPFLI -I"$zlib1g_dev/usr/include" -o pigz \
    "$pigz"/{pigz,yarn,try}.c -L"$zlib1g_dev/usr/lib/x86_64-linux-gnu" -lz -lm
