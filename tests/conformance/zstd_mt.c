/* SPDX-License-Identifier: Apache-2.0 */
/* Compresses the file argv[1] with libzstd in argv[2] threads to standard output, one frame for
 * each MiB, after checking that each decompresses to the same bytes; the report goes to standard
 * error. (Debian's static library is built without worker threads of its own.) The output depends
 * on the input alone, so it must equal the build machine's. argv[3] = "break" flips a bit of the
 * compressed data before the check, which must then fail (status 1).
 *
 * @verifies ATL-HLR-CONF-0012~1 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define JOB_BYTES (1ul << 20)
#define WORKERS_MAX 16

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "FAIL zstd_mt: %s: %s\n", what, why);
    exit(1);
}

static unsigned char *read_file(const char *path, size_t *bytes)
{
    struct stat status;
    size_t done = 0;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &status) != 0) {
        fail(path, "cannot be opened");
    }
    unsigned char *data = malloc((size_t)status.st_size + 1);
    if (data == NULL) {
        fail(path, "no memory");
    }
    while (done < (size_t)status.st_size) {
        ssize_t got = read(fd, data + done, (size_t)status.st_size - done);
        if (got <= 0) {
            fail(path, "cannot be read");
        }
        done += (size_t)got;
    }
    close(fd);
    *bytes = done;
    return data;
}

static void write_all(const unsigned char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t done = write(STDOUT_FILENO, data, bytes);
        if (done <= 0) {
            fail("output", "cannot be written");
        }
        data += done;
        bytes -= (size_t)done;
    }
}

/* One independent frame of the output: job n covers input bytes from n * JOB_BYTES on. */
struct job {
    unsigned char *packed;
    size_t packed_bytes;
};

static struct {
    const unsigned char *data;
    size_t bytes, job_count;
    atomic_size_t next;
    struct job *jobs;
} work;

static void compress_job(ZSTD_CCtx *context, size_t index)
{
    size_t begin = index * JOB_BYTES;
    size_t bytes = work.bytes - begin < JOB_BYTES ? work.bytes - begin : JOB_BYTES;
    size_t capacity = ZSTD_compressBound(bytes);
    struct job *job = &work.jobs[index];
    job->packed = malloc(capacity);
    if (job->packed == NULL) {
        fail("job", "no memory");
    }
    job->packed_bytes = ZSTD_compress2(context, job->packed, capacity, work.data + begin, bytes);
    if (ZSTD_isError(job->packed_bytes)) {
        fail("compress", ZSTD_getErrorName(job->packed_bytes));
    }
}

static void *compress_jobs(void *unused)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (context == NULL ||
        ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 3)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1))) {
        fail("context", "a parameter was refused");
    }
    for (size_t index; (index = atomic_fetch_add(&work.next, 1)) < work.job_count;) {
        compress_job(context, index);
    }
    ZSTD_freeCCtx(context);
    return unused;
}

static void run_workers(int count)
{
    pthread_t threads[WORKERS_MAX];
    work.job_count = (work.bytes + JOB_BYTES - 1) / JOB_BYTES;
    work.jobs = calloc(work.job_count + 1, sizeof(*work.jobs));
    if (work.jobs == NULL || count < 1 || count > WORKERS_MAX) {
        fail("workers", "no memory or a bad count");
    }
    for (int i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, compress_jobs, NULL) != 0) {
            fail("pthread_create", "refused");
        }
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void check_job(size_t index, unsigned char *unpacked)
{
    const struct job *job = &work.jobs[index];
    size_t begin = index * JOB_BYTES;
    size_t bytes = work.bytes - begin < JOB_BYTES ? work.bytes - begin : JOB_BYTES;
    size_t got = ZSTD_decompress(unpacked, JOB_BYTES, job->packed, job->packed_bytes);
    if (ZSTD_isError(got)) {
        fail("decompress", ZSTD_getErrorName(got));
    }
    if (got != bytes || memcmp(work.data + begin, unpacked, bytes) != 0) {
        fail("decompress", "other bytes than the input");
    }
}

int main(int argc, char **argv)
{
    size_t total = 0;
    if (argc < 3) {
        fprintf(stderr, "usage: zstd_mt FILE WORKERS [break]\n");
        return 2;
    }
    work.data = read_file(argv[1], &work.bytes);
    unsigned char *unpacked = malloc(JOB_BYTES);
    if (unpacked == NULL) {
        fail("buffer", "no memory");
    }
    run_workers(atoi(argv[2]));
    if (argc > 3 && strcmp(argv[3], "break") == 0) {
        work.jobs[0].packed[work.jobs[0].packed_bytes / 2] ^= 0x10;
    }
    for (size_t i = 0; i < work.job_count; i++) {
        check_job(i, unpacked);
        write_all(work.jobs[i].packed, work.jobs[i].packed_bytes);
        total += work.jobs[i].packed_bytes;
    }
    fprintf(stderr, "all ok: %zu bytes in, %zu bytes out\n", work.bytes, total);
    return 0;
}
