/* SPDX-License-Identifier: Apache-2.0 */
/* The network at the start of a program: an address of the machine, and the files by which
 * libraries of C find names. */
#include "device.h"
#include "setting.h"

#include "../file/abi.h"
#include <posix/file.h>
#include <posix/net.h>
#include <posix/syscalls.h>
#include <posix/time.h>

#define LEASE_NS (10 * POSIX_NS_PER_S) /* how long a program waits for DHCP */
#define PATH_BYTES 32u
#define TEXT_BYTES 256u

/* What calls of the program take: posix/'s heap lies where they look, its constants do not. */
struct request {
    char path[PATH_BYTES];
    char text[TEXT_BYTES];
};

static void set_path(struct request *request, const char *path)
{
    __builtin_memcpy(request->path, path, __builtin_strlen(path) + 1);
}

/* Unless the image brings one. */
static void make_file(struct request *request, const char *path, size_t bytes)
{
    set_path(request, path);
    int64_t descriptor = posix_openat((uint64_t)AT_FDCWD, (uintptr_t)request->path,
                                      POSIX_O_WRONLY | POSIX_O_CREAT | POSIX_O_EXCL, 0644);
    if (descriptor >= 0) {
        (void)posix_write((uint64_t)descriptor, (uintptr_t)request->text, bytes);
        (void)posix_close((uint64_t)descriptor);
    }
}

/* @impl ATL-LLR-NET-0930~1 */
static void make_files(void)
{
    static const char hosts[] = "127.0.0.1 localhost\n::1 localhost\n";
    struct request *request = posix_allocate(sizeof(*request));
    if (request == NULL) {
        return; /* names are not found then; addresses are */
    }
    set_path(request, "/etc");
    (void)posix_mkdirat((uint64_t)AT_FDCWD, (uintptr_t)request->path, 0755);
    __builtin_memcpy(request->text, hosts, sizeof(hosts) - 1);
    make_file(request, "/etc/hosts", sizeof(hosts) - 1);
    size_t bytes = lease_name_servers(request->text, sizeof(request->text));
    if (bytes != 0) {
        make_file(request, "/etc/resolv.conf", bytes);
    }
    posix_free(request);
}

static void wait_for_addresses(void)
{
    uint64_t deadline_ns = posix_deadline_after(LEASE_NS);
    for (uint32_t device = 0; device < NET_DEVICES; device++) {
        if (!lease_wait(device, deadline_ns)) {
            posix_report(net_setting(device) != NULL
                             ? "another machine has the address of this one on eth%u"
                             : "nobody gives this machine an address on eth%u; it goes on asking",
                         device);
        }
    }
}

/* @impl ATL-LLR-POSIX-0912~1 */
void posix_network_start(void)
{
    net_statistics_start();
    if (device_end() != 0) {
        for (uint32_t core = 0; core < posix_info.core_count; core++) {
            if (net_stack_start(core) < 0) {
                posix_report("no memory for the network of core %u", core);
            }
        }
        wait_for_addresses();
    }
    make_files();
}
