/* SPDX-License-Identifier: Apache-2.0 */
/* Which names /proc, /sys and /dev have. The texts are made in process_text.c and system_text.c. */
#include "synthetic.h"
#include "console.h"
#include "device.h"
#include "terminal.h"
#include "tree.h"
#include <posix/instructions.h>
#include <posix/memory.h>

#define TEXT(string) .make = text_constant, .argument = (uintptr_t)(string "\n")
#define CACHES_MAX 8u
#define NUMBER(value) .make = text_constant_number, .argument = (value)

struct posix_node *synthetic_directory(struct posix_node *parent, const char *name, size_t bytes)
{
    int64_t error = 0;
    struct entry *entry = tree_find(parent, name, bytes, &error);
    if (entry != NULL) {
        return entry->node->kind == NODE_DIRECTORY ? entry->node : NULL;
    }
    struct posix_node *node = node_create(NODE_DIRECTORY, S_IFDIR | 0555);
    if (node == NULL) {
        return NULL;
    }
    tree_make_directory(node, parent);
    node->directory.is_sealed = true;
    node->device = parent->device;
    int64_t result = tree_add(parent, name, bytes, node);
    node_put(node); /* the entry holds it */
    return result == 0 ? node : NULL;
}

static struct posix_node *make_node(const struct synthetic_file *file)
{
    if (file->link == NULL) {
        struct posix_node *node = node_create(NODE_SYNTHETIC, S_IFREG | file->mode);
        if (node != NULL) {
            node->synthetic.make = file->make;
            node->synthetic.argument = file->argument;
            node->synthetic.take = file->take;
        }
        return node;
    }
    struct posix_node *node = node_create(NODE_LINK, S_IFLNK | 0777);
    size_t bytes = __builtin_strlen(file->link);
    char *target = node != NULL ? posix_allocate(bytes + 1) : NULL;
    if (target == NULL) {
        if (node != NULL) {
            node_put(node);
        }
        return NULL;
    }
    __builtin_memcpy(target, file->link, bytes);
    node->link.target = target;
    node->link.target_bytes = bytes;
    return node;
}

static int64_t add_node(struct posix_node *directory, const char *name, size_t bytes,
                        struct posix_node *node)
{
    int64_t result = -ENOMEM;
    if (node != NULL) {
        int64_t error = 0;
        bool is_there = tree_find(directory, name, bytes, &error) != NULL;
        node->device = directory->device;
        result = is_there ? 0 : tree_add(directory, name, bytes, node);
        node_put(node);
    }
    return result;
}

int64_t synthetic_add(struct posix_node *mount, const struct synthetic_file *file)
{
    const char *name = file->path;
    struct posix_node *directory = mount;
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '/') {
            directory = synthetic_directory(directory, name, (size_t)(at - name));
            if (directory == NULL) {
                return -ENOMEM;
            }
            name = at + 1;
        }
    }
    return add_node(directory, name, __builtin_strlen(name), make_node(file));
}

static int64_t add_all(struct posix_node *mount, const struct synthetic_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t result = synthetic_add(mount, &files[i]);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

#define MOUNTS                                                                                     \
    "rootfs / rootfs rw 0 0\nproc /proc proc rw 0 0\nsysfs /sys sysfs rw 0 0\n"                    \
    "devtmpfs /dev devtmpfs rw 0 0"
#define MOUNT_INFORMATION                                                                          \
    "1 1 0:2 / / rw - rootfs rootfs rw\n2 1 0:3 / /proc rw - proc proc rw\n"                       \
    "3 1 0:4 / /sys rw - sysfs sysfs rw\n4 1 0:5 / /dev rw - devtmpfs devtmpfs rw"

static const struct synthetic_file process_files[] = {
    {.path = "self", .link = "1"},
    {.path = "thread-self", .link = "1/task/1"}, /* found by process_names.c */
    {.path = "mounts", .link = "self/mounts"},
    {.path = "1/cwd", .link = "/"}, /* likewise */
    {.path = "1/root", .link = "/"},
    {.path = "1/maps", .mode = 0444, .make = text_maps},
    {.path = "1/smaps", .mode = 0444, .make = text_smaps},
    {.path = "1/auxv", .mode = 0400, .make = text_auxiliary},
    {.path = "1/io", .mode = 0400, .make = text_io},
    {.path = "1/oom_score_adj",
     .mode = 0644,
     .make = text_oom_adjustment,
     .take = take_oom_adjustment},
    {.path = "1/oom_score", .mode = 0444, NUMBER(0)},
    {.path = "1/stat", .mode = 0444, .make = text_process_stat},
    {.path = "1/statm", .mode = 0444, .make = text_process_statm},
    {.path = "1/status", .mode = 0444, .make = text_process_status},
    {.path = "1/cmdline", .mode = 0444, .make = text_command_line},
    {.path = "1/comm", .mode = 0644, .make = text_command_name},
    {.path = "1/environ", .mode = 0400, .make = text_environment},
    {.path = "1/limits", .mode = 0444, .make = text_limits},
    {.path = "1/mounts", .mode = 0444, TEXT(MOUNTS)},
    {.path = "1/mountinfo", .mode = 0444, TEXT(MOUNT_INFORMATION)},
    {.path = "1/cgroup", .mode = 0444, TEXT("0::/")},
    {.path = "cpuinfo", .mode = 0444, .make = text_cpu_information},
    {.path = "meminfo", .mode = 0444, .make = text_memory_information},
    {.path = "stat", .mode = 0444, .make = text_system_stat},
    {.path = "loadavg", .mode = 0444, .make = text_load_average},
    {.path = "uptime", .mode = 0444, .make = text_uptime},
    {.path = "version", .mode = 0444, .make = text_version},
    {.path = "interrupts", .mode = 0444, .make = text_interrupts},
    {.path = "vmstat", .mode = 0444, .make = text_vm_statistics},
    {.path = "filesystems",
     .mode = 0444,
     TEXT("nodev\trootfs\nnodev\tproc\nnodev\tsysfs\nnodev\tdevtmpfs")},
    {.path = "swaps", .mode = 0444, TEXT("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority")},
    {.path = "sys/vm/overcommit_memory", .mode = 0644, NUMBER(0)},
    {.path = "sys/vm/max_map_count", .mode = 0644, NUMBER(65530)},
    {.path = "sys/vm/swappiness", .mode = 0644, NUMBER(60)},
    {.path = "sys/kernel/hostname", .mode = 0644, .make = text_host_name},
    {.path = "sys/kernel/ostype", .mode = 0444, TEXT("Linux")},
    {.path = "sys/kernel/osrelease", .mode = 0444, TEXT(SYNTHETIC_RELEASE)},
    {.path = "sys/kernel/version", .mode = 0444, TEXT("#1 SMP")},
    {.path = "sys/kernel/pid_max", .mode = 0644, NUMBER(4194304)},
    {.path = "sys/kernel/threads-max", .mode = 0644, NUMBER(4194304)},
    {.path = "sys/kernel/ngroups_max", .mode = 0444, NUMBER(65536)},
    {.path = "sys/kernel/cap_last_cap", .mode = 0444, NUMBER(40)},
    {.path = "sys/kernel/random/uuid", .mode = 0444, .make = text_uuid},
    {.path = "sys/kernel/random/boot_id", .mode = 0444, .make = text_boot_id},
    {.path = "sys/kernel/random/entropy_avail", .mode = 0444, NUMBER(256)},
    {.path = "sys/kernel/random/poolsize", .mode = 0444, NUMBER(256)},
    {.path = "sys/net/core/somaxconn", .mode = 0644, NUMBER(4096)},
    {.path = "sys/fs/nr_open", .mode = 0644, NUMBER(POSIX_FILE_LIMIT_HARD)},
    {.path = "sys/fs/file-max", .mode = 0644, NUMBER(POSIX_FILE_LIMIT_HARD)},
};

/* @impl ATL-LLR-FILE-0029~1 */
int64_t process_populate(struct posix_node *directory)
{
    int64_t result =
        add_all(directory, process_files, sizeof(process_files) / sizeof(process_files[0]));
    if (result == 0) {
        struct synthetic_file program = {
            .path = "1/exe", .link = posix_image_string(posix_image()->program_path_offset)};
        result = synthetic_add(directory, &program);
    }
    return result == 0 ? process_add_names(directory) : result;
}

static const struct synthetic_file system_files[] = {
    {.path = "devices/system/cpu/online", .mode = 0444, .make = text_cpu_range},
    {.path = "devices/system/cpu/possible", .mode = 0444, .make = text_cpu_range},
    {.path = "devices/system/cpu/present", .mode = 0444, .make = text_cpu_range},
    {.path = "devices/system/cpu/offline", .mode = 0444, TEXT("")},
    {.path = "devices/system/cpu/kernel_max", .mode = 0444, NUMBER(63)},
    {.path = "devices/system/node/online", .mode = 0444, NUMBER(0)},
    {.path = "devices/system/node/possible", .mode = 0444, NUMBER(0)},
    {.path = "devices/system/node/has_cpu", .mode = 0444, NUMBER(0)},
    {.path = "devices/system/node/has_memory", .mode = 0444, NUMBER(0)},
    {.path = "devices/system/node/node0/cpulist", .mode = 0444, .make = text_cpu_range},
    {.path = "devices/system/node/node0/cpumap",
     .mode = 0444,
     .make = text_cpu_mask,
     .argument = CPU_MASK_ALL},
    {.path = "devices/system/node/node0/distance", .mode = 0444, NUMBER(10)},
    {.path = "devices/system/clocksource/clocksource0/current_clocksource",
     .mode = 0644,
     TEXT("tsc")},
    {.path = "devices/system/clocksource/clocksource0/available_clocksource",
     .mode = 0444,
     TEXT("tsc")},
    {.path = "kernel/mm/transparent_hugepage/enabled",
     .mode = 0644,
     TEXT("[always] madvise never")},
    {.path = "kernel/mm/transparent_hugepage/defrag",
     .mode = 0644,
     TEXT("always defer defer+madvise madvise [never]")},
    {.path = "kernel/mm/transparent_hugepage/use_zero_page", .mode = 0644, NUMBER(0)},
    {.path = "kernel/mm/transparent_hugepage/hpage_pmd_size", .mode = 0444, NUMBER(2 << 20)},
};

/* Below devices/system/cpu/cpuN; CORE_ITSELF stands for the core. */
#define CORE_ITSELF UINT64_MAX
static const struct synthetic_file core_files[] = {
    {.path = "online", .mode = 0644, NUMBER(1)},
    {.path = "topology/core_id", .mode = 0444, NUMBER(CORE_ITSELF)},
    {.path = "topology/physical_package_id", .mode = 0444, NUMBER(0)},
    {.path = "topology/die_id", .mode = 0444, NUMBER(0)},
    {.path = "topology/thread_siblings_list", .mode = 0444, NUMBER(CORE_ITSELF)},
    {.path = "topology/core_cpus_list", .mode = 0444, NUMBER(CORE_ITSELF)},
    {.path = "topology/core_siblings_list", .mode = 0444, .make = text_cpu_range},
    {.path = "topology/package_cpus_list", .mode = 0444, .make = text_cpu_range},
    {.path = "topology/thread_siblings",
     .mode = 0444,
     .make = text_cpu_mask,
     .argument = CORE_ITSELF},
    {.path = "topology/core_cpus", .mode = 0444, .make = text_cpu_mask, .argument = CORE_ITSELF},
    {.path = "topology/core_siblings",
     .mode = 0444,
     .make = text_cpu_mask,
     .argument = CPU_MASK_ALL},
    {.path = "topology/package_cpus",
     .mode = 0444,
     .make = text_cpu_mask,
     .argument = CPU_MASK_ALL},
};

/* Adds a file of a core's folder. */
static int64_t add_core_file(struct posix_node *directory, uint32_t core,
                             const struct synthetic_file *wanted)
{
    struct text path = {0};
    text_string(&path, "devices/system/cpu/cpu");
    text_number(&path, core);
    text_string(&path, "/");
    text_string(&path, wanted->path);
    text_append(&path, "", 1);
    struct synthetic_file file = *wanted;
    file.path = path.bytes;
    file.argument = file.argument == CORE_ITSELF ? core : file.argument;
    int64_t result = path.is_full ? -ENOMEM : synthetic_add(directory, &file);
    posix_free(path.bytes);
    return result;
}

/* What CPUID leaf 4 tells of one cache, as cache/indexN. */
static int64_t add_cache(struct posix_node *directory, uint32_t core, uint32_t index,
                         const struct instruction_cpuid_result *leaf)
{
    static const char *const types[] = {"", "Data\n", "Instruction\n", "Unified\n"};
    uint64_t line = (leaf->ebx & 0xfff) + 1;
    uint64_t ways = (leaf->ebx >> 22) + 1;
    uint64_t sets = (uint64_t)leaf->ecx + 1;
    uint64_t bytes = line * ways * sets * ((leaf->ebx >> 12 & 0x3ff) + 1);
    bool is_shared = (leaf->eax >> 14 & 0xfff) != 0;
    const struct synthetic_file files[] = {
        {.path = "level", .mode = 0444, NUMBER(leaf->eax >> 5 & 7)},
        {.path = "type",
         .mode = 0444,
         .make = text_constant,
         .argument = (uintptr_t)types[leaf->eax & 3]},
        {.path = "size", .mode = 0444, .make = text_kilobytes, .argument = bytes},
        {.path = "coherency_line_size", .mode = 0444, NUMBER(line)},
        {.path = "ways_of_associativity", .mode = 0444, NUMBER(ways)},
        {.path = "number_of_sets", .mode = 0444, NUMBER(sets)},
        {.path = "shared_cpu_list",
         .mode = 0444,
         .make = is_shared ? text_cpu_range : text_constant_number,
         .argument = core},
        {.path = "shared_cpu_map",
         .mode = 0444,
         .make = text_cpu_mask,
         .argument = is_shared ? CPU_MASK_ALL : core},
    };
    int64_t result = 0;
    for (size_t i = 0; result == 0 && i < sizeof(files) / sizeof(files[0]); i++) {
        struct text name = {0};
        text_string(&name, "cache/index");
        text_number(&name, index);
        text_string(&name, "/");
        text_string(&name, files[i].path);
        text_append(&name, "", 1);
        struct synthetic_file file = files[i];
        file.path = name.bytes;
        result = name.is_full ? -ENOMEM : add_core_file(directory, core, &file);
        posix_free(name.bytes);
    }
    return result;
}

static int64_t add_core(struct posix_node *directory, uint32_t core)
{
    int64_t result = 0;
    for (size_t i = 0; result == 0 && i < sizeof(core_files) / sizeof(core_files[0]); i++) {
        result = add_core_file(directory, core, &core_files[i]);
    }
    bool has_leaf = instruction_cpuid(0, 0).eax >= 4;
    for (uint32_t index = 0; result == 0 && has_leaf && index < CACHES_MAX; index++) {
        struct instruction_cpuid_result leaf = instruction_cpuid(4, index);
        if ((leaf.eax & 0x1f) == 0 || (leaf.eax & 0x1f) > 3) {
            break;
        }
        result = add_cache(directory, core, index, &leaf);
    }
    return result;
}

/* @impl ATL-LLR-FILE-0029~1 */
int64_t system_populate(struct posix_node *directory)
{
    int64_t result =
        add_all(directory, system_files, sizeof(system_files) / sizeof(system_files[0]));
    for (uint32_t core = 0; result == 0 && core < posix_info.core_count; core++) {
        result = add_core(directory, core);
    }
    return result;
}

POSIX_DEVICE(null, {"null", &device_null_operations, 1, 3, 0666, NULL});
POSIX_DEVICE(zero, {"zero", &device_zero_operations, 1, 5, 0666, NULL});
POSIX_DEVICE(full, {"full", &device_full_operations, 1, 7, 0666, NULL});
POSIX_DEVICE(random, {"random", &device_random_operations, 1, 8, 0666, NULL});
POSIX_DEVICE(urandom, {"urandom", &device_random_operations, 1, 9, 0666, NULL});

static const struct synthetic_file device_links[] = {
    {.path = "fd", .link = "/proc/self/fd"},
    {.path = "stdin", .link = "/proc/self/fd/0"},
    {.path = "stdout", .link = "/proc/self/fd/1"},
    {.path = "stderr", .link = "/proc/self/fd/2"},
};

static int64_t add_device(struct posix_node *directory, const struct posix_device *device)
{
    struct posix_node *node = node_create(NODE_DEVICE, S_IFCHR | device->mode);
    if (node != NULL) {
        node->device_file.operations = device->operations;
        node->device_file.stream = terminal_screen();
        node->special = DEVICE_NUMBER(device->major, device->minor);
    }
    return add_node(directory, device->name, __builtin_strlen(device->name), node);
}

/* @impl ATL-LLR-FILE-0007~1 */
int64_t devices_populate(struct posix_node *directory)
{
    int64_t result =
        add_all(directory, device_links, sizeof(device_links) / sizeof(device_links[0]));
    for (const struct posix_device *device = __start_posix_devices;
         result == 0 && device < __stop_posix_devices; device++) {
        result = add_device(directory, device);
    }
    const struct posix_file_operations *here = terminal_exists() ? &terminal_operations : NULL;
    /* A program behind pipes has no controlling terminal: opening it is ENXIO. */
    const struct posix_device terminal = {"tty", here, 5, 0, 0666, NULL};
    if (result == 0) {
        result = add_device(directory, &terminal);
    }
    const struct posix_device console = {
        "console", here != NULL ? here : &console_operations, 5, 1, 0600, NULL};
    if (result == 0) {
        result = add_device(directory, &console);
    }
    struct posix_node *shared = result == 0 ? synthetic_directory(directory, "shm", 3) : NULL;
    if (shared == NULL) {
        return -ENOMEM;
    }
    shared->mode = S_IFDIR | S_ISVTX | 0777;
    shared->directory.is_sealed = false;
    return 0;
}

void devices_finish(void)
{
    for (const struct posix_device *device = __start_posix_devices; device < __stop_posix_devices;
         device++) {
        if (device->finish != NULL) {
            device->finish();
        }
    }
}
