/* Fault injection for one process, without privileges: preload this library (LD_PRELOAD).
 *
 * It stands between a program and the C library, and counts every call of every thread that
 * changes something below one folder: files opened for writing, writes, renames, links, unlinks,
 * folders made and removed, truncations, syncs. At the N-th of them it does what it was armed
 * with. It also records the calls, with the bytes written, so that the states in which a power
 * loss may leave a disk can be built from the record (see qanat.crash.disk_model).
 *
 * One lock is held from counting a call until it is done and recorded: the record has the order
 * in which things happened, and nothing happens after the call that kills.
 *
 * What is written through a memory map is not seen. (SQLite's shared index is: it is made anew
 * after a crash. DuckDB, delta-rs and we write no other way than by calls.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum fault { NONE, KILL, TORN, EIO_ONCE, ENOSPC_ONCE, FULL, STOP, CUT };

/* What kind of call; the letters are those of the record. */
enum op {
    OPEN = 'o', WRITE = 'w', TRUNCATE = 't', ALLOCATE = 'a', RENAME = 'r', LINK = 'l',
    SYMLINK = 'y', UNLINK = 'u', MKDIR = 'm', RMDIR = 'd', SYNC = 's', SEND = 'n', NOTE = '#'
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static int armed;
static enum fault fault;
static long fatal;
static long calls;
static int filled;
static int record = -1;
static int with_bytes;
static int with_sockets;

static void child(void) { pthread_mutex_init(&lock, NULL); }

__attribute__((constructor)) static void loaded(void) { pthread_atfork(NULL, NULL, child); }

/* -- which path --------------------------------------------------------------------------- */

static int below(const char *path) {
    return armed && strncmp(path, root, root_length) == 0 &&
           (path[root_length] == '/' || path[root_length] == 0);
}

static int of_handle(int fd, char *path) {
    char name[40];
    if (!armed || fd < 0) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return below(path);
}

static int of_path(int folder, const char *path, char *full) {
    if (!armed || !path) return 0;
    if (path[0] == '/') {
        if (strlen(path) >= PATH_MAX) return 0;
        strcpy(full, path);
        return below(full);
    }
    if (folder == AT_FDCWD) {
        if (!getcwd(full, PATH_MAX)) return 0;
    } else {
        char name[40];
        snprintf(name, sizeof name, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(name, full, PATH_MAX - 1);
        if (length <= 0) return 0;
        full[length] = 0;
    }
    size_t length = strlen(full);
    if (length + strlen(path) + 2 > PATH_MAX) return 0;
    full[length] = '/';
    strcpy(full + length + 1, path);
    return below(full);
}

/* -- the record --------------------------------------------------------------------------- */

static void put(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        long done = syscall(SYS_write, record, at, length);
        if (done <= 0) return;
        at += done;
        length -= (size_t)done;
    }
}

/* A path relative to the root, with nothing in it that would end a field or a line. */
static void escaped(const char *path, char *into) {
    static const char digits[] = "0123456789ABCDEF";
    const char *from = path;
    if (below(path)) from = path + root_length + (path[root_length] == '/');
    for (; *from; from++) {
        unsigned char c = (unsigned char)*from;
        if (c == '%' || c < ' ') {
            *into++ = '%';
            *into++ = digits[c >> 4];
            *into++ = digits[c & 15];
        } else {
            *into++ = (char)c;
        }
    }
    *into = 0;
}

/* One line: what, how it ended, place in the file, bytes that follow the line, paths. */
static void note(enum op op, long result, long long offset, const char *detail,
                 const char *path, const char *other, const void *bytes, size_t length) {
    static char line[8 * PATH_MAX], one[3 * PATH_MAX], two[3 * PATH_MAX];
    if (record < 0) return;
    escaped(path, one);
    escaped(other ? other : "", two);
    size_t follow = with_bytes && bytes ? length : 0;
    int size = snprintf(line, sizeof line, "%c\t%ld\t%lld\t%zu\t%zu\t%s\t%s\t%s\n", op, result,
                        offset, length, follow, detail, one, two);
    put(line, (size_t)size);
    if (follow) {
        put(bytes, follow);
        put("\n", 1);
    }
}

/* -- the fault ---------------------------------------------------------------------------- */

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

static int can_fill(enum op op, int creates) {
    switch (op) {
    case OPEN: return creates;
    case UNLINK: case RMDIR: case SEND: return 0;
    default: return 1;
    }
}

/* Count a call, with the lock held. Nonzero: the error to fail with. For a torn write, half of
 * it is done by `tear` first. */
static int count(enum op op, int creates, const char *path, void (*tear)(void *), void *torn) {
    calls++;
    if (fault == FULL && calls >= fatal && can_fill(op, creates)) {
        /* The first one that it hits: that may come later, since not every call needs space. */
        if (!filled) note(NOTE, op, 0, "ENOSPC", path, NULL, NULL, 0);
        filled = 1;
        return ENOSPC;
    }
    if (calls != fatal) return 0;
    switch (fault) {
    case NONE: return 0;
    case TORN:
        if (tear) tear(torn);
        /* fall through */
    case KILL:
        note(NOTE, op, 0, "killed", path, NULL, NULL, 0);
        die();
        return 0;
    case STOP:
        note(NOTE, op, 0, "stopped", path, NULL, NULL, 0);
        syscall(SYS_kill, getpid(), SIGSTOP);
        return 0;
    case EIO_ONCE:
        note(NOTE, op, 0, "EIO", path, NULL, NULL, 0);
        return op == SEND ? ECONNRESET : EIO;
    case FULL: return 0;
    case ENOSPC_ONCE:
        if (!can_fill(op, creates)) return 0;
        note(NOTE, op, 0, "ENOSPC", path, NULL, NULL, 0);
        return ENOSPC;
    case CUT:
        if (op == SEND) note(NOTE, op, 0, "cut", path, NULL, NULL, 0);
        return 0;
    }
    return 0;
}

/* -- called by qanat.crash.injector ---------------------------------------------------------- */

/* Count calls below `folder` from now on (from 0), and do `kind` at call number `at`.
 * trace: file to append the record to, or NULL. bytes: record what is written, too.
 * sockets: count what is sent over sockets, too (a ledger in PostgreSQL). */
void qanat_fault_arm(const char *folder, int kind, long at, const char *trace, int bytes,
                     int sockets) {
    pthread_mutex_lock(&lock);
    snprintf(root, sizeof root, "%s", folder);
    root_length = strlen(root);
    fault = (enum fault)kind;
    fatal = at;
    calls = 0;
    filled = 0;
    with_bytes = bytes;
    with_sockets = sockets;
    if (record >= 0) syscall(SYS_close, record);
    record = -1;
    if (trace)
        record = (int)syscall(SYS_openat, AT_FDCWD, trace,
                              O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    armed = 1;
    pthread_mutex_unlock(&lock);
}

/* The number of calls so far. */
long qanat_fault_count(void) { return calls; }

/* Add a note to the record. */
void qanat_fault_note(const char *text) {
    pthread_mutex_lock(&lock);
    note(NOTE, 0, 0, "said", text, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
}

/* -- opening ------------------------------------------------------------------------------ */

static int opened(int folder, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    int writes = (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) && !(flags & O_DIRECTORY);
    if (!writes || !of_path(folder, path, full))
        return (int)syscall(SYS_openat, folder, path, flags, mode);
    pthread_mutex_lock(&lock);
    int there = syscall(SYS_faccessat, AT_FDCWD, full, F_OK) == 0;
    int creates = (flags & O_CREAT) && !there;
    int error = count(OPEN, creates, full, NULL, NULL);
    int fd = -1;
    if (!error) {
        fd = (int)syscall(SYS_openat, folder, path, flags, mode);
        error = errno;
    }
    char detail[3] = {creates ? 'c' : '-', flags & O_TRUNC ? 't' : '-', 0};
    note(OPEN, fd < 0 ? -error : 0, 0, detail, full, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    if (fd < 0) errno = error;
    return fd;
}

#define MODE(flags, mode) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(AT_FDCWD, path, flags, mode);
}
int openat(int folder, const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(folder, path, flags, mode);
}
/* What programs built with _FORTIFY_SOURCE call. */
int __open_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __openat_2(int folder, const char *path, int flags) { return opened(folder, path, flags, 0); }
int __openat64_2(int folder, const char *path, int flags) {
    return opened(folder, path, flags, 0);
}
int creat(const char *path, mode_t mode) {
    return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* -- writing ------------------------------------------------------------------------------ */

struct piece { int fd; const void *bytes; size_t length; off_t offset; const char *path; };

static ssize_t put_piece(struct piece *p) {
    if (p->offset < 0) return syscall(SYS_write, p->fd, p->bytes, p->length);
    return syscall(SYS_pwrite64, p->fd, p->bytes, p->length, p->offset);
}

/* Where a write without an offset goes. */
static long long place(struct piece *p) {
    if (p->offset >= 0) return p->offset;
    if (fcntl(p->fd, F_GETFL) & O_APPEND) {
        struct stat about;
        return fstat(p->fd, &about) == 0 ? about.st_size : 0;
    }
    return lseek(p->fd, 0, SEEK_CUR);
}

static void half(void *torn) {
    struct piece p = *(struct piece *)torn;
    p.length /= 2;
    if (p.length == 0) return;
    long long at = place(&p);
    ssize_t done = put_piece(&p);
    note(WRITE, done, at, "torn", p.path, NULL, p.bytes, p.length);
}

static ssize_t written(int fd, const void *bytes, size_t length, off_t offset) {
    char path[PATH_MAX];
    struct piece p = {fd, bytes, length, offset, path};
    if (!of_handle(fd, path)) return put_piece(&p);
    pthread_mutex_lock(&lock);
    int error = count(WRITE, 1, path, half, &p);
    ssize_t done = -1;
    long long at = place(&p);
    if (!error) {
        done = put_piece(&p);
        error = errno;
    }
    note(WRITE, done < 0 ? -error : done, at, "-", path, NULL, bytes, done < 0 ? 0 : (size_t)done);
    pthread_mutex_unlock(&lock);
    if (done < 0) errno = error;
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) { return written(fd, bytes, length, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return written(fd, bytes, length, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    return written(fd, bytes, length, offset);
}

/* Several buffers are written as one: partial writes are for the caller to go on with. */
static ssize_t gathered(int fd, const struct iovec *pieces, int number, off_t offset) {
    char path[PATH_MAX];
    if (!of_handle(fd, path)) {
        if (offset < 0) return syscall(SYS_writev, fd, pieces, number);
        return syscall(SYS_pwritev, fd, pieces, number, offset, 0);
    }
    size_t total = 0;
    for (int i = 0; i < number; i++) total += pieces[i].iov_len;
    char *all = malloc(total ? total : 1), *at = all;
    if (!all) {
        errno = ENOMEM;
        return -1;
    }
    for (int i = 0; i < number; i++) {
        memcpy(at, pieces[i].iov_base, pieces[i].iov_len);
        at += pieces[i].iov_len;
    }
    ssize_t done = written(fd, all, total, offset);
    int error = errno;
    free(all);
    errno = error;
    return done;
}

ssize_t writev(int fd, const struct iovec *pieces, int number) {
    return gathered(fd, pieces, number, -1);
}
ssize_t pwritev(int fd, const struct iovec *pieces, int number, off_t offset) {
    return gathered(fd, pieces, number, offset);
}
ssize_t pwritev64(int fd, const struct iovec *pieces, int number, off64_t offset) {
    return gathered(fd, pieces, number, offset);
}

/* Copies inside the kernel become copies by hand, so that they are seen: callers fall back. */
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t length,
                        unsigned flags) {
    char path[PATH_MAX];
    if (of_handle(out, path)) {
        errno = ENOSYS;
        return -1;
    }
    return syscall(SYS_copy_file_range, in, in_at, out, out_at, length, flags);
}
ssize_t sendfile(int out, int in, off_t *at, size_t length) {
    char path[PATH_MAX];
    if (of_handle(out, path)) {
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_sendfile, out, in, at, length);
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t length) {
    return sendfile(out, in, at, length);
}

/* -- calls on one handle -------------------------------------------------------------------- */

#define ON_HANDLE(op, offset, detail, call) \
    char path[PATH_MAX]; \
    if (!of_handle(fd, path)) return (int)(call); \
    pthread_mutex_lock(&lock); \
    int error = count(op, 1, path, NULL, NULL), result = -1; \
    if (!error) { \
        result = (int)(call); \
        error = errno; \
    } \
    note(op, result < 0 ? -error : 0, offset, detail, path, NULL, NULL, 0); \
    pthread_mutex_unlock(&lock); \
    if (result < 0) errno = error; \
    return result;

int ftruncate(int fd, off_t size) {
    ON_HANDLE(TRUNCATE, size, "-", syscall(SYS_ftruncate, fd, size))
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }
int fsync(int fd) { ON_HANDLE(SYNC, 0, "-", syscall(SYS_fsync, fd)) }
int fdatasync(int fd) { ON_HANDLE(SYNC, 0, "-", syscall(SYS_fdatasync, fd)) }
int fallocate(int fd, int mode, off_t at, off_t size) {
    ON_HANDLE(ALLOCATE, at + size, mode ? "-" : "grows", syscall(SYS_fallocate, fd, mode, at, size))
}
int fallocate64(int fd, int mode, off64_t at, off64_t size) {
    return fallocate(fd, mode, at, size);
}
int posix_fallocate(int fd, off_t at, off_t size) {
    return fallocate(fd, 0, at, size) < 0 ? errno : 0;
}
int posix_fallocate64(int fd, off64_t at, off64_t size) { return posix_fallocate(fd, at, size); }

/* -- calls on paths ------------------------------------------------------------------------- */

#define ON_PATH(op, size, folder, name, call) \
    char path[PATH_MAX]; \
    if (!of_path(folder, name, path)) return (int)(call); \
    pthread_mutex_lock(&lock); \
    int error = count(op, 1, path, NULL, NULL), result = -1; \
    if (!error) { \
        result = (int)(call); \
        error = errno; \
    } \
    note(op, result < 0 ? -error : 0, size, "-", path, NULL, NULL, 0); \
    pthread_mutex_unlock(&lock); \
    if (result < 0) errno = error; \
    return result;

int truncate(const char *name, off_t size) {
    ON_PATH(TRUNCATE, size, AT_FDCWD, name, syscall(SYS_truncate, name, size))
}
int truncate64(const char *name, off64_t size) { return truncate(name, size); }
int unlinkat(int folder, const char *name, int flags) {
    enum op op = flags & AT_REMOVEDIR ? RMDIR : UNLINK;
    ON_PATH(op, 0, folder, name, syscall(SYS_unlinkat, folder, name, flags))
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int remove(const char *name) {
    int result = unlink(name);
    return result < 0 && (errno == EISDIR || errno == EPERM) ? rmdir(name) : result;
}
int mkdirat(int folder, const char *name, mode_t mode) {
    ON_PATH(MKDIR, 0, folder, name, syscall(SYS_mkdirat, folder, name, mode))
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

#define ON_PATHS(op, from_folder, from, to_folder, to, call) \
    char one[PATH_MAX], two[PATH_MAX]; \
    int seen = of_path(from_folder, from, one); \
    if (!(of_path(to_folder, to, two) | seen)) return (int)(call); \
    pthread_mutex_lock(&lock); \
    int error = count(op, 1, two, NULL, NULL), result = -1; \
    if (!error) { \
        result = (int)(call); \
        error = errno; \
    } \
    note(op, result < 0 ? -error : 0, 0, "-", one, two, NULL, 0); \
    pthread_mutex_unlock(&lock); \
    if (result < 0) errno = error; \
    return result;

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    ON_PATHS(RENAME, from_folder, from, to_folder, to,
             syscall(SYS_renameat2, from_folder, from, to_folder, to, flags))
}
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return renameat2(from_folder, from, to_folder, to, 0);
}
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    ON_PATHS(LINK, from_folder, from, to_folder, to,
             syscall(SYS_linkat, from_folder, from, to_folder, to, flags))
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
int symlinkat(const char *target, int folder, const char *name) {
    ON_PATHS(SYMLINK, AT_FDCWD, target, folder, name, syscall(SYS_symlinkat, target, folder, name))
}
int symlink(const char *target, const char *name) { return symlinkat(target, AT_FDCWD, name); }

/* -- sockets -------------------------------------------------------------------------------- */

static ssize_t sent(int fd, const struct msghdr *message, int flags) {
    if (!armed || !with_sockets) return syscall(SYS_sendmsg, fd, message, flags);
    pthread_mutex_lock(&lock);
    int error = count(SEND, 0, "socket", NULL, NULL);
    ssize_t done = -1;
    if (!error) {
        done = syscall(SYS_sendmsg, fd, message, flags);
        error = errno;
    }
    /* Either it was not sent, or it arrives and is acted upon and only the answer never comes:
     * the connection is gone. */
    if (calls == fatal && (fault == EIO_ONCE || fault == CUT)) shutdown(fd, SHUT_RDWR);
    note(SEND, done < 0 ? -error : done, 0, "-", "socket", NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    if (done < 0) errno = error;
    return done;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) { return sent(fd, message, flags); }
ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to,
               socklen_t size) {
    struct iovec piece = {(void *)bytes, length};
    struct msghdr message = {(void *)to, size, &piece, 1, NULL, 0, 0};
    return sent(fd, &message, flags);
}
ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    return sendto(fd, bytes, length, flags, NULL, 0);
}
