/* Stands between a program and the C library, so that a rig can end, refuse or misdate it at one exact call.
 *
 * Loaded by LD_PRELOAD; does nothing until rig_attach() maps a control page (layout: struct control, also in shim.py).
 * It counts every call that can change a file, a folder or what a peer has seen, and at the n-th
 * - ends the process by SIGKILL before the call, in the midst of it (half of the bytes) or after it, or
 * - answers an error instead, for calls on files of one folder.
 * It also moves what the program takes for the time of day. What goes past the C library it does not see;
 * kill.py compares its count with strace's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { WRITE, SYNC, RENAME, LINK, UNLINK, SEND, CONNECT, TRUNCATE, CREATE, MKDIR, KINDS };
enum mode { BEFORE, MIDST, AFTER };
#define LOG_BYTES 65536

struct control {
  uint32_t on;          /* counts only while this is not 0 */
  uint32_t kill_at;     /* the n-th call from 1; 0 never */
  uint32_t kill_mode;
  uint32_t count;       /* calls so far */
  uint32_t fault_mask;  /* 1 << kind */
  uint32_t fault_errno;
  uint32_t fault_from;  /* the first and the last call that is answered by the error */
  uint32_t fault_to;
  uint32_t faults;      /* how often it was */
  uint32_t clock_calls;
  uint32_t jump_every;  /* after so many questions for the time the next of the jumps holds; 0 never */
  uint32_t jumps;       /* how many of jump[] there are */
  uint32_t longest_nap; /* a longer sleep ends after so many milliseconds; 0 leaves it as it is */
  uint32_t longest_poll; /* the same for waiting for a peer; 0 leaves it as it is */
  int64_t clock_offset; /* seconds added to the time of day */
  int64_t jump[16];
  char folder[256];     /* faults hold for files below it only */
  uint8_t log[LOG_BYTES]; /* the kind of each call */
};

static struct control *volatile page;
static pid_t owner;

int rig_attach(const char *path) {
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return -1;
  void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) return -1;
  owner = getpid();
  page = mapped;
  return 0;
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* Only the process that attached is meant, not what it starts. */
static struct control *ours(void) {
  struct control *c = page;
  return c && c->on && getpid() == owner ? c : NULL;
}

static int below(struct control *c, const char *path, int fd, int at) {
  char name[64], found[512];
  size_t length = strlen(c->folder);
  if (!length) return 1;
  if (path) {
    if (path[0] == '/') return strncmp(path, c->folder, length) == 0;
    fd = at;
    if (fd == AT_FDCWD) return 0;
  }
  strcpy(name, "/proc/self/fd/");
  char digits[16];
  int n = 0;
  unsigned rest = (unsigned)fd;
  do digits[n++] = (char)('0' + rest % 10); while (rest /= 10);
  char *end = name + strlen(name);
  while (n) *end++ = digits[--n];
  *end = 0;
  ssize_t size = readlink(name, found, sizeof found - 1);
  if (size < 0) return 0;
  found[size] = 0;
  return strncmp(found, c->folder, length) == 0;
}

/* Returns the number of this call, 0 when it is not counted; sets *error when it is to fail. */
static uint32_t enter(enum kind kind, const char *path, int fd, int at, int *error, struct control **mine) {
  struct control *c = ours();
  *error = 0;
  *mine = c;
  if (!c) return 0;
  int saved = errno;
  uint32_t n = __atomic_add_fetch(&c->count, 1, __ATOMIC_SEQ_CST);
  if (n <= LOG_BYTES) c->log[n - 1] = (uint8_t)kind;
  if (n == c->kill_at && c->kill_mode == BEFORE) die();
  if ((c->fault_mask >> kind & 1) && n >= c->fault_from && n <= c->fault_to && below(c, path, fd, at)) {
    __atomic_add_fetch(&c->faults, 1, __ATOMIC_SEQ_CST);
    *error = (int)c->fault_errno;
  }
  errno = saved;
  return n;
}

static void leave(struct control *c, uint32_t n) {
  if (n && n == c->kill_at && c->kill_mode != BEFORE) die();
}

static int midst(struct control *c, uint32_t n) { return n && n == c->kill_at && c->kill_mode == MIDST; }

#define REAL(name) \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define AROUND(kind, path, fd, at, call) \
  struct control *c; \
  int error; \
  uint32_t n = enter(kind, path, fd, at, &error, &c); \
  if (error) { errno = error; return -1; } \
  __typeof__(call) done = call; \
  int after = errno; \
  leave(c, n); \
  errno = after; \
  return done

#define HALVED(kind, fd, size, call) \
  struct control *c; \
  int error; \
  uint32_t n = enter(kind, NULL, fd, -1, &error, &c); \
  if (error) { errno = error; return -1; } \
  if (midst(c, n)) size /= 2; \
  ssize_t done = call; \
  int after = errno; \
  leave(c, n); \
  errno = after; \
  return done

ssize_t write(int fd, const void *from, size_t size) { REAL(write); HALVED(WRITE, fd, size, real(fd, from, size)); }
ssize_t pwrite(int fd, const void *from, size_t size, off_t at) { REAL(pwrite); HALVED(WRITE, fd, size, real(fd, from, size, at)); }
ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) { REAL(pwrite64); HALVED(WRITE, fd, size, real(fd, from, size, at)); }
ssize_t writev(int fd, const struct iovec *parts, int count) { REAL(writev); AROUND(WRITE, NULL, fd, -1, real(fd, parts, count)); }
ssize_t send(int fd, const void *from, size_t size, int flags) { REAL(send); HALVED(SEND, fd, size, real(fd, from, size, flags)); }
ssize_t sendto(int fd, const void *from, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
  REAL(sendto);
  HALVED(SEND, fd, size, real(fd, from, size, flags, to, length));
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) { REAL(sendmsg); AROUND(SEND, NULL, fd, -1, real(fd, message, flags)); }
ssize_t sendfile(int to, int from, off_t *at, size_t size) { REAL(sendfile); HALVED(SEND, to, size, real(to, from, at, size)); }
ssize_t sendfile64(int to, int from, off64_t *at, size_t size) { REAL(sendfile64); HALVED(SEND, to, size, real(to, from, at, size)); }
int connect(int fd, const struct sockaddr *to, socklen_t length) { REAL(connect); AROUND(CONNECT, NULL, fd, -1, real(fd, to, length)); }
int fsync(int fd) { REAL(fsync); AROUND(SYNC, NULL, fd, -1, real(fd)); }
int fdatasync(int fd) { REAL(fdatasync); AROUND(SYNC, NULL, fd, -1, real(fd)); }
int ftruncate(int fd, off_t size) { REAL(ftruncate); AROUND(TRUNCATE, NULL, fd, -1, real(fd, size)); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); AROUND(TRUNCATE, NULL, fd, -1, real(fd, size)); }
int rename(const char *from, const char *to) { REAL(rename); AROUND(RENAME, to, -1, AT_FDCWD, real(from, to)); }
int renameat(int one, const char *from, int other, const char *to) { REAL(renameat); AROUND(RENAME, to, -1, other, real(one, from, other, to)); }
int link(const char *from, const char *to) { REAL(link); AROUND(LINK, to, -1, AT_FDCWD, real(from, to)); }
int linkat(int one, const char *from, int other, const char *to, int flags) { REAL(linkat); AROUND(LINK, to, -1, other, real(one, from, other, to, flags)); }
int unlink(const char *path) { REAL(unlink); AROUND(UNLINK, path, -1, AT_FDCWD, real(path)); }
int unlinkat(int at, const char *path, int flags) { REAL(unlinkat); AROUND(UNLINK, path, -1, at, real(at, path, flags)); }
int rmdir(const char *path) { REAL(rmdir); AROUND(UNLINK, path, -1, AT_FDCWD, real(path)); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); AROUND(MKDIR, path, -1, AT_FDCWD, real(path, mode)); }
int mkdirat(int at, const char *path, mode_t mode) { REAL(mkdirat); AROUND(MKDIR, path, -1, at, real(at, path, mode)); }

#define OPENING(name, at, call_plain, call_mode) \
  mode_t mode = 0; \
  if (flags & (O_CREAT | O_TMPFILE)) { \
    va_list more; \
    va_start(more, flags); \
    mode = va_arg(more, mode_t); \
    va_end(more); \
  } \
  if (!(flags & O_CREAT) && (flags & O_TMPFILE) != O_TMPFILE) return call_plain; \
  AROUND(CREATE, path, -1, at, call_mode)

int open(const char *path, int flags, ...) { REAL(open); OPENING(open, AT_FDCWD, real(path, flags), real(path, flags, mode)); }
int open64(const char *path, int flags, ...) { REAL(open64); OPENING(open64, AT_FDCWD, real(path, flags), real(path, flags, mode)); }
int openat(int at, const char *path, int flags, ...) { REAL(openat); OPENING(openat, at, real(at, path, flags), real(at, path, flags, mode)); }
int openat64(int at, const char *path, int flags, ...) { REAL(openat64); OPENING(openat64, at, real(at, path, flags), real(at, path, flags, mode)); }

static int64_t shift(void) {
  struct control *c = page;
  if (!c || getpid() != owner) return 0;
  uint32_t n = __atomic_add_fetch(&c->clock_calls, 1, __ATOMIC_SEQ_CST);
  if (c->jump_every && c->jumps) return c->jump[n / c->jump_every % c->jumps];
  return c->clock_offset;
}

int clock_gettime(clockid_t which, struct timespec *out) {
  REAL(clock_gettime);
  int done = real(which, out);
  if (done == 0 && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) out->tv_sec += shift();
  return done;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
  static int (*real)(struct timeval *, void *);
  if (!real) real = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
  int done = real(out, zone);
  if (done == 0) out->tv_sec += shift();
  return done;
}

/* Programs wait for lines to come back and for clocks to go on; a rig has other things to do. */
int clock_nanosleep(clockid_t which, int flags, const struct timespec *until, struct timespec *left) {
  static int (*real)(clockid_t, int, const struct timespec *, struct timespec *);
  if (!real) real = (int (*)(clockid_t, int, const struct timespec *, struct timespec *))dlsym(RTLD_NEXT, "clock_nanosleep");
  struct control *c = page;
  if (!c || getpid() != owner || !c->longest_nap) return real(which, flags, until, left);
  struct timespec now = {0, 0};
  if (flags & TIMER_ABSTIME) clock_gettime(which, &now);
  int64_t longest = (int64_t)c->longest_nap * 1000000;
  int64_t asked = (int64_t)(until->tv_sec - now.tv_sec) * 1000000000 + until->tv_nsec - now.tv_nsec;
  if (asked <= longest) return real(which, flags, until, left);
  struct timespec nap = {(time_t)(longest / 1000000000), longest % 1000000000};
  return real(which, 0, &nap, left);
}

int poll(struct pollfd *all, nfds_t count, int milliseconds) {
  static int (*real)(struct pollfd *, nfds_t, int);
  if (!real) real = (int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, "poll");
  struct control *c = page;
  if (c && getpid() == owner && c->longest_poll && milliseconds > (int)c->longest_poll) milliseconds = (int)c->longest_poll;
  return real(all, count, milliseconds);
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
