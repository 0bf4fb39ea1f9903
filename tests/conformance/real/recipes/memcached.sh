# SPDX-License-Identifier: Apache-2.0
# memcached, static with glibc and Debian's libevent. Its build writes into its source, so it gets a copy, with
# the times of the files: by them the build knows that it need not make its own scripts.
libraries=usr/lib/x86_64-linux-gnu
includes="-I$libevent_dev/usr/include -I$libevent_dev/usr/include/x86_64-linux-gnu"
cp -a "$memcached" source
cd source
touch aclocal.m4 configure Makefile.in config.h.in
CFLAGS="-O1 -w" CPPFLAGS=$includes LDFLAGS="-static -L$libevent_dev/$libraries" \
    ./configure --disable-docs --disable-coverage --disable-extstore >../configure.log 2>&1 ||
    { cat ../configure.log >&2; exit 1; }
make -j 2 memcached >../make.log 2>&1 || { cat ../make.log >&2; exit 1; }
cd ..
strip -o program source/memcached
rm -r source
