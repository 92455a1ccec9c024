/* The harness's virtual machines: see vm.h. */
#include "vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/vm_internal.h"

/* Of what QEMU says: a guest that makes it complain without end fills no disk. */
/* As tools/vm calls them. */
#define BUS_DEVICE  "bus-port"
#define BUS_CHARDEV "bus"

#define LOG_MAX  (1 << 20)
#define LOG_KEPT 4096
/* Events of QEMU that nobody wants, until the caller looks at something else. */
#define UNWANTED_AT_ONCE 1024

/* For a command to QEMU that nobody has set a limit for; it answers within a few ms. */
#define VM_SETTING_LIMIT 1000

int vm_fail(struct vpc_vm *vm, const char *format, ...)
{
    va_list arguments;
    int length = snprintf(vm->error, sizeof(vm->error), "VM %s: ", vm->name);

    if (length < 0 || (size_t)length >= sizeof(vm->error))
        return -1;
    va_start(arguments, format);
    vsnprintf(vm->error + length, sizeof(vm->error) - (size_t)length, format, arguments);
    va_end(arguments);
    return -1;
}

void vm_trouble(struct vpc_vm *vm)
{
    vm->troubled = true;
}

void vm_progress(struct vpc_vm *vm, const char *waiting_for, int elapsed)
{
    if (vm->options.progress)
        vm->options.progress(vm->options.context, waiting_for, elapsed);
}

/* The last line that QEMU or its launcher said, for error messages. */
static const char *last_words(struct vpc_vm *vm, char *words, size_t size)
{
    char end[LOG_KEPT + 1];
    struct stat log;
    off_t from =
        fstat(vm->log_fd, &log) == 0 && log.st_size > LOG_KEPT ? log.st_size - LOG_KEPT : 0;
    ssize_t n = pread(vm->log_fd, end, LOG_KEPT, from);

    snprintf(words, size, "it said nothing");
    end[n > 0 ? n : 0] = 0;
    for (char *line = strtok(end, "\n"); line; line = strtok(NULL, "\n"))
        snprintf(words, size, "%s", line);
    return words;
}

/* True, with words in vm->error, if QEMU has ended. */
static bool has_ended(struct vpc_vm *vm, const char *what)
{
    char words[256];
    siginfo_t info = {0};

    if (waitid(P_PID, (id_t)vm->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
        return false;
    vm_fail(vm, "QEMU ended while waiting for %s: %s", what, last_words(vm, words, sizeof(words)));
    return true;
}

/* What goes wrong is the last line of the log. */
static _Noreturn void become(const char **argv, int log, pid_t parent)
{
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    sigemptyset(&none);
    if (null >= 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0 &&
        prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && dup2(null, 0) >= 0 &&
        dup2(log, 1) >= 0 && dup2(log, 2) >= 0)
        execvp(argv[0], (char **)argv);
    dprintf(log, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static int spawn(struct vpc_vm *vm, enum vm_memory memory, const char *ram)
{
    const struct vpc_vm_options *options = &vm->options;
    const char *argv[32];
    char mib[16];
    int count = 0;
#define ARG(word)           (argv[count++] = (word))
#define OPTION(name, value) (ARG(name), ARG(value))

    snprintf(mib, sizeof(mib), "%u", options->memory);
    ARG(options->launcher);
    OPTION("--name", options->name);
    OPTION("--tag", options->tag);
    OPTION("--kernel", options->kernel);
    OPTION("--initrd", options->initrd);
    OPTION("--memory", mib);
    OPTION("--bus", vm->bus);
    OPTION("--puppet", vm->puppet_path);
    OPTION("--qmp", vm->qmp_path);
    if (options->monitor)
        OPTION("--qmp", options->monitor);
    if (options->append && options->append[0])
        OPTION("--append", options->append);
    if (options->console)
        OPTION("--console", vm->console);
    if (memory != VM_MEMORY_OWN)
        OPTION("--ram", ram);
    if (memory == VM_MEMORY_PRIVATE_COPY) {
        ARG("--ram-private");
        ARG("--incoming");
    }
    argv[count] = NULL;
#undef ARG
#undef OPTION

    if (ftruncate(vm->log_fd, 0) != 0)
        return vm_fail(vm, "cannot empty %s: %s", vm->log, strerror(errno));
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(argv, vm->log_fd, parent);
    if (pid < 0)
        return vm_fail(vm, "cannot fork: %s", strerror(errno));
    vm->pid = pid;
    vm->pidfd = pidfd_open(pid, 0);
    return vm->pidfd < 0 ? vm_fail(vm, "pidfd_open: %s", strerror(errno)) : 0;
}

/* A connection to where QEMU listens, or will in a moment; -1 with words in vm->error. */
static int dial(struct vpc_vm *vm, const char *path, const char *what, int64_t deadline)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path))
        return vm_fail(vm, "the socket path %s is too long; a shorter scratch directory helps",
                       path);
    strcpy(address.sun_path, path);
    for (;;) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
            return vm_fail(vm, "socket: %s", strerror(errno));
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        int error = errno;
        close(fd);
        if (has_ended(vm, what))
            return -1;
        if ((error != ENOENT && error != ECONNREFUSED && error != EINTR) ||
            vpc_qmp_now() >= deadline)
            return vm_fail(vm, "cannot connect to %s at %s: %s", what, path, strerror(error));
        poll(NULL, 0, 2);
    }
}

static int watch(struct vpc_vm *vm, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(vm->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return vm_fail(vm, "epoll: %s", strerror(errno));
    return 0;
}

static int open_puppet(struct vpc_vm *vm, int64_t deadline)
{
    int fd = dial(vm, vm->puppet_path, "the puppet's port", deadline);

    if (fd < 0)
        return -1;
    if (vm->options.puppet && vpc_puppet_move(vm->options.puppet, fd) == 0)
        vm->puppet = vm->options.puppet;
    else if (!vm->options.puppet)
        vm->puppet = vpc_puppet_new(fd);
    if (!vm->puppet)
        return vm_fail(vm, "the puppet's line: %s", strerror(errno));
    vm->puppet_wants = EPOLLIN;
    return watch(vm, fd);
}

int vm_launch(struct vpc_vm *vm, enum vm_memory memory, const char *ram, int64_t deadline)
{
    if (spawn(vm, memory, ram) != 0)
        return -1;
    int fd = dial(vm, vm->qmp_path, "QEMU's control socket", deadline);
    if (fd < 0)
        return -1;
    vm->qmp = vpc_qmp_new(fd);
    if (!vm->qmp)
        return vm_fail(vm, "QMP: %s", strerror(errno));
    if (open_puppet(vm, deadline) != 0 || watch(vm, fd) != 0 || watch(vm, vm->pidfd) != 0)
        return -1;
    if (vpc_qmp_begin(vm->qmp, deadline) != 0)
        return vm_fail(vm, "%s", vpc_qmp_error(vm->qmp));
    return 0;
}

static void close_puppet(struct vpc_vm *vm)
{
    vpc_puppet_free(vm->puppet);
    vm->puppet = NULL;
}

void vm_end(struct vpc_vm *vm)
{
    const char *files[] = {vm->bus, vm->puppet_path, vm->qmp_path};

    close_puppet(vm);
    vpc_qmp_free(vm->qmp);
    vm->qmp = NULL;
    if (vm->pid > 0) {
        kill(vm->pid, SIGKILL);
        while (waitpid(vm->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        vm->pid = 0;
    }
    if (vm->pidfd >= 0)
        close(vm->pidfd);
    vm->pidfd = -1;
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        unlink(files[i]);
}

/* Which of the handles still lack their answer, when one has come for `handle`. */
static size_t strike(uint32_t *waiting, size_t count, uint32_t handle)
{
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        if (waiting[i] != handle)
            waiting[left++] = waiting[i];
    }
    return left;
}

static int wait_on_line(struct vpc_vm *vm, int64_t ms, const char *what)
{
    struct pollfd line = {.fd = vpc_puppet_fd(vm->puppet), .events = POLLIN};

    if (vpc_puppet_wants_write(vm->puppet))
        line.events |= POLLOUT;
    if (poll(&line, 1, (int)ms) < 0 && errno != EINTR)
        return vm_fail(vm, "poll, while waiting for %s: %s", what, strerror(errno));
    return 0;
}

int vm_await_answers(struct vpc_vm *vm, const uint32_t *handles, size_t count, const char *what,
                     int64_t deadline)
{
    uint32_t waiting[8];
    int64_t begin = vpc_qmp_now(), told = begin;
    struct vpc_puppet_event event;

    for (size_t i = 0; i < count; i++)
        if (handles[i] == 0)
            return vm_fail(vm, "the puppet's line takes no request for %s", what);
    memcpy(waiting, handles, count * sizeof(*handles));
    vm_progress(vm, what, 0);
    while (count > 0) {
        int got = vpc_puppet_next(vm->puppet, &event);
        int64_t now = vpc_qmp_now();

        if (got > 0 && event.type == VPC_PUPPET_FAILED)
            return vm_fail(vm, "the puppet cannot %s: %s", event.text, strerror((int)event.value));
        if (got > 0)
            count = strike(waiting, count, event.handle);
        if (got < 0)
            return has_ended(vm, what) ? -1
                                       : vm_fail(vm, "the puppet's line, while waiting for %s: %s",
                                                 what, strerror(errno));
        if (count > 0 && now >= deadline) /* what else comes does not put it off */
            return vm_fail(vm, "no answer for %lld ms while waiting for %s",
                           (long long)(now - begin), what);
        if (got > 0)
            continue;
        if (wait_on_line(vm, deadline - now < 1000 ? deadline - now : 1000, what) != 0)
            return -1;
        now = vpc_qmp_now();
        if (now - told >= 1000)
            vm_progress(vm, what, (int)((told = now) - begin));
    }
    return 0;
}

int vm_await_puppet(struct vpc_vm *vm, int64_t deadline)
{
    uint32_t ping = vpc_puppet_ping(vm->puppet);

    return vm_await_answers(vm, &ping, 1, "the guest to boot and its puppet to answer", deadline);
}

static int name_paths(struct vpc_vm *vm)
{
    const char *scratch = vm->options.scratch;
    const struct {
        char *path;
        const char *name;
    } files[] = {{vm->bus, "bus"},
                 {vm->puppet_path, "puppet"},
                 {vm->qmp_path, "qmp"},
                 {vm->console, "console"},
                 {vm->log, "qemu.log"}};

    if (!scratch && !(scratch = getenv("TMPDIR")))
        scratch = "/tmp";
    snprintf(vm->dir, sizeof(vm->dir), "%s/vpc-vm.XXXXXX", scratch);
    if (!mkdtemp(vm->dir)) {
        vm->dir[0] = 0;
        return vm_fail(vm, "cannot make a directory in %s: %s", scratch, strerror(errno));
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        if (snprintf(files[i].path, PATH_MAX, "%s/%s", vm->dir, files[i].name) >= PATH_MAX)
            return vm_fail(vm, "the path %s is too long", vm->dir);
    }
    vm->log_fd = open(vm->log, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (vm->log_fd < 0)
        return vm_fail(vm, "cannot make %s: %s", vm->log, strerror(errno));
    if (vm->options.bus && snprintf(vm->bus, sizeof(vm->bus), "%s", vm->options.bus) >= PATH_MAX)
        return vm_fail(vm, "the path %s is too long", vm->options.bus);
    return 0;
}

/* It is as long as it is where it can not be cut. */
static void bound_log(struct vpc_vm *vm)
{
    struct stat log;

    if (fstat(vm->log_fd, &log) == 0 && log.st_size > LOG_MAX && ftruncate(vm->log_fd, 0) != 0)
        vm_fail(vm, "%s can not be cut: %s", vm->log, strerror(errno));
}

static int start(struct vpc_vm *vm)
{
    int64_t deadline = vpc_qmp_now() + vm->options.timeout;
    json_t *event;

    vm->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (vm->epoll < 0)
        return vm_fail(vm, "epoll: %s", strerror(errno));
    if (name_paths(vm) != 0)
        return -1;
    if (vm->options.kept) {
        if (vm_start_from_kept(vm, deadline) != 0)
            return -1;
    } else if (vm->options.snapshots) {
        if (vm_start_from_snapshot(vm, deadline) != 0)
            return -1;
    } else if (vm_launch(vm, VM_MEMORY_OWN, NULL, deadline) != 0 ||
               vm_await_puppet(vm, deadline) != 0) {
        return -1;
    }
    while (vpc_qmp_next(vm->qmp, &event) > 0) /* of the start itself */
        json_decref(event);
    return 0;
}

struct vpc_vm *vpc_vm_start(const struct vpc_vm_options *options, char *error, size_t error_size)
{
    struct vpc_vm *vm = calloc(1, sizeof(*vm));

    if (!vm) {
        snprintf(error, error_size, "VM %s: %s", options->name, strerror(errno));
        return NULL;
    }
    snprintf(vm->name, sizeof(vm->name), "%s", options->name);
    vm->options = *options;
    vm->pidfd = vm->epoll = vm->log_fd = -1;
    if (!vm->options.launcher)
        vm->options.launcher = "tools/vm";
    if (!vm->options.memory)
        vm->options.memory = 256;
    if (!vm->options.timeout)
        vm->options.timeout = 60000;
    if (start(vm) != 0) {
        snprintf(error, error_size, "%s", vm->error);
        if (vm->puppet != options->puppet)
            vpc_puppet_free(options->puppet);
        vpc_vm_stop(vm);
        return NULL;
    }
    vm->options = (struct vpc_vm_options){0};
    return vm;
}

void vpc_vm_stop(struct vpc_vm *vm)
{
    if (!vm)
        return;
    vm_end(vm);
    if (vm->epoll >= 0)
        close(vm->epoll);
    if (vm->log_fd >= 0)
        close(vm->log_fd);
    if (vm->dir[0]) {
        unlink(vm->console);
        unlink(vm->log);
        if (vm->moment[0])
            unlink(vm->moment);
        rmdir(vm->dir);
    }
    free(vm);
}

struct vpc_puppet *vpc_vm_puppet(struct vpc_vm *vm)
{
    return vm->puppet;
}

struct vpc_puppet *vpc_vm_take_puppet(struct vpc_vm *vm)
{
    struct vpc_puppet *puppet = vm->puppet;

    if (puppet)
        epoll_ctl(vm->epoll, EPOLL_CTL_DEL, vpc_puppet_fd(puppet), NULL);
    vm->puppet = NULL;
    return puppet;
}

const char *vpc_vm_bus(const struct vpc_vm *vm)
{
    return vm->bus;
}

const char *vpc_vm_console(const struct vpc_vm *vm)
{
    return vm->console;
}

const char *vpc_vm_error(const struct vpc_vm *vm)
{
    return vm->error;
}

pid_t vpc_vm_pid(const struct vpc_vm *vm)
{
    return vm->pid;
}

bool vpc_vm_from_snapshot(const struct vpc_vm *vm)
{
    return vm->from_snapshot;
}

int vpc_vm_fd(const struct vpc_vm *vm)
{
    return vm->epoll;
}

static int command(struct vpc_vm *vm, const char *name, json_t *arguments, int64_t deadline)
{
    if (!vm->qmp) {
        json_decref(arguments);
        return vm_fail(vm, "%s: the line to QEMU's control socket is lost", name);
    }
    if (vpc_qmp_command(vm->qmp, name, arguments, NULL, deadline) != 0)
        return vm_fail(vm, "%s", vpc_qmp_error(vm->qmp));
    return 0;
}

/* The guest that was reset is up: from now on a reboot ends the VM again. */
static void end_of_reset(struct vpc_vm *vm)
{
    vm->resetting = false;
    if (command(vm, "set-action", json_pack("{s:s}", "reboot", "shutdown"),
                vpc_qmp_now() + VM_SETTING_LIMIT) != 0)
        vm_trouble(vm);
}

static bool next_of_puppet(struct vpc_vm *vm, struct vpc_vm_event *event)
{
    if (!vm->puppet)
        return false;
    int got = vpc_puppet_next(vm->puppet, &event->puppet);
    if (got > 0)
        event->type = VPC_VM_PUPPET;
    if (got > 0 && vm->resetting && event->puppet.type == VPC_PUPPET_PONG)
        end_of_reset(vm);
    if (got < 0) {
        event->type = VPC_VM_PUPPET_LOST;
        event->status = errno;
        close_puppet(vm);
    }
    return got != 0;
}

/* False if it is an event that nobody here wants. */
static bool interpret(json_t *object, struct vpc_vm_event *event)
{
    static const struct {
        const char *name;
        enum vpc_vm_event_type type;
    } names[] = {
        {"STOP", VPC_VM_PAUSED}, {"RESUME", VPC_VM_RESUMED}, {"VSERPORT_CHANGE", VPC_VM_PORT}};
    const char *name = json_string_value(json_object_get(object, "event"));
    json_t *data = json_object_get(object, "data");
    const char *port = json_string_value(json_object_get(data, "id"));

    for (size_t i = 0; name && i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(name, names[i].name) != 0)
            continue;
        event->type = names[i].type;
        event->open = json_is_true(json_object_get(data, "open"));
        if (port) /* the launcher names the devices bus-port and puppet-port */
            snprintf(event->port, sizeof(event->port), "%.*s", (int)strcspn(port, "-"), port);
        return true;
    }
    return false;
}

/* With vm->more when what it wants may be behind what it passed over. */
static bool next_of_qemu(struct vpc_vm *vm, struct vpc_vm_event *event)
{
    json_t *object;
    int unwanted = 0;

    for (vm->more = false; vm->qmp && !vm->more; vm->more = ++unwanted == UNWANTED_AT_ONCE) {
        int got = vpc_qmp_next(vm->qmp, &object);

        if (got < 0) { /* its end is told by the process, and a lost line to the next command */
            vpc_qmp_free(vm->qmp);
            vm->qmp = NULL;
        }
        if (got <= 0)
            return false;
        bool wanted = interpret(object, event);
        json_decref(object);
        if (wanted)
            return true;
    }
    return false;
}

static bool next_of_process(struct vpc_vm *vm, struct vpc_vm_event *event)
{
    if (vm->pid == 0 || waitpid(vm->pid, &event->status, WNOHANG) != vm->pid)
        return false;
    event->type = VPC_VM_GONE;
    epoll_ctl(vm->epoll, EPOLL_CTL_DEL, vm->pidfd, NULL);
    vm->pid = 0;
    return true;
}

static bool next_trouble(struct vpc_vm *vm, struct vpc_vm_event *event)
{
    if (!vm->troubled || vm->trouble_told)
        return false;
    event->type = VPC_VM_TROUBLE;
    return vm->trouble_told = true;
}

static bool next_event(struct vpc_vm *vm, struct vpc_vm_event *event)
{
    *event = (struct vpc_vm_event){0};
    return next_of_puppet(vm, event) || next_of_qemu(vm, event) || next_of_process(vm, event) ||
           next_trouble(vm, event);
}

static void want_puppet(struct vpc_vm *vm)
{
    if (!vm->puppet)
        return;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = vpc_puppet_fd(vm->puppet)};
    if (vpc_puppet_wants_write(vm->puppet))
        event.events |= EPOLLOUT;
    if (event.events != vm->puppet_wants &&
        epoll_ctl(vm->epoll, EPOLL_CTL_MOD, event.data.fd, &event) != 0) {
        vm_fail(vm, "epoll: %s", strerror(errno));
        vm_trouble(vm);
    }
    vm->puppet_wants = event.events;
}

int vpc_vm_poll(struct vpc_vm *vm, int timeout, struct vpc_vm_event *event)
{
    int64_t deadline = vpc_qmp_now() + timeout;
    struct epoll_event ready;

    for (;;) {
        if (next_event(vm, event))
            return 1;
        want_puppet(vm);
        bound_log(vm);
        if (next_trouble(vm, event))
            return 1;
        int64_t left = timeout < 0 ? -1 : deadline - vpc_qmp_now();
        if ((timeout >= 0 && left <= 0) || (vm->pid == 0 && !vm->puppet))
            return 0;
        if (epoll_wait(vm->epoll, &ready, 1, vm->more ? 0 : (int)left) < 0 && errno != EINTR) {
            vm_fail(vm, "epoll: %s", strerror(errno));
            vm_trouble(vm);
            return next_trouble(vm, event);
        }
    }
}

int vpc_vm_pause(struct vpc_vm *vm, int timeout)
{
    return command(vm, "stop", NULL, vpc_qmp_now() + timeout);
}

int vpc_vm_resume(struct vpc_vm *vm, int timeout)
{
    return command(vm, "cont", NULL, vpc_qmp_now() + timeout);
}

int vpc_vm_reset(struct vpc_vm *vm, int timeout)
{
    int64_t deadline = vpc_qmp_now() + timeout;

    /*
     * The launcher's -no-reboot, which ends a VM whose guest panics, would end it here too. The
     * BIOS resets the machine a second time when it notices that it has run before, so the
     * setting stays until the guest is up.
     */
    vm->resetting = true;
    if (command(vm, "set-action", json_pack("{s:s}", "reboot", "reset"), deadline) != 0 ||
        command(vm, "system_reset", NULL, deadline) != 0)
        return -1;
    if (vpc_qmp_await(vm->qmp, "RESET", deadline) != 0)
        return vm_fail(vm, "%s", vpc_qmp_error(vm->qmp));
    /* The old puppet's bytes may be cut anywhere: a new line has none of them. */
    close_puppet(vm);
    return open_puppet(vm, deadline);
}

int vpc_vm_unplug(struct vpc_vm *vm, int timeout)
{
    int64_t deadline = vpc_qmp_now() + timeout;

    if (command(vm, "device_del", json_pack("{s:s}", "id", BUS_DEVICE), deadline) != 0)
        return -1;
    if (vpc_qmp_await(vm->qmp, "DEVICE_DELETED", deadline) != 0)
        return vm_fail(vm, "%s", vpc_qmp_error(vm->qmp));
    return 0;
}

int vpc_vm_plug(struct vpc_vm *vm, int timeout)
{
    json_t *device = json_pack("{s:s, s:s, s:s, s:s}", "driver", "virtserialport", "id", BUS_DEVICE,
                               "chardev", BUS_CHARDEV, "name", VPC_VM_BUS_NAME);

    return command(vm, "device_add", device, vpc_qmp_now() + timeout);
}
