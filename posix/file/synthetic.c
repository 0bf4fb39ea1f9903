/* SPDX-License-Identifier: Apache-2.0 */
/* Which names /proc, /sys and /dev have. The texts are made in process_text.c and system_text.c. */
#include "synthetic.h"
#include "console.h"
#include "descriptor.h"
#include "device.h"
#include "tree.h"
#include <posix/memory.h>

#define TEXT(string) .make = text_constant, .argument = (uintptr_t)(string "\n")
#define NUMBER(value) .make = text_constant_number, .argument = (value)

/* A directory below a mount, made if it is not there; borrowed. NULL: no memory. */
static struct posix_node *make_directory(struct posix_node *parent, const char *name, size_t bytes)
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
            directory = make_directory(directory, name, (size_t)(at - name));
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

static struct posix_node *find_descriptor(const char *name, size_t name_bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < name_bytes; i++) {
        if (name[i] < '0' || name[i] > '9' || number > POSIX_FILE_LIMIT_HARD ||
            (i != 0 && name[0] == '0')) {
            return NULL;
        }
        number = number * 10 + (uint64_t)(name[i] - '0');
    }
    struct posix_node *target = NULL;
    if (!descriptor_node(number, &target)) {
        return NULL;
    }
    struct posix_node *node = node_create(NODE_MAGIC, S_IFLNK | 0700);
    if (node == NULL) {
        if (target != NULL) {
            node_put(target);
        }
        return NULL;
    }
    node->magic_target = target;
    node->link_count = 1;
    return node;
}

static const struct synthetic_file process_files[] = {
    {.path = "self", .link = "1"},
    {.path = "thread-self", .link = "1/task/1"},
    {.path = "mounts", .link = "self/mounts"},
    {.path = "1/maps", .mode = 0444, .make = text_maps},
    {.path = "1/stat", .mode = 0444, .make = text_process_stat},
    {.path = "1/statm", .mode = 0444, .make = text_process_statm},
    {.path = "1/status", .mode = 0444, .make = text_process_status},
    {.path = "1/cmdline", .mode = 0444, .make = text_command_line},
    {.path = "1/comm", .mode = 0644, .make = text_command_name},
    {.path = "1/environ", .mode = 0400, .make = text_environment},
    {.path = "1/limits", .mode = 0444, .make = text_limits},
    {.path = "1/mounts", .mode = 0444, TEXT("rootfs / rootfs rw 0 0")},
    {.path = "1/mountinfo", .mode = 0444, TEXT("1 1 0:2 / / rw - rootfs rootfs rw")},
    {.path = "1/cgroup", .mode = 0444, TEXT("0::/")},
    {.path = "1/task/1/stat", .mode = 0444, .make = text_process_stat},
    {.path = "1/task/1/status", .mode = 0444, .make = text_process_status},
    {.path = "1/task/1/comm", .mode = 0644, .make = text_command_name},
    {.path = "cpuinfo", .mode = 0444, .make = text_cpu_information},
    {.path = "meminfo", .mode = 0444, .make = text_memory_information},
    {.path = "stat", .mode = 0444, .make = text_system_stat},
    {.path = "loadavg", .mode = 0444, .make = text_load_average},
    {.path = "uptime", .mode = 0444, .make = text_uptime},
    {.path = "version", .mode = 0444, .make = text_version},
    {.path = "filesystems", .mode = 0444, TEXT("nodev\trootfs")},
    {.path = "sys/vm/overcommit_memory", .mode = 0644, NUMBER(0)},
    {.path = "sys/vm/max_map_count", .mode = 0644, NUMBER(65530)},
    {.path = "sys/kernel/hostname", .mode = 0644, .make = text_host_name},
    {.path = "sys/kernel/pid_max", .mode = 0644, NUMBER(4194304)},
    {.path = "sys/kernel/threads-max", .mode = 0644, NUMBER(4194304)},
    {.path = "sys/kernel/random/uuid", .mode = 0444, .make = text_uuid},
    {.path = "sys/kernel/random/entropy_avail", .mode = 0444, NUMBER(256)},
    {.path = "sys/net/core/somaxconn", .mode = 0644, NUMBER(4096)},
    {.path = "sys/fs/nr_open", .mode = 0644, NUMBER(POSIX_FILE_LIMIT_HARD)},
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
    int64_t error = 0;
    struct entry *self = result == 0 ? tree_find(directory, "1", 1, &error) : NULL;
    struct posix_node *descriptors = self != NULL ? make_directory(self->node, "fd", 2) : NULL;
    if (descriptors == NULL) {
        return -ENOMEM;
    }
    descriptors->directory.find = find_descriptor;
    descriptors->directory.next = descriptor_next;
    return 0;
}

static const struct synthetic_file system_files[] = {
    {.path = "devices/system/cpu/online", .mode = 0444, .make = text_cpu_range},
    {.path = "devices/system/cpu/possible", .mode = 0444, .make = text_cpu_range},
    {.path = "devices/system/cpu/present", .mode = 0444, .make = text_cpu_range},
    {.path = "devices/system/node/online", .mode = 0444, NUMBER(0)},
    {.path = "devices/system/node/node0/cpulist", .mode = 0444, .make = text_cpu_range},
    {.path = "devices/system/clocksource/clocksource0/current_clocksource",
     .mode = 0644,
     TEXT("tsc")},
    {.path = "kernel/mm/transparent_hugepage/enabled",
     .mode = 0644,
     TEXT("[always] madvise never")},
    {.path = "kernel/mm/transparent_hugepage/hpage_pmd_size", .mode = 0444, NUMBER(2 << 20)},
};

/* "devices/system/cpu/cpuN/topology/<name>" */
static int64_t add_topology(struct posix_node *directory, uint32_t core, const char *name,
                            uint64_t value)
{
    struct text path = {0};
    text_string(&path, "devices/system/cpu/cpu");
    text_number(&path, core);
    text_string(&path, "/topology/");
    text_string(&path, name);
    text_append(&path, "", 1);
    struct synthetic_file file = {.path = path.bytes, .mode = 0444, NUMBER(value)};
    int64_t result = path.is_full ? -ENOMEM : synthetic_add(directory, &file);
    posix_free(path.bytes);
    return result;
}

/* @impl ATL-LLR-FILE-0029~1 */
int64_t system_populate(struct posix_node *directory)
{
    int64_t result =
        add_all(directory, system_files, sizeof(system_files) / sizeof(system_files[0]));
    for (uint32_t core = 0; result == 0 && core < posix_info.core_count; core++) {
        result = add_topology(directory, core, "core_id", core);
        if (result == 0) {
            result = add_topology(directory, core, "physical_package_id", 0);
        }
    }
    return result;
}

struct device {
    const char *name;
    const struct posix_file_operations *operations;
    uint32_t major, minor, mode;
};

static const struct device devices[] = {
    {"null", &device_null_operations, 1, 3, 0666},
    {"zero", &device_zero_operations, 1, 5, 0666},
    {"full", &device_full_operations, 1, 7, 0666},
    {"random", &device_random_operations, 1, 8, 0666},
    {"urandom", &device_random_operations, 1, 9, 0666},
};

static const struct synthetic_file device_links[] = {
    {.path = "fd", .link = "/proc/self/fd"},
    {.path = "stdin", .link = "/proc/self/fd/0"},
    {.path = "stdout", .link = "/proc/self/fd/1"},
    {.path = "stderr", .link = "/proc/self/fd/2"},
};

static int64_t add_device(struct posix_node *directory, const struct device *device)
{
    struct posix_node *node = node_create(NODE_DEVICE, S_IFCHR | device->mode);
    if (node != NULL) {
        node->device_file.operations = device->operations;
        node->device_file.stream = 1;
        node->special = DEVICE_NUMBER(device->major, device->minor);
    }
    return add_node(directory, device->name, __builtin_strlen(device->name), node);
}

/* @impl ATL-LLR-FILE-0007~1 */
int64_t devices_populate(struct posix_node *directory)
{
    int64_t result =
        add_all(directory, device_links, sizeof(device_links) / sizeof(device_links[0]));
    for (size_t i = 0; result == 0 && i < sizeof(devices) / sizeof(devices[0]); i++) {
        result = add_device(directory, &devices[i]);
    }
    bool is_framed = (posix_image()->flags & IMAGE_FLAG_FRAMED) != 0;
    /* A program behind pipes has no controlling terminal: opening it is ENXIO. */
    const struct device terminal = {"tty", is_framed ? NULL : &console_operations, 5, 0, 0666};
    if (result == 0) {
        result = add_device(directory, &terminal);
    }
    const struct device console = {"console", &console_operations, 5, 1, 0600};
    if (result == 0) {
        result = add_device(directory, &console);
    }
    struct posix_node *shared = result == 0 ? make_directory(directory, "shm", 3) : NULL;
    if (shared == NULL) {
        return -ENOMEM;
    }
    shared->mode = S_IFDIR | S_ISVTX | 0777;
    shared->directory.is_sealed = false;
    return 0;
}
