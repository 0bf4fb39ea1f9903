# SPDX-License-Identifier: Apache-2.0
# iperf3's server: a main function and Debian's static library of iperf3, with glibc. The mirror has its source
# in no version that stays.
libraries=usr/lib/x86_64-linux-gnu
gcc -O2 -w -static -pthread -I"$libiperf_dev/usr/include" -o program "$recipes/iperf3.c" \
    -L"$libiperf_dev/$libraries" -L"$libssl_dev/$libraries" -L"$libsctp_dev/$libraries" \
    -liperf -lssl -lcrypto -lsctp -lm 2>link.log || { cat link.log >&2; exit 1; }
