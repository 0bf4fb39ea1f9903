/* SPDX-License-Identifier: Apache-2.0 */
/* Writes two pages of a shared mapping that nobody touched, then reads into a third and writes
 * that. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
    int fd = open("/tmp/shared", O_RDWR | O_CREAT, 0600);
    if (ftruncate(fd, 3 * 4096) != 0) {
        return 1;
    }
    char *memory = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (write(1, memory, 2 * 4096) != 2 * 4096) {
        return 2;
    }
    ssize_t got = read(0, memory + 2 * 4096, 5);
    return got == 5 && write(1, memory + 2 * 4096, 5) == 5 ? 0 : 3;
}
