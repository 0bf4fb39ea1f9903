/* SPDX-License-Identifier: Apache-2.0 */
/* Files whose text says how the system is: tables of paths and makers. */
#ifndef POSIX_FILE_SYNTHETIC_H
#define POSIX_FILE_SYNTHETIC_H

#include "node.h"

#define SYNTHETIC_RELEASE "6.1.0-atoll" /* as uname says */

typedef int64_t (*text_maker)(struct text *text, uint64_t argument);

/* A file below a mount; exactly one of make and link is set. */
struct synthetic_file {
    const char *path; /* relative to the mount */
    uint32_t mode;    /* permission bits */
    text_maker make;
    uint64_t argument;
    const char *link;                                     /* target of a symbolic link */
    int64_t (*take)(const char *text, uint64_t argument); /* what a write means, or NULL */
};

/* Puts a file into a directory, with the directories on the way. tree_lock held. -ENOMEM; a name
 * that is there already stays. */
int64_t synthetic_add(struct posix_node *mount, const struct synthetic_file *file);
/* Names of /proc, /sys and /dev; they are the directories' populate functions. */
int64_t process_populate(struct posix_node *directory);
int64_t system_populate(struct posix_node *directory);
int64_t devices_populate(struct posix_node *directory);
/* The program ends. */
void devices_finish(void);

/* A directory below a mount, made if it is not there; borrowed. NULL: no memory. */
struct posix_node *synthetic_directory(struct posix_node *parent, const char *name, size_t bytes);
/* The names of /proc/self and below it that come and go (process_names.c). -ENOMEM */
int64_t process_add_names(struct posix_node *mount);

/* Texts (process_text.c, system_text.c). */
int64_t text_maps(struct text *text, uint64_t argument);
int64_t text_smaps(struct text *text, uint64_t argument);
int64_t text_auxiliary(struct text *text, uint64_t argument);
int64_t text_io(struct text *text, uint64_t argument);
int64_t text_oom_adjustment(struct text *text, uint64_t argument);
int64_t take_oom_adjustment(const char *text, uint64_t argument);
int64_t text_descriptor(struct text *text, uint64_t argument); /* argument: its number */
/* argument: the thread's id; 0: the process */
int64_t text_process_stat(struct text *text, uint64_t argument);
int64_t text_process_statm(struct text *text, uint64_t argument);
int64_t text_process_status(struct text *text, uint64_t argument);
int64_t text_command_line(struct text *text, uint64_t argument);
int64_t text_command_name(struct text *text, uint64_t argument);
int64_t text_environment(struct text *text, uint64_t argument);
int64_t text_limits(struct text *text, uint64_t argument);
int64_t text_cpu_information(struct text *text, uint64_t argument);
int64_t text_memory_information(struct text *text, uint64_t argument);
int64_t text_system_stat(struct text *text, uint64_t argument);
int64_t text_load_average(struct text *text, uint64_t argument);
int64_t text_uptime(struct text *text, uint64_t argument);
int64_t text_version(struct text *text, uint64_t argument);
int64_t text_interrupts(struct text *text, uint64_t argument);
int64_t text_vm_statistics(struct text *text, uint64_t argument);
int64_t text_host_name(struct text *text, uint64_t argument);
int64_t text_uuid(struct text *text, uint64_t argument);
int64_t text_boot_id(struct text *text, uint64_t argument);
/* A set of cores as a hexadecimal mask; argument: CPU_MASK_ALL, or one of them. */
#define CPU_MASK_ALL 64u
int64_t text_kilobytes(struct text *text, uint64_t argument); /* argument: bytes */
int64_t text_cpu_mask(struct text *text, uint64_t argument);
int64_t text_cpu_range(struct text *text, uint64_t argument);
/* argument: the number, or the address of a constant string. */
int64_t text_constant_number(struct text *text, uint64_t argument);
int64_t text_constant(struct text *text, uint64_t argument);

/* What the machine has, summed over the cores. */
struct machine_counts {
    uint64_t frames_total, frames_free, switches, interrupts, idle_ns;
};
void machine_count(struct machine_counts *counts);

#endif
