/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and structures of Linux's socket calls, x86-64. */
#ifndef POSIX_NET_ABI_H
#define POSIX_NET_ABI_H

#include <stdint.h>

#define AF_UNSPEC 0u
#define AF_UNIX 1u
#define AF_MAX 46u

#define SOCK_STREAM 1u
#define SOCK_DGRAM 2u
#define SOCK_RAW 3u
#define SOCK_SEQPACKET 5u
#define SOCK_MAX 11u
#define SOCK_TYPE_MASK 0xfu
#define SOCK_NONBLOCK 0x800u
#define SOCK_CLOEXEC 0x80000u

#define SHUT_RD 0u
#define SHUT_RDWR 2u

#define MSG_OOB 0x1u
#define MSG_PEEK 0x2u
#define MSG_CTRUNC 0x8u
#define MSG_TRUNC 0x20u
#define MSG_DONTWAIT 0x40u
#define MSG_WAITALL 0x100u
#define MSG_NOSIGNAL 0x4000u
#define MSG_MORE 0x8000u
#define MSG_WAITFORONE 0x10000u
#define MSG_BATCH 0x40000u /* more messages of the same call follow */
#define MSG_CMSG_CLOEXEC 0x40000000u
#define MSG_CMSG_COMPAT 0x80000000u

#define SOL_SOCKET 1
#define SCM_RIGHTS 1
#define SCM_CREDENTIALS 2
#define SCM_RIGHTS_MAX 253u

#define SO_DEBUG 1u
#define SO_REUSEADDR 2u
#define SO_TYPE 3u
#define SO_ERROR 4u
#define SO_DONTROUTE 5u
#define SO_BROADCAST 6u
#define SO_SNDBUF 7u
#define SO_RCVBUF 8u
#define SO_KEEPALIVE 9u
#define SO_OOBINLINE 10u
#define SO_PRIORITY 12u
#define SO_LINGER 13u
#define SO_REUSEPORT 15u
#define SO_PASSCRED 16u
#define SO_PEERCRED 17u
#define SO_RCVLOWAT 18u
#define SO_SNDLOWAT 19u
#define SO_RCVTIMEO 20u
#define SO_SNDTIMEO 21u
#define SO_ACCEPTCONN 30u
#define SO_SNDBUFFORCE 32u
#define SO_RCVBUFFORCE 33u
#define SO_PROTOCOL 38u
#define SO_DOMAIN 39u
#define SO_RCVTIMEO_NEW 66u
#define SO_SNDTIMEO_NEW 67u

struct linux_msghdr {
    uint64_t name;
    int32_t name_bytes;
    uint32_t padding;
    uint64_t vectors, vector_count, control, control_bytes;
    uint32_t flags, padding_end;
};
_Static_assert(sizeof(struct linux_msghdr) == 56, "struct msghdr");

struct linux_mmsghdr {
    struct linux_msghdr message;
    uint32_t bytes, padding;
};
_Static_assert(sizeof(struct linux_mmsghdr) == 64, "struct mmsghdr");

struct linux_cmsghdr {
    uint64_t bytes; /* with this header */
    int32_t level, type;
};
_Static_assert(sizeof(struct linux_cmsghdr) == 16, "struct cmsghdr");
#define CMSG_ALIGN(bytes) (((bytes) + 7ull) & ~7ull)

struct linux_linger {
    int32_t is_on, seconds;
};

#define UNIX_PATH_BYTES_MAX 108u /* of sun_path */

#endif
