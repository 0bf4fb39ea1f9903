/* SPDX-License-Identifier: Apache-2.0 */
/* UDP over the loopback: names, datagrams between cores, truncation, readiness, shutting down.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0900~1 ATL-LLR-POSIX-0907~1 ATL-LLR-NET-0863~1 ATL-LLR-NET-0864~1
 * ATL-LLR-POSIX-1033~1 */
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

/* A datagram may be lost where memory is refused, and is not else: -1 is for ever. */
static int patience_ms(void)
{
    return check_state.refuse != 0 ? 5000 : -1;
}

static struct sockaddr_in local(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int port_of(int socket_)
{
    struct sockaddr_in address;
    socklen_t bytes = sizeof(address);
    CHECK_EQUAL(getsockname(socket_, (struct sockaddr *)&address, &bytes), 0);
    return ntohs(address.sin_port);
}

static int make_of(int family)
{
    struct timeval time = {.tv_sec = patience_ms() / 1000}; /* 0: for ever, too */
    int socket_ = socket(family, SOCK_DGRAM, 0);
    CHECK(socket_ >= 0);
    CHECK_EQUAL(setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)), 0);
    return socket_;
}

static int make(void)
{
    return make_of(AF_INET);
}

static int bound(int *port)
{
    struct sockaddr_in address = local(0);
    int socket_ = make();
    CHECK_EQUAL(bind(socket_, (struct sockaddr *)&address, sizeof(address)), 0);
    *port = port_of(socket_);
    return socket_;
}

static long send_to(int socket_, const char *text, int port)
{
    struct sockaddr_in address = local(port);
    return sendto(socket_, text, strlen(text), 0, (struct sockaddr *)&address, sizeof(address));
}

static short ready(int socket_, short events, int timeout)
{
    struct pollfd entry = {.fd = socket_, .events = events};
    CHECK(poll(&entry, 1, timeout) >= 0);
    return entry.revents;
}

static void names_and_errors(void)
{
    static char large[70000];
    struct sockaddr_in address = local(0);
    int port;
    int one = bound(&port);
    int two = make();
    CHECK(port >= 1024);
    CHECK_ERRNO(bind(one, (struct sockaddr *)&address, sizeof(address)), EINVAL);
    address = local(port);
    CHECK_ERRNO(bind(two, (struct sockaddr *)&address, sizeof(address)), EADDRINUSE);
    CHECK_ERRNO(send(two, "x", 1, 0), EDESTADDRREQ);
    CHECK_ERRNO(listen(two, 1), EOPNOTSUPP);
    CHECK_ERRNO(accept(two, NULL, NULL), EOPNOTSUPP);
    CHECK_ERRNO(sendto(two, large, sizeof(large), 0, (struct sockaddr *)&address, sizeof(address)),
                EMSGSIZE);
    struct sockaddr_in far = {.sin_family = AF_INET, .sin_port = htons(9)};
    far.sin_addr.s_addr = htonl(0xc0000201); /* no way at all, or none from the loopback */
    CHECK_EQUAL(sendto(one, "x", 1, 0, (struct sockaddr *)&far, sizeof(far)), -1);
    CHECK(errno == ENETUNREACH || errno == EINVAL);
    CHECK_ERRNO(recv(one, large, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQUAL(ready(one, POLLIN | POLLOUT, 0), POLLOUT);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(two), 0);
    two = make();
    CHECK_EQUAL(bind(two, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQUAL(close(two), 0);
}

static void datagrams(void)
{
    static char large[65507];
    struct sockaddr_in from;
    socklen_t bytes = sizeof(from);
    char text[16];
    int waiting;
    int port;
    int other_port;
    int one = bound(&port);
    int two = bound(&other_port);
    CHECK_EQUAL(send_to(two, "first", port), 5);
    CHECK_EQUAL(send_to(two, "", port), 0);
    CHECK_EQUAL(send_to(two, "third", port), 5);
    CHECK_EQUAL(ready(one, POLLIN, patience_ms()), POLLIN);
    CHECK_EQUAL(ioctl(one, FIONREAD, &waiting), 0);
    CHECK_EQUAL(waiting, 5);
    CHECK_EQUAL(recv(one, text, sizeof(text), MSG_PEEK), 5);
    CHECK_EQUAL(recvfrom(one, text, sizeof(text), 0, (struct sockaddr *)&from, &bytes), 5);
    CHECK_EQUAL(memcmp(text, "first", 5), 0);
    CHECK_EQUAL(bytes, sizeof(from));
    CHECK_EQUAL(ntohs(from.sin_port), other_port);
    CHECK_EQUAL(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    CHECK_EQUAL(recv(one, text, sizeof(text), 0), 0);
    struct iovec vector = {text, 2};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    CHECK_EQUAL(recvmsg(one, &message, 0), 2);
    CHECK_EQUAL(message.msg_flags, MSG_TRUNC);
    CHECK_EQUAL(memcmp(text, "th", 2), 0);
    memset(large, 'l', sizeof(large));
    struct sockaddr_in address = local(port);
    CHECK_EQUAL(sendto(two, large, sizeof(large), 0, (struct sockaddr *)&address, sizeof(address)),
                sizeof(large));
    CHECK_EQUAL(recv(one, text, sizeof(text), MSG_TRUNC), sizeof(large));
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(two), 0);
}

/* A connected socket hears its peer alone. */
static void connected(void)
{
    struct sockaddr_in address;
    socklen_t bytes = sizeof(address);
    char text[8];
    int port;
    int other_port;
    int one = bound(&port);
    int two = bound(&other_port);
    int stranger = make();
    address = local(other_port);
    CHECK_EQUAL(connect(one, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQUAL(getpeername(one, (struct sockaddr *)&address, &bytes), 0);
    CHECK_EQUAL(ntohs(address.sin_port), other_port);
    CHECK_EQUAL(send_to(stranger, "no", port), 2);
    CHECK_EQUAL(send_to(two, "yes", port), 3);
    CHECK_EQUAL(recv(one, text, sizeof(text), 0), 3);
    CHECK_EQUAL(memcmp(text, "yes", 3), 0);
    CHECK_EQUAL(send(one, "back", 4, 0), 4);
    CHECK_EQUAL(recv(two, text, sizeof(text), 0), 4);
    address.sin_family = AF_UNSPEC;
    CHECK_EQUAL(connect(one, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_ERRNO(getpeername(one, (struct sockaddr *)&address, &bytes), ENOTCONN);
    CHECK_ERRNO(send(one, "x", 1, 0), EDESTADDRREQ);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(two), 0);
    CHECK_EQUAL(close(stranger), 0);
}

/* Nobody is there: the next call on a connected socket says so. */
static void nobody(void)
{
    int port;
    int one = bound(&port);
    int two = make();
    char byte;
    struct sockaddr_in address = local(port);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(connect(two, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQUAL(send(two, "x", 1, 0), 1);
    CHECK_EQUAL(ready(two, POLLIN, patience_ms()) & POLLERR, POLLERR);
    CHECK_ERRNO(recv(two, &byte, 1, 0), ECONNREFUSED);
    CHECK_EQUAL(send(two, "x", 1, 0), 1);
    CHECK_EQUAL(close(two), 0);
}

static void shut(void)
{
    struct timeval time = {.tv_usec = 20000};
    int port;
    int one = bound(&port);
    char byte;
    struct sockaddr_in address = local(port);
    CHECK_EQUAL(setsockopt(one, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)), 0);
    CHECK_ERRNO(recv(one, &byte, 1, 0), EAGAIN);
    CHECK_ERRNO(shutdown(one, SHUT_RD), ENOTCONN);
    CHECK_EQUAL(recv(one, &byte, 1, 0), 0);
    CHECK_EQUAL(connect(one, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQUAL(shutdown(one, SHUT_RDWR), 0);
    CHECK_ERRNO(send(one, "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQUAL(close(one), 0);
}

static int answering_port;

static void *answer(void *argument)
{
    struct sockaddr_in from;
    char text[64];
    int socket_ = *(int *)argument;
    check_pin(1);
    for (;;) {
        socklen_t bytes = sizeof(from);
        long length = recvfrom(socket_, text, sizeof(text), 0, (struct sockaddr *)&from, &bytes);
        CHECK(length >= 0);
        if (length == 0) {
            return NULL;
        }
        CHECK_EQUAL(sendto(socket_, text, (size_t)length, 0, (struct sockaddr *)&from, bytes),
                    length);
    }
}

static void *ask(void *argument)
{
    int index = (int)(long)argument;
    int socket_ = make();
    char text[64];
    char back[64];
    check_pin(index);
    for (long round = 0; round < check_count(200); round++) {
        int bytes = snprintf(text, sizeof(text), "%d %ld", index, round);
        CHECK_EQUAL(send_to(socket_, text, answering_port), bytes);
        CHECK_EQUAL(recv(socket_, back, sizeof(back), 0), bytes);
        CHECK_EQUAL(memcmp(text, back, (size_t)bytes), 0);
    }
    CHECK_EQUAL(close(socket_), 0);
    return NULL;
}

static void between_cores(void)
{
    pthread_t threads[4];
    int server = bound(&answering_port);
    pthread_t server_thread = check_thread(answer, &server);
    for (long i = 0; i < 4; i++) {
        threads[i] = check_thread(ask, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(send_to(server, "", answering_port), 0);
    check_join(server_thread);
    CHECK_EQUAL(close(server), 0);
}

static void both_protocols(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    struct sockaddr_in6 from;
    socklen_t bytes = sizeof(address);
    char text[8];
    int one = make_of(AF_INET6);
    int four = make();
    CHECK_EQUAL(bind(one, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQUAL(getsockname(one, (struct sockaddr *)&address, &bytes), 0);
    CHECK_EQUAL(send_to(four, "four", ntohs(address.sin6_port)), 4);
    CHECK_EQUAL(recvfrom(one, text, sizeof(text), 0, (struct sockaddr *)&from, &bytes), 4);
    CHECK(IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
    CHECK_EQUAL(sendto(one, "back", 4, 0, (struct sockaddr *)&from, bytes), 4);
    CHECK_EQUAL(recv(four, text, sizeof(text), 0), 4);
    int six = make_of(AF_INET6);
    address.sin6_addr = in6addr_loopback;
    CHECK_EQUAL(sendto(six, "six", 3, 0, (struct sockaddr *)&address, sizeof(address)), 3);
    CHECK_EQUAL(recvfrom(one, text, sizeof(text), 0, (struct sockaddr *)&from, &bytes), 3);
    CHECK_EQUAL(memcmp(&from.sin6_addr, &in6addr_loopback, 16), 0);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(four), 0);
    CHECK_EQUAL(close(six), 0);
}

static void set(int socket_, int level, int option, int value)
{
    CHECK_EQUAL(setsockopt(socket_, level, option, &value, sizeof(value)), 0);
}

static int get(int socket_, int level, int option)
{
    int value = -1;
    socklen_t bytes = sizeof(value);
    CHECK_EQUAL(getsockopt(socket_, level, option, &value, &bytes), 0);
    return value;
}

static int bind_to(int socket_, int port)
{
    struct sockaddr_in address = local(port);
    return bind(socket_, (struct sockaddr *)&address, sizeof(address));
}

enum { SHARERS = 3 };

/* The index of the socket that has got something. */
static int who_has(const int sockets[SHARERS])
{
    struct pollfd entries[SHARERS];
    int whose = 0;
    for (int i = 0; i < SHARERS; i++) {
        entries[i] = (struct pollfd){.fd = sockets[i], .events = POLLIN};
    }
    CHECK_EQUAL(poll(entries, SHARERS, patience_ms()), 1);
    while (entries[whose].revents != POLLIN) {
        whose++;
    }
    return whose;
}

/* Sockets that share a port: each peer is one socket's, and every socket has some. */
static void shared_port(void)
{
    enum { PEERS = 48 };
    int sharers[SHARERS], seen[SHARERS] = {0}, port, other = make();
    char text[8];
    for (int i = 0; i < SHARERS; i++) {
        sharers[i] = make();
        set(sharers[i], SOL_SOCKET, SO_REUSEPORT, 1);
        CHECK_EQUAL(bind_to(sharers[i], i == 0 ? 0 : port), 0);
        port = port_of(sharers[i]);
    }
    CHECK_ERRNO(bind_to(other, port), EADDRINUSE);
    set(other, SOL_SOCKET, SO_REUSEADDR, 1);
    CHECK_ERRNO(bind_to(other, port), EADDRINUSE);
    for (int i = 0; i < PEERS; i++) {
        int peer_port, peer = bound(&peer_port), whose = -1;
        for (int k = 0; k < 3; k++) {
            CHECK_EQUAL(send_to(peer, "hello", port), 5);
            whose = whose < 0 ? who_has(sharers) : whose;
            CHECK_EQUAL(recv(sharers[whose], text, sizeof(text), 0), 5);
        }
        seen[whose]++;
        CHECK_EQUAL(close(peer), 0);
    }
    for (int i = 0; i < SHARERS; i++) {
        CHECK(seen[i] != 0);
        CHECK_EQUAL(ready(sharers[i], POLLIN, 0), 0);
        CHECK_EQUAL(close(sharers[i]), 0);
    }
    CHECK_EQUAL(bind_to(other, port), 0); /* nobody is there any more */
    CHECK_EQUAL(close(other), 0);
}

static struct ip_mreq membership(const char *group)
{
    struct ip_mreq request = {.imr_interface.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQUAL(inet_pton(AF_INET, group, &request.imr_multiaddr), 1);
    return request;
}

/* A group on the loopback: who has joined gets what is sent to it. */
static void groups(void)
{
    struct ip_mreq group = membership("239.1.2.3"), none = membership("10.1.2.3");
    struct ip_mreqn by_number = {.imr_multiaddr = group.imr_multiaddr, .imr_ifindex = 77};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = group.imr_multiaddr};
    struct in_addr here = {htonl(INADDR_LOOPBACK)}, found = {0};
    socklen_t bytes = sizeof(found);
    char text[8];
    int one = make(), other = make(), sender = make(), stream = socket(AF_INET, SOCK_STREAM, 0);
    set(one, SOL_SOCKET, SO_REUSEADDR, 1);
    set(other, SOL_SOCKET, SO_REUSEADDR, 1);
    CHECK_EQUAL(bind(one, (struct sockaddr *)&to, sizeof(to)), 0);
    to.sin_port = htons((uint16_t)port_of(one));
    CHECK_EQUAL(bind(other, (struct sockaddr *)&to, sizeof(to)), 0);
    CHECK_ERRNO(setsockopt(one, IPPROTO_IP, IP_ADD_MEMBERSHIP, &none, sizeof(none)), EINVAL);
    CHECK_ERRNO(setsockopt(one, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, 4), EINVAL);
    CHECK_ERRNO(setsockopt(one, IPPROTO_IP, IP_ADD_MEMBERSHIP, &by_number, sizeof(by_number)),
                ENODEV);
    CHECK_ERRNO(setsockopt(stream, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), EPROTO);
    CHECK_ERRNO(setsockopt(one, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)),
                EADDRNOTAVAIL);
    CHECK_EQUAL(setsockopt(one, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), 0);
    CHECK_ERRNO(setsockopt(one, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), EADDRINUSE);
    CHECK_EQUAL(setsockopt(other, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), 0);
    CHECK_EQUAL(setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, &here, sizeof(here)), 0);
    CHECK_EQUAL(getsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, &found, &bytes), 0);
    CHECK(bytes == sizeof(found) && found.s_addr == here.s_addr);
    CHECK_EQUAL(sendto(sender, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
    CHECK_EQUAL(ready(one, POLLIN, patience_ms()), POLLIN);
    CHECK_EQUAL(ready(other, POLLIN, patience_ms()), POLLIN); /* both have it */
    CHECK_EQUAL(recv(one, text, sizeof(text), 0), 5);
    CHECK_EQUAL(recv(other, text, sizeof(text), 0), 5);
    CHECK_EQUAL(close(other), 0);
    CHECK_EQUAL(sendto(sender, "again", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
    CHECK_EQUAL(recv(one, text, sizeof(text), 0), 5); /* still a member */
    CHECK_EQUAL(setsockopt(one, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)), 0);
    CHECK_EQUAL(sendto(sender, "gone", 4, 0, (struct sockaddr *)&to, sizeof(to)), 4);
    CHECK_EQUAL(ready(one, POLLIN, 50), 0);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(sender), 0);
    CHECK_EQUAL(close(stream), 0);
}

static void group_options(void)
{
    struct ipv6_mreq six = {.ipv6mr_interface = 1};
    int one = make(), other = make_of(AF_INET6), value = 256;
    unsigned char byte = 7;
    CHECK_EQUAL(get(one, IPPROTO_IP, IP_MULTICAST_TTL), 1);
    CHECK_EQUAL(get(one, IPPROTO_IP, IP_MULTICAST_LOOP), 1);
    CHECK_EQUAL(get(one, IPPROTO_IP, IP_MULTICAST_ALL), 1);
    CHECK_EQUAL(get(one, IPPROTO_IP, IP_MULTICAST_IF), 0);
    CHECK_EQUAL(setsockopt(one, IPPROTO_IP, IP_MULTICAST_TTL, &byte, 1), 0);
    CHECK_EQUAL(get(one, IPPROTO_IP, IP_MULTICAST_TTL), 7);
    set(one, IPPROTO_IP, IP_MULTICAST_TTL, -1);
    CHECK_EQUAL(get(one, IPPROTO_IP, IP_MULTICAST_TTL), 1);
    CHECK_ERRNO(setsockopt(one, IPPROTO_IP, IP_MULTICAST_TTL, &value, sizeof(value)), EINVAL);
    set(one, IPPROTO_IP, IP_MULTICAST_LOOP, 5);
    CHECK_EQUAL(get(one, IPPROTO_IP, IP_MULTICAST_LOOP), 1);
    CHECK_ERRNO(setsockopt(one, IPPROTO_IPV6, IPV6_JOIN_GROUP, &six, sizeof(six)), ENOPROTOOPT);
    CHECK_EQUAL(get(other, IPPROTO_IPV6, IPV6_MULTICAST_HOPS), 1);
    set(other, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 9);
    CHECK_EQUAL(get(other, IPPROTO_IPV6, IPV6_MULTICAST_HOPS), 9);
    CHECK_ERRNO(setsockopt(other, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &value, sizeof(value)),
                EINVAL);
    set(other, IPPROTO_IPV6, IPV6_MULTICAST_IF, 1);
    CHECK_EQUAL(get(other, IPPROTO_IPV6, IPV6_MULTICAST_IF), 1);
    CHECK_ERRNO(setsockopt(other, IPPROTO_IPV6, IPV6_JOIN_GROUP, &six, sizeof(six)), EINVAL);
    CHECK_EQUAL(inet_pton(AF_INET6, "ff15::1234", &six.ipv6mr_multiaddr), 1);
    CHECK_ERRNO(setsockopt(other, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &six, sizeof(six)),
                EADDRNOTAVAIL);
    CHECK_EQUAL(setsockopt(other, IPPROTO_IPV6, IPV6_JOIN_GROUP, &six, sizeof(six)), 0);
    CHECK_ERRNO(setsockopt(other, IPPROTO_IPV6, IPV6_JOIN_GROUP, &six, sizeof(six)), EADDRINUSE);
    CHECK_EQUAL(setsockopt(other, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &six, sizeof(six)), 0);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(other), 0);
}

/* One byte comes, and tells by control data to which address. */
static struct cmsghdr *receive_info(int socket_, struct msghdr *message, uint64_t control[8])
{
    static char byte;
    static struct iovec piece = {&byte, 1};
    memset(control, 0, 64);
    *message = (struct msghdr){.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control};
    message->msg_controllen = 64;
    CHECK_EQUAL(recvmsg(socket_, message, 0), 1);
    return CMSG_FIRSTHDR(message);
}

static void packet_info(void)
{
    struct msghdr message;
    uint64_t control[8];
    struct in_pktinfo four;
    struct in6_pktinfo six;
    int port, one = bound(&port), other = make();
    CHECK_EQUAL(get(one, IPPROTO_IP, IP_PKTINFO), 0);
    CHECK_EQUAL(send_to(other, "x", port), 1);
    CHECK(receive_info(one, &message, control) == NULL);
    set(one, IPPROTO_IP, IP_PKTINFO, 1);
    CHECK_EQUAL(send_to(other, "x", port), 1);
    struct cmsghdr *entry = receive_info(one, &message, control);
    CHECK(entry != NULL && entry->cmsg_level == IPPROTO_IP && entry->cmsg_type == IP_PKTINFO);
    CHECK_EQUAL(entry->cmsg_len, CMSG_LEN(sizeof(four)));
    memcpy(&four, CMSG_DATA(entry), sizeof(four));
    CHECK(four.ipi_ifindex == 1 && four.ipi_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK(four.ipi_spec_dst.s_addr == htonl(INADDR_LOOPBACK) && message.msg_flags == 0);
    struct sockaddr_in to = local(port_of(one));
    message.msg_name = &to; /* and from there it can be sent */
    message.msg_namelen = sizeof(to);
    CHECK_EQUAL(sendmsg(one, &message, 0), 1);
    CHECK(receive_info(one, &message, control) != NULL);
    message.msg_name = &to;
    message.msg_namelen = sizeof(to);
    four = (struct in_pktinfo){.ipi_spec_dst.s_addr = htonl(0xc0000201)}; /* somebody else's */
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &four, sizeof(four));
    CHECK_ERRNO(sendmsg(one, &message, 0), ENETUNREACH);
    CMSG_FIRSTHDR(&message)->cmsg_len -= 4;
    CHECK_ERRNO(sendmsg(one, &message, 0), EINVAL);
    CHECK_EQUAL(close(one), 0);
    one = make_of(AF_INET6);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    CHECK_EQUAL(bind(one, (struct sockaddr *)&any, sizeof(any)), 0);
    set(one, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    CHECK_EQUAL(send_to(other, "x", port_of(one)), 1); /* of IPv4: mapped */
    entry = receive_info(one, &message, control);
    CHECK(entry != NULL && entry->cmsg_level == IPPROTO_IPV6 && entry->cmsg_type == IPV6_PKTINFO);
    memcpy(&six, CMSG_DATA(entry), sizeof(six));
    CHECK(six.ipi6_ifindex == 1 && IN6_IS_ADDR_V4MAPPED(&six.ipi6_addr));
    message.msg_controllen = 4;
    CHECK_EQUAL(send_to(other, "x", port_of(one)), 1);
    CHECK_EQUAL(recvmsg(one, &message, 0), 1);
    CHECK(message.msg_flags == MSG_CTRUNC && message.msg_controllen == 0);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(other), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"names_and_errors", names_and_errors},
        {"datagrams", datagrams},
        {"connected", connected},
        {"nobody", nobody},
        {"shut", shut},
        {"between_cores", between_cores},
        {"both_protocols", both_protocols},
        {"shared_port", shared_port},
        {"groups", groups},
        {"group_options", group_options},
        {"packet_info", packet_info},
    };
    return CHECK_MAIN(cases);
}
