/* Loaded into a process and all that it starts (LD_PRELOAD): something happens at the Nth call on files.

   FAULT_BELOW    only calls on paths below this folder count
   FAULT_CALLS    which: any of "read", "write", "sync", "rename", "remove"
   FAULT_COUNTER  a file of eight bytes: calls so far, of all the processes together
   FAULT_AT       at which call; 0 only counts
   FAULT_ERRNO    it fails so; without it the process group is killed before the call
   FAULT_TIMES    so many calls fail, 1 unless told; 0: all from then on */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned long *counter;
static unsigned long at, times = 1;
static int code;
static const char *below, *calls;

__attribute__((constructor)) static void prepare(void) {
    const char *file = getenv("FAULT_COUNTER");
    below = getenv("FAULT_BELOW");
    calls = getenv("FAULT_CALLS");
    if (!file || !below || !calls) return;
    at = strtoul(getenv("FAULT_AT") ? getenv("FAULT_AT") : "0", NULL, 10);
    code = atoi(getenv("FAULT_ERRNO") ? getenv("FAULT_ERRNO") : "0");
    if (getenv("FAULT_TIMES")) times = strtoul(getenv("FAULT_TIMES"), NULL, 10);
    int descriptor = open(file, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) return;
    void *shared = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (shared != MAP_FAILED) counter = shared;
    close(descriptor);
}

/* Whether this call shall fail. */
static int due(const char *kind, const char *path) {
    if (!counter || !path || !strstr(calls, kind) || strncmp(path, below, strlen(below)) != 0) return 0;
    unsigned long number = __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
    if (!at || number < at || (times && number >= at + times)) return 0;
    if (!code) {
        kill(0, SIGKILL);
        pause();
    }
    errno = code;
    return 1;
}

static int due_descriptor(const char *kind, int descriptor) {
    char link[64], path[PATH_MAX];
    if (!counter) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return due(kind, path);
}

static int due_at(const char *kind, int folder, const char *path) {
    return path[0] == '/' || folder == AT_FDCWD ? due(kind, path) : due_descriptor(kind, folder);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define ON_DESCRIPTOR(result, name, kind, parameters, ...)    \
    result name parameters {                                  \
        if (due_descriptor(kind, descriptor)) return -1;      \
        return REAL(name)(descriptor, ##__VA_ARGS__);         \
    }

ON_DESCRIPTOR(ssize_t, pread, "read", (int descriptor, void *b, size_t c, off_t o), b, c, o)
ON_DESCRIPTOR(ssize_t, pread64, "read", (int descriptor, void *b, size_t c, off64_t o), b, c, o)
ON_DESCRIPTOR(ssize_t, write, "write", (int descriptor, const void *buffer, size_t count), buffer, count)
ON_DESCRIPTOR(ssize_t, pwrite, "write", (int descriptor, const void *b, size_t c, off_t o), b, c, o)
ON_DESCRIPTOR(ssize_t, pwrite64, "write", (int descriptor, const void *b, size_t c, off64_t o), b, c, o)
ON_DESCRIPTOR(int, ftruncate, "write", (int descriptor, off_t length), length)
ON_DESCRIPTOR(int, ftruncate64, "write", (int descriptor, off64_t length), length)
ON_DESCRIPTOR(int, fsync, "sync", (int descriptor))
ON_DESCRIPTOR(int, fdatasync, "sync", (int descriptor))
ON_DESCRIPTOR(int, syncfs, "sync", (int descriptor))

int rename(const char *from, const char *to) { return due("rename", to) ? -1 : REAL(rename)(from, to); }

int renameat(int a, const char *from, int b, const char *to) {
    return due_at("rename", b, to) ? -1 : REAL(renameat)(a, from, b, to);
}

int unlink(const char *path) { return due("remove", path) ? -1 : REAL(unlink)(path); }

int unlinkat(int folder, const char *path, int flags) {
    return due_at("remove", folder, path) ? -1 : REAL(unlinkat)(folder, path, flags);
}
