# SPDX-License-Identifier: Apache-2.0
# The interpreter of Lua, static with musl. Debian's build generates the header that it includes.
source=$lua5_4/src
echo '#define DEB_HOST_MULTIARCH "x86_64-linux-gnu"' >lua5.4-deb-multiarch.h
ls "$source"/*.c | grep -v '/luac\.c$' |
    xargs -P 2 -n 9 musl-gcc -O2 -w -DLUA_USE_POSIX -I. -c
musl-gcc -static -o lua ./*.o -lm
