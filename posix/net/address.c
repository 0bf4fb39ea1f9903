/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses between the application and the calls. */
#include "socket.h"

/* @impl ATL-LLR-NET-0702~1 */
int64_t address_load(struct socket_address *address, uint64_t from, uint64_t bytes)
{
    if ((uint32_t)bytes > sizeof(address->storage)) {
        return -EINVAL;
    }
    __builtin_memset(address, 0, sizeof(*address));
    address->bytes = (uint32_t)bytes;
    return address->bytes != 0 ? posix_copy_in(address->storage, from, address->bytes) : 0;
}

/* @impl ATL-LLR-NET-0702~1 */
int64_t address_store(const struct socket_address *address, uint64_t to, uint64_t bytes_at)
{
    uint32_t room;
    if (posix_load_u32(bytes_at, &room) != 0) {
        return -EFAULT;
    }
    if (room > INT32_MAX) {
        return -EINVAL;
    }
    uint32_t part = room < address->bytes ? room : address->bytes;
    if (part != 0 && posix_copy_out(to, address->storage, part) != 0) {
        return -EFAULT;
    }
    return posix_store_u32(bytes_at, address->bytes);
}
