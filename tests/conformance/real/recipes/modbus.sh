# SPDX-License-Identifier: Apache-2.0
# A server by libmodbus, static with musl. Its source comes without what autoconf makes: two headers.
sed -e 's/@LIBMODBUS_VERSION_MAJOR@/3/; s/@LIBMODBUS_VERSION_MINOR@/1/; s/@LIBMODBUS_VERSION_MICRO@/6/' \
    -e 's/@LIBMODBUS_VERSION@/3.1.6/' "$libmodbus/src/modbus-version.h.in" >modbus-version.h
printf '#define HAVE_%s 1\n' BYTESWAP_H ERRNO_H FCNTL_H LIMITS_H TERMIOS_H SYS_TIME_H UNISTD_H NETINET_TCP_H \
    ARPA_INET_H NETDB_H SYS_SOCKET_H ACCEPT4 >config.h
musl-gcc -O2 -w -D_GNU_SOURCE -static -I. -I"$libmodbus/src" -o program "$recipes/modbus.c" \
    "$libmodbus"/src/modbus{,-data,-rtu,-tcp}.c
