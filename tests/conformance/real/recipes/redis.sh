# SPDX-License-Identifier: Apache-2.0
# Redis's server with its own copies of the libraries that it needs, static with glibc and its allocator. Its
# build writes into its source, so it gets a copy.
cp -r "$redis" source
make() { command make -j 2 "$@" >>make.log 2>&1 || { cat make.log >&2; exit 1; }; }
make -C source/deps CFLAGS="-O1 -w" hiredis lua hdr_histogram linenoise
make -C source/src MALLOC=libc OPTIMIZATION=-O1 REDIS_CFLAGS=-w LDFLAGS=-static redis-server
strip -o program source/src/redis-server
rm -r source
