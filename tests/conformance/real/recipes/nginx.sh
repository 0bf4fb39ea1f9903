# SPDX-License-Identifier: Apache-2.0
# nginx with threads, TLS and HTTP/2, static with glibc and Debian's libraries; and a certificate for it. Its
# build writes into its source, so it gets a copy.
libraries=usr/lib/x86_64-linux-gnu
includes="-I$zlib1g_dev/usr/include -I$libpcre2_dev/usr/include"
includes+=" -I$libssl_dev/usr/include -I$libssl_dev/$libraries/../../include/x86_64-linux-gnu"
folders="-L$zlib1g_dev/$libraries -L$libpcre2_dev/$libraries -L$libssl_dev/$libraries"
cp -r "$nginx" source
cd source
without=$(printf -- '--without-http_%s_module ' fastcgi uwsgi scgi grpc memcached userid ssi mirror autoindex geo \
    split_clients browser upstream_hash upstream_ip_hash upstream_random)
./configure --prefix=/srv --conf-path=/srv/nginx.conf --pid-path=/tmp/nginx.pid --lock-path=/tmp/nginx.lock \
    --error-log-path=/dev/stdout --http-log-path=/dev/stdout --http-client-body-temp-path=/tmp/body \
    --http-proxy-temp-path=/tmp/proxy --with-threads --with-http_ssl_module --with-http_v2_module \
    --with-http_stub_status_module $without --with-cc-opt="-O1 -w $includes" \
    --with-ld-opt="-static $folders" >../configure.log || { cat ../configure.log objs/autoconf.err >&2; exit 1; }
make -j 2 >../make.log 2>&1 || { cat ../make.log >&2; exit 1; }
cd ..
strip -o program source/objs/nginx
rm -r source
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -subj /CN=localhost -days 36500 \
    2>openssl.log || { cat openssl.log >&2; exit 1; }
