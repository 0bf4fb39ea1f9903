/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and structures of Linux's file calls, x86-64. */
#ifndef POSIX_FILE_ABI_H
#define POSIX_FILE_ABI_H

#include <stdint.h>

#define S_IFMT 0170000u
#define S_IFIFO 0010000u
#define S_IFCHR 0020000u
#define S_IFBLK 0060000u
#define S_IFSOCK 0140000u
#define S_IFDIR 0040000u
#define S_IFREG 0100000u
#define S_IFLNK 0120000u
#define S_ISVTX 01000u
#define S_IALL 07777u
#define S_IEXEC_ANY 0111u

#define AT_FDCWD (-100)
#define AT_SYMLINK_NOFOLLOW 0x100u
#define AT_REMOVEDIR 0x200u
#define AT_EACCESS 0x200u
#define AT_SYMLINK_FOLLOW 0x400u
#define AT_NO_AUTOMOUNT 0x800u
#define AT_EMPTY_PATH 0x1000u
#define AT_STATX_SYNC_TYPE 0x6000u

#define SEEK_SET 0u
#define SEEK_CUR 1u
#define SEEK_END 2u
#define SEEK_DATA 3u
#define SEEK_HOLE 4u

#define F_DUPFD 0u
#define F_GETFD 1u
#define F_SETFD 2u
#define F_GETFL 3u
#define F_SETFL 4u
#define F_GETLK 5u
#define F_SETLK 6u
#define F_SETLKW 7u
#define F_SETOWN 8u
#define F_GETOWN 9u
#define F_SETSIG 10u
#define F_GETSIG 11u
#define F_OFD_GETLK 36u
#define F_OFD_SETLK 37u
#define F_OFD_SETLKW 38u
#define F_DUPFD_CLOEXEC 1030u
#define F_SETPIPE_SZ 1031u
#define F_GETPIPE_SZ 1032u
#define F_ADD_SEALS 1033u
#define F_GET_SEALS 1034u
#define FD_CLOEXEC 1u
#define F_RDLCK 0
#define F_WRLCK 1
#define F_UNLCK 2
#define LOCK_SH 1u
#define LOCK_EX 2u
#define LOCK_NB 4u
#define LOCK_UN 8u

#define TCGETS 0x5401u
#define TCSETS 0x5402u
#define TCSETSW 0x5403u
#define TCSETSF 0x5404u
#define TCSBRK 0x5409u
#define TCXONC 0x540au
#define TCFLSH 0x540bu
#define TIOCSCTTY 0x540eu
#define TIOCGPGRP 0x540fu
#define TIOCSPGRP 0x5410u
#define TIOCOUTQ 0x5411u
#define TIOCGWINSZ 0x5413u
#define TIOCSWINSZ 0x5414u
#define FIONREAD 0x541bu
#define TCSBRKP 0x5425u
#define TIOCGSID 0x5429u
#define FIONBIO 0x5421u
#define FIONCLEX 0x5450u
#define FIOCLEX 0x5451u
#define FIOASYNC 0x5452u

#define DT_UNKNOWN 0
#define DT_FROM_MODE(mode) ((uint8_t)(((mode)&S_IFMT) >> 12))

#define R_OK 4u
#define W_OK 2u
#define X_OK 1u

#define RENAME_NOREPLACE 1u
#define RENAME_EXCHANGE 2u

#define RWF_HIPRI 1u
#define RWF_DSYNC 2u
#define RWF_SYNC 4u
#define RWF_APPEND 16u

#define CLOSE_RANGE_UNSHARE 2u
#define CLOSE_RANGE_CLOEXEC 4u

#define MFD_CLOEXEC 1u
#define MFD_ALLOW_SEALING 2u

#define RESOLVE_NO_XDEV 1u
#define RESOLVE_NO_MAGICLINKS 2u
#define RESOLVE_NO_SYMLINKS 4u
#define RESOLVE_BENEATH 8u
#define RESOLVE_IN_ROOT 16u
#define RESOLVE_CACHED 32u

struct linux_open_how {
    uint64_t flags, mode, resolve;
};

#define UTIME_NOW 0x3fffffff
#define UTIME_OMIT 0x3ffffffe

#define FALLOC_FL_KEEP_SIZE 1u
#define FALLOC_FL_PUNCH_HOLE 2u
#define FALLOC_FL_ZERO_RANGE 16u

struct linux_flock {
    int16_t type, whence;
    int32_t padding;
    int64_t start, length;
    int32_t process;
    int32_t padding_end;
};
_Static_assert(sizeof(struct linux_flock) == 32, "struct flock");

struct linux_timespec {
    int64_t s, ns;
};

struct linux_timeval {
    int64_t s, us;
};

struct linux_winsize {
    uint16_t rows, columns, x_pixels, y_pixels;
};

struct linux_termios {
    uint32_t input, output, control, local;
    uint8_t line, characters[19];
};
_Static_assert(sizeof(struct linux_termios) == 36, "struct termios of the kernel");

/* places in linux_termios.characters */
#define VINTR 0
#define VQUIT 1
#define VERASE 2
#define VKILL 3
#define VEOF 4
#define VTIME 5
#define VMIN 6
#define VSTART 8
#define VSTOP 9
#define VSUSP 10
#define VEOL 11
#define VREPRINT 12
#define VDISCARD 13
#define VWERASE 14
#define VLNEXT 15
#define VEOL2 16
/* linux_termios.input */
#define ISTRIP 0x20u
#define INLCR 0x40u
#define IGNCR 0x80u
#define ICRNL 0x100u
#define IUCLC 0x200u
#define IXON 0x400u
#define IXANY 0x800u
#define IUTF8 0x4000u
/* linux_termios.output */
#define OPOST 0x1u
#define OLCUC 0x2u
#define ONLCR 0x4u
#define OCRNL 0x8u
#define ONOCR 0x10u
#define ONLRET 0x20u
#define XTABS 0x1800u
/* linux_termios.control */
#define CONTROL_38400_8BITS 0xbfu /* B38400 | CS8 | CREAD */
/* linux_termios.local */
#define ISIG 0x1u
#define ICANON 0x2u
#define ECHO 0x8u
#define ECHOE 0x10u
#define ECHOK 0x20u
#define ECHONL 0x40u
#define NOFLSH 0x80u
#define ECHOCTL 0x200u
#define ECHOPRT 0x400u
#define ECHOKE 0x800u
#define IEXTEN 0x8000u
/* arguments of TCXONC and TCFLSH */
#define TCOOFF 0u
#define TCOON 1u
#define TCIOFF 2u
#define TCION 3u
#define TCIFLUSH 0u
#define TCOFLUSH 1u
#define TCIOFLUSH 2u

struct linux_statfs {
    int64_t type, block_bytes;
    uint64_t blocks, blocks_free, blocks_available, files, files_free;
    int32_t id[2];
    int64_t name_bytes_max, fragment_bytes, flags, spare[4];
};
_Static_assert(sizeof(struct linux_statfs) == 120, "struct statfs");

struct linux_statx_time {
    int64_t s;
    uint32_t ns;
    int32_t reserved;
};

struct linux_statx {
    uint32_t mask, block_bytes;
    uint64_t attributes;
    uint32_t link_count, user, group;
    uint16_t mode, padding;
    uint64_t inode, bytes, blocks, attributes_mask;
    struct linux_statx_time access, birth, change, modify;
    uint32_t special_major, special_minor, device_major, device_minor;
    uint64_t mount, spare[13];
};
_Static_assert(sizeof(struct linux_statx) == 256, "struct statx");
#define STATX_BASIC_STATS 0x7ffu
#define STATX_RESERVED 0x80000000u

/* Before the name in getdents64. */
struct linux_dirent64 {
    uint64_t inode, offset;
    uint16_t record_bytes;
    uint8_t type;
};
#define DIRENT_NAME_OFFSET 19u
/* In getdents: the name follows the length, the type is the record's last byte. */
#define DIRENT_OLD_NAME_OFFSET 18u

/* Device numbers as stat shows them, for majors and minors below 256. */
#define DEVICE_NUMBER(major, minor) ((uint64_t)(major) << 8 | (minor))

#endif
