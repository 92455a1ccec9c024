/* SPDX-License-Identifier: MIT */
/*
 * Each command of vpcctl against both endpoints' programs: what it prints, on which stream, and its exit status.  The
 * test is also the server in the guest.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "programs.h"
#include "scratch.h"
#include "shell_rig.h"

static pid_t host, guest;
static int server;
static unsigned port;

static void start_host(const char *option, const char *another)
{
    char bus[128];
    snprintf(bus, sizeof(bus), "%s/bus", scratch);
    host = program_run(-1, -1,
                       (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", scratch, "--vm",
                                        "vm", "--option", option, "--option", another, NULL});
}

static void start_guest(const char *option, const char *another)
{
    char bus[128], control[128];
    snprintf(bus, sizeof(bus), "listen:%s/bus", scratch);
    snprintf(control, sizeof(control), "%s/guest.sock", scratch);
    guest = program_run(-1, -1,
                        (const char *[]){"vpc-guest", "--bus", bus, "--runtime-dir", scratch,
                                         "--tag", "T", "--vm", "guest", "--control", control,
                                         "--option", option, "--option", another, NULL});
}

static void begin(void)
{
    scratch_begin();
    server = rig_tcp_server(&port, 4);
}

static void end(void)
{
    close(server);
    program_stop(&guest);
    program_stop(&host);
    scratch_end();
}

TestSuite(vpcctl, .timeout = 60, .init = begin, .fini = end);

/* ---- running it ------------------------------------------------------------------------------------ */

static char text[65536]; /* what the last command printed */

/* Starts a shell's line in which VPCCTL is the program, in the test's runtime directory. */
static FILE *begin_line(const char *format, ...)
{
    char line[1024], all[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    snprintf(all, sizeof(all),
             "export VPC_RUNTIME_DIR=%s VPCCTL='timeout 20 " VPC_BUILD "/vpcctl'; %s", scratch,
             line);
    FILE *out = popen(all, "re");
    cr_assert_not_null(out);
    return out;
}

static int end_line(FILE *out)
{
    size_t n = fread(text, 1, sizeof(text) - 1, out);
    text[n] = '\0';
    int status = pclose(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Standard output and standard error together. */
#define VPCCTL(...) end_line(begin_line("exec 2>&1; $VPCCTL " __VA_ARGS__))
/* Standard output alone. */
#define VPCCTL_OUT(...) end_line(begin_line("$VPCCTL " __VA_ARGS__))

#define EXPECT_TEXT(part) cr_assert_not_null(strstr(text, part), "no \"%s\" in: %s", part, text)

static void start_both(void)
{
    start_guest("max_pairs=2", "drain_ms=10000");
    start_host("max_pairs=2", "drain_ms=10000");
    cr_assert_eq(VPCCTL("wait-ready vm --timeout 20"), 0, "%s", text);
}

static int accepted(void)
{
    struct pollfd p = {.fd = server, .events = POLLIN};
    cr_assert_eq(poll(&p, 1, PROGRAM_LIMIT_MS), 1);
    int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

/* ---- help and usage ---------------------------------------------------------------------------------- */

static const char *const names[] = {"list",    "show",   "set-tag",   "wait-ready",
                                    "start",   "stop",   "stat",      "connect",
                                    "devices", "events", "pipe-path", "forward"};

enum {
    NAMES = sizeof(names) / sizeof(names[0]),
};

Test(vpcctl, help_of_all_and_of_each_command)
{
    cr_assert_eq(VPCCTL_OUT("--help"), 0);
    for (size_t i = 0; i < NAMES; i++)
        EXPECT_TEXT(names[i]);
    for (size_t i = 0; i < NAMES; i++) {
        char usage[64];
        snprintf(usage, sizeof(usage), "usage: vpcctl %s ", names[i]);
        cr_assert_eq(VPCCTL_OUT("%s --help", names[i]), 0);
        EXPECT_TEXT(usage);
        EXPECT_TEXT("--help");
    }
    cr_assert_eq(VPCCTL_OUT("--version"), 0);
}

Test(vpcctl, wrong_usage)
{
    static const char *const wrong[] = {
        "",
        "no-such-command",
        "show",
        "show vm more",
        "start vm",
        "start vm x",
        "start vm x 80 --follow",
        "connect vm",
        "connect vm x 80 more",
        "connect vm :80 80",
        "forward vm",
        "forward vm web",
        "forward vm web 80 more",
        "forward vm web 80 --list",
        "forward vm --list --remove web",
        "wait-ready vm --timeout soon",
        "wait-ready vm --timeout -1",
        "connect vm x --linger ever",
        "show vm --no-such-option",
        "pipe-path",
        "list vm",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_eq(VPCCTL_OUT("%s 2>/dev/null", wrong[i]), CTL_USAGE, "%s", wrong[i]);
        cr_assert_str_eq(text, "", "usage that was not asked for is on standard error");
        cr_assert_eq(VPCCTL("%s", wrong[i]), CTL_USAGE);
        EXPECT_TEXT("vpcctl");
    }
}

/* Closed descriptors must not become those of sockets. */
Test(vpcctl, without_standard_descriptors)
{
    start_both();
    cr_assert_eq(VPCCTL_OUT("show vm <&- 2>&-"), 0);
    EXPECT_TEXT("ready");
    cr_assert_eq(VPCCTL_OUT("stop vm x <&- >&- 2>&-"), ctl_status(VPC_E_POINTER));
}

/* ---- what is printed ---------------------------------------------------------------------------------- */

/* A line of the shell in which BUILD is the folder of the programs. */
#define LINE(text) end_line(begin_line("exec 2>&1; BUILD=" VPC_BUILD "; " text))

Test(vpcctl, what_could_not_be_written_was_not_said)
{
    char log[256];
    snprintf(log, sizeof(log), "%s/log.jsonl", scratch);
    FILE *file = fopen(log, "we");
    for (int i = 0; i < 1000; i++) /* more than a buffer */
        fputs("{\"id\": 1, \"name\": \"X\", \"message\": \"m\"}\n", file);
    fclose(file);
    const char *const commands[] = {"list --json",     "pipe-path x", "events --explain all",
                                    "connect --help",  "--help",      "--version",
                                    "events --follow", "events",      "events --xml"};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        bool reads = strncmp(commands[i], "events", 6) == 0 && i != 2;
        cr_assert_eq(
            VPCCTL("%s %s %s >/dev/full", commands[i], reads ? "--file" : "", reads ? log : ""),
            CTL_FAILED, "%s", commands[i]);
        EXPECT_TEXT("vpcctl: standard output can not be written");
    }
    cr_assert_eq(VPCCTL("--version >&-"), CTL_FAILED);
    cr_assert_eq(VPCCTL("no-such-command >/dev/full"), CTL_USAGE);
}

Test(vpcctl, every_program_checks_its_output)
{
    cr_assert_eq(
        LINE("for p in vpc-host vpc-guest vpcctl vpc-conform; do for o in --help --version; do "
             "$BUILD/$p $o >/dev/full && echo $p $o said nothing; done; done; exit 0"),
        0);
    cr_assert_null(strstr(text, "said nothing"), "%s", text);
    EXPECT_TEXT("vpc-host: standard output can not be written: No space left on device");
    EXPECT_TEXT("vpc-guest: standard output can not be written: No space left on device");
}

Test(vpcctl, who_follows_the_log_ends_when_nobody_reads)
{
    char log[256];
    snprintf(log, sizeof(log), "%s/log.jsonl", scratch);
    FILE *file = fopen(log, "we");
    fputs("{\"id\": 1, \"name\": \"X\", \"message\": \"m\"}\n", file);
    fclose(file);
    /* By the signal, or with 1 where that is ignored; 124 is the limit of `timeout`. */
    int status = LINE("bash -c \"set -o pipefail; $VPCCTL events --follow --file "
                      "$VPC_RUNTIME_DIR/log.jsonl | head -n 1\"");
    cr_assert(status == 128 + SIGPIPE || status == CTL_FAILED, "%d: %s", status, text);
    EXPECT_TEXT("X: m");
}

#define EVIL       "\033[2J\a\xc2\x9b\x31m\xe2\x80\xae\xf3\xa0\x81\x81\xff\n"
#define EVIL_JSON  "\\u001b[2J\\u0007\xc2\x9b\x31m\xe2\x80\xae\xf3\xa0\x81\x81\\n"
#define EVIL_SHOWN "\\u001B[2J\\u0007\\u009B1m\\u202E\\uDB40\\uDC41"

static void expect_no_evil(void)
{
    cr_assert_null(strpbrk(text, "\033\a\xff"), "%s", text);
    cr_assert_null(strstr(text, "\xc2\x9b"));
    cr_assert_null(strstr(text, "\xe2\x80\xae"));
}

Test(vpcctl, what_strangers_wrote_is_shown_escaped)
{
    char log[256], path[512];
    snprintf(log, sizeof(log), "%s/log.jsonl", scratch);
    FILE *file = fopen(log, "we");
    fputs("{\"id\": 1, \"level\": \"" EVIL_JSON "\", \"source\": \"" EVIL_JSON
          "\", \"name\": \"" EVIL_JSON "\", \"message\": \"" EVIL_JSON "\", \"" EVIL_JSON
          "\": \"" EVIL_JSON "\"}\n" EVIL,
          file);
    fclose(file);
    cr_assert_eq(VPCCTL("events --file %s", log), 0);
    expect_no_evil();
    unsigned times = 0, lines = 0;
    for (const char *at = text; (at = strstr(at, EVIL_SHOWN)) != NULL; at++)
        times++;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    cr_expect_eq(times, 7, "%s", text);
    cr_expect_eq(lines, 2, "%s", text);
    cr_assert_eq(VPCCTL("--json events --file %s | head -n 1 | jq -j .message", log), 0);
    EXPECT_TEXT("\033[2J\a\xc2\x9b\x31m\xe2\x80\xae\xf3\xa0\x81\x81\n");
    cr_assert_eq(VPCCTL("--json events --file %s", log), 0);
    expect_no_evil();
    EXPECT_TEXT("\\xFF");
    cr_assert_eq(VPCCTL("events --xml --file %s", log), 0);
    expect_no_evil();
    EXPECT_TEXT("&#155;1m&#8238;");
    snprintf(path, sizeof(path), "show --socket '%s/\033[2J'", scratch);
    cr_assert_neq(VPCCTL("%s", path), 0);
    expect_no_evil();
    EXPECT_TEXT("\\u001B[2J");
    cr_assert_neq(VPCCTL("'\033[2J'"), 0);
    expect_no_evil();
}

Test(vpcctl, the_list_shows_a_name_escaped)
{
    int fd;
    char path[256];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    cr_assert_eq(vpc_runtime_dir_make(scratch), 0);
    snprintf(path, sizeof(path), "%.64s/vms/a\033[2J.sock", scratch);
    snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 4), 0);
    cr_assert_eq(VPCCTL("list"), 0);
    expect_no_evil();
    EXPECT_TEXT("a\\u001B[2J");
    close(fd);
}

/* ---- folders of others -------------------------------------------------------------------------------- */

Test(vpcctl, a_folder_that_others_may_write_to_is_refused_by_every_command)
{
    static const char *const asked[] = {"list",          "show vm",
                                        "start vm x 80", "connect vm x",
                                        "events vm",     "wait-ready --tag T --timeout 0"};
    start_both();
    cr_assert_eq(chmod(scratch, 0777), 0);
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        cr_expect_eq(VPCCTL("%s </dev/null", asked[i]), CTL_FAILED, "%s", asked[i]);
        EXPECT_TEXT("but others may write to it (mode 0777)");
    }
    cr_expect_eq(VPCCTL("wait-ready vm --timeout 0"), ctl_status(VPC_ERROR_TIMEOUT));
    EXPECT_TEXT("but others may write to it (mode 0777)");
    cr_assert_eq(chmod(scratch, 0700), 0);
    cr_expect_eq(VPCCTL("show vm"), 0);
}

/* ---- long paths --------------------------------------------------------------------------------------- */

#define SIXTY "123456789-123456789-123456789-123456789-123456789-123456789-"

/* Starts the host with a runtime directory of about so many octets, and uses a long pipe name there. */
static void use_long_names(int size)
{
    char dir[256], bus[128], answer[64] = "";

    snprintf(dir, sizeof(dir), "%s/", scratch);
    memset(dir + strlen(dir), 'd', sizeof(dir) - strlen(dir));
    dir[size] = '\0';
    snprintf(bus, sizeof(bus), "%s/bus", scratch);
    host = program_run(-1, -1,
                       (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", dir, "--vm",
                                        "a-long-name-of-a-virtual-machine", NULL});
    cr_assert_eq(
        VPCCTL("wait-ready a-long-name-of-a-virtual-machine --timeout 20 --runtime-dir %s", dir), 0,
        "%s", text);
    cr_assert_eq(VPCCTL("list --runtime-dir %s", dir), 0);
    EXPECT_TEXT("a-long-name-of-a-virtual-machine");
    FILE *out =
        begin_line("exec 2>&1; echo hello | $VPCCTL connect a-long-name-of-a-virtual-machine " SIXTY
                   " %u --runtime-dir %s",
                   port, dir);
    int fd = accepted();
    cr_assert_eq(read(fd, answer, sizeof(answer)), 6);
    cr_assert_eq(
        VPCCTL("start a-long-name-of-a-virtual-machine " SIXTY " %u --runtime-dir %s", port, dir),
        ctl_status(VPC_ERROR_ALREADY_EXISTS));
    cr_assert_eq(write(fd, "back", 4), 4);
    close(fd);
    cr_assert_eq(end_line(out), 0, "%s", text);
    EXPECT_TEXT("back");
    program_stop(&host);
}

Test(vpcctl, names_work_whatever_the_folder)
{
    start_guest("max_pairs=2", "drain_ms=10000");
    use_long_names(38);
    use_long_names(79);
    use_long_names(90);
    use_long_names(200);
}

/* ---- exit status -------------------------------------------------------------------------------------- */

/* vpcctl(1) has a row "status<TAB>NAME" for each result, and no two results but the general ones share one. */
Test(vpcctl, the_manual_says_each_status)
{
    static const vpc_hresult results[] = {
        VPC_S_OK,
        VPC_DISP_E_EXCEPTION,
        VPC_ERROR_NOT_READY,
        VPC_ERROR_TIMEOUT,
        VPC_VM_E_VM_NOT_RUNNING,
        VPC_ERROR_REVISION_MISMATCH,
        VPC_ERROR_ALREADY_EXISTS,
        VPC_ERROR_PIPE_BUSY,
        VPC_ERROR_MAX_SESSIONS_REACHED,
        VPC_ERROR_CONNECTION_REFUSED,
        VPC_E_POINTER,
        VPC_E_INVALIDARG,
        VPC_ERROR_OUTOFMEMORY,
        VPC_ERROR_INVALID_HANDLE,
        VPC_ERROR_FILE_NOT_FOUND,
        VPC_VM_E_VM_RUNNING_OR_SAVED,
    };
    FILE *manual = fopen("impl/vpcctl.1", "re");
    cr_assert_not_null(manual);
    size_t n = fread(text, 1, sizeof(text) - 1, manual);
    text[n] = '\0';
    fclose(manual);
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        char row[64];
        snprintf(row, sizeof(row), "\n.It %d Ta %s Ta ", ctl_status(results[i]),
                 vpc_hresult_name(results[i]));
        cr_assert_str_neq(vpc_hresult_name(results[i]), "HRESULT");
        EXPECT_TEXT(row);
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(ctl_status(results[i]), ctl_status(results[j]));
    }
    cr_assert_eq(ctl_status(0x80004005u), CTL_FAILED);
}

static void expect_result(int status, vpc_hresult result)
{
    cr_assert_eq(status, ctl_status(result), "%d: %s", status, text);
    EXPECT_TEXT(vpc_hresult_name(result));
}

Test(vpcctl, results_before_there_is_a_guest)
{
    expect_result(VPCCTL("show vm"), VPC_ERROR_FILE_NOT_FOUND);
    expect_result(VPCCTL("show ../vm"), VPC_E_POINTER);
    expect_result(VPCCTL("wait-ready ../vm"), VPC_E_POINTER);
    expect_result(VPCCTL("wait-ready vm --timeout 0.2"), VPC_ERROR_TIMEOUT);
    EXPECT_TEXT("no host endpoint runs");
    start_host("max_pairs=1", "fault=12");
    while (VPCCTL("show vm") != 0) /* until it runs; the test has its time limit */
        ;
    expect_result(VPCCTL("wait-ready vm --timeout 0.2"), VPC_ERROR_TIMEOUT);
    EXPECT_TEXT("the virtual machine is not running");
    expect_result(VPCCTL("start vm x 80"), VPC_VM_E_VM_NOT_RUNNING);
    start_guest("version_min=512", "version_max=512");
    do
        cr_assert_neq(VPCCTL("start vm x 80"), 0);
    while (!strstr(text, "ERROR_REVISION_MISMATCH"));
    cr_assert_eq(VPCCTL("start vm x 80"), ctl_status(VPC_ERROR_REVISION_MISMATCH));
    expect_result(VPCCTL("wait-ready vm --timeout 0.1"), VPC_ERROR_TIMEOUT);
    EXPECT_TEXT("no common version");
    program_stop(&guest);
    start_guest("max_pairs=1", "drain_ms=10000");
    cr_assert_eq(VPCCTL("wait-ready vm"), 0);
    expect_result(VPCCTL("start vm x 80"), VPC_ERROR_OUTOFMEMORY);
}

Test(vpcctl, results_of_start_and_stop)
{
    start_both();
    cr_assert_eq(VPCCTL_OUT("start vm x %u", port), 0);
    cr_assert_str_eq(strrchr(text, '/'), "/x.sock\n");
    int first = accepted();
    expect_result(VPCCTL("start vm X %u", port), VPC_ERROR_ALREADY_EXISTS);
    expect_result(VPCCTL("start vm y 0"), VPC_E_POINTER);
    expect_result(VPCCTL("start vm 'a\\b' 80"), VPC_E_POINTER);
    cr_assert_eq(VPCCTL_OUT("start vm '\\\\.\\pipe\\y' %u --json", port), 0);
    EXPECT_TEXT("\"hresult\": \"0x00000000\"");
    int second = accepted();
    expect_result(VPCCTL("start vm z %u", port), VPC_ERROR_MAX_SESSIONS_REACHED);
    close(second);
    cr_assert_eq(VPCCTL_OUT("stop vm y --json"), 0);
    cr_assert_str_eq(text, "{}\n");
    expect_result(VPCCTL("stop vm y"), VPC_E_POINTER);
    cr_assert_eq(VPCCTL_OUT("stop vm y --json 2>/dev/null"), ctl_status(VPC_E_POINTER));
    EXPECT_TEXT("\"name\": \"E_POINTER\"");
    close(first);
}

static void drain(int fd)
{
    static char octets[65536];
    ssize_t n;
    while ((n = read(fd, octets, sizeof(octets))) > 0)
        ;
    cr_assert_eq(n, 0);
    close(fd);
}

/* One direction has ended, the other has not. */
Test(vpcctl, a_channel_that_runs_down)
{
    char octet;
    start_both();
    cr_assert_eq(VPCCTL_OUT("start vm x %u", port), 0);
    int first = accepted();
    FILE *client = begin_line("$VPCCTL connect vm y %u </dev/null", port);
    int second = accepted();
    cr_assert_eq(read(second, &octet, 1), 0, "%s", strerror(errno));
    expect_result(VPCCTL("start vm z %u", port), VPC_ERROR_PIPE_BUSY);
    close(second);
    cr_assert_eq(end_line(client), 0);
    close(first);
}

/* The client of a channel that is stopped says so. */
Test(vpcctl, connect_fails_when_its_channel_is_stopped)
{
    char octet;
    start_both();
    FILE *client = begin_line("cat /dev/zero | $VPCCTL connect vm y %u 2>&1", port);
    int second = accepted();
    cr_assert_eq(read(second, &octet, 1), 1, "the pipe was opened");
    FILE *stopping = begin_line("$VPCCTL stop vm y");
    drain(second);
    cr_assert_eq(end_line(stopping), 0);
    cr_assert_eq(end_line(client), CTL_FAILED);
    EXPECT_TEXT("the channel was ended: stopped");
}

Test(vpcctl, a_port_where_nobody_listens)
{
    start_both();
    close(server);
    expect_result(VPCCTL("start vm x %u", port), VPC_ERROR_CONNECTION_REFUSED);
    EXPECT_TEXT(strerror(ECONNREFUSED));
    cr_assert_eq(VPCCTL_OUT("start vm x %u --json 2>/dev/null", port),
                 ctl_status(VPC_ERROR_CONNECTION_REFUSED));
    EXPECT_TEXT("\"errno\": 111");
    expect_result(VPCCTL("connect vm x %u </dev/null", port), VPC_ERROR_CONNECTION_REFUSED);
    server = rig_tcp_server(&port, 4);
}

/* A stopped endpoint holds up nobody for longer than the time limit. */
Test(vpcctl, an_endpoint_that_does_not_answer)
{
    start_both();
    kill(host, SIGSTOP);
    expect_result(VPCCTL("show vm --timeout 0.2"), VPC_ERROR_TIMEOUT);
    expect_result(VPCCTL("wait-ready vm --timeout 0.2"), VPC_ERROR_TIMEOUT);
    EXPECT_TEXT("does not answer");
    cr_assert_eq(VPCCTL_OUT("list"), 0);
    EXPECT_TEXT("silent");
    /* Its backlog fills up. */
    end_line(begin_line("for i in $(seq 80); do $VPCCTL show vm --timeout 0 2>/dev/null; done"));
    int status = VPCCTL("show vm --timeout 0.2");
    kill(host, SIGCONT);
    expect_result(status, VPC_ERROR_TIMEOUT);
    cr_assert_eq(VPCCTL("wait-ready vm --timeout 20"), 0);
}

/* ---- what is shown ------------------------------------------------------------------------------------ */

Test(vpcctl, list_show_stat_devices)
{
    start_both();
    cr_assert_eq(VPCCTL_OUT("list"), 0);
    EXPECT_TEXT("vm                       ready       T\n");
    cr_assert_eq(VPCCTL_OUT("list --json"), 0);
    cr_assert_str_eq(text, "[{\"vm\": \"vm\", \"level\": \"ready\", \"tag\": \"T\"}]\n");
    cr_assert_eq(VPCCTL_OUT("show vm"), 0);
    EXPECT_TEXT("level          ready\n");
    EXPECT_TEXT("heartbeat      100 %\n");
    cr_assert_eq(VPCCTL_OUT("show vm --json"), 0);
    EXPECT_TEXT("\"missing\": \"\"");
    cr_assert_eq(VPCCTL_OUT("show --socket %s/guest.sock", scratch), 0);
    EXPECT_TEXT("vm             guest\n");
    cr_assert_eq(VPCCTL_OUT("start vm x %u >/dev/null; $VPCCTL devices vm", port), 0);
    EXPECT_TEXT("Virtual PC Integration Device");
    EXPECT_TEXT("g2h");
    cr_assert_eq(VPCCTL_OUT("devices vm --json"), 0);
    EXPECT_TEXT("\"direction\": \"h2g\"");
    cr_assert_eq(VPCCTL_OUT("stat vm --json"), 0);
    EXPECT_TEXT("\"pairs_opened\": 1");
    close(accepted());
}

Test(vpcctl, the_tag_while_the_machine_does_not_run)
{
    start_host("max_pairs=1", "drain_ms=10000");
    while (VPCCTL("show vm --json") != 0)
        ;
    EXPECT_TEXT("\"tag\": \"\"");
    cr_assert_eq(VPCCTL("set-tag vm NEW"), 0);
    cr_assert_str_eq(text, "");
    expect_result(VPCCTL("set-tag vm ''"), VPC_E_INVALIDARG);
    expect_result(VPCCTL("set-tag vm 123456789012345678901234567890123"), VPC_E_INVALIDARG);
    start_guest("max_pairs=1", "drain_ms=10000");
    cr_assert_eq(VPCCTL("wait-ready --tag NEW --timeout 20"), 0);
    expect_result(VPCCTL("set-tag vm OTHER"), VPC_VM_E_VM_RUNNING_OR_SAVED);
    cr_assert_eq(VPCCTL_OUT("list"), 0);
    EXPECT_TEXT("NEW");
}

Test(vpcctl, pipe_path)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/pipes/x.sock\n", scratch);
    cr_assert_eq(VPCCTL_OUT("pipe-path X"), 0);
    cr_assert_str_eq(text, path);
    cr_assert_eq(VPCCTL_OUT("pipe-path '\\\\.\\PIPE\\x' --json"), 0);
    EXPECT_TEXT("/pipes/x.sock\"");
    cr_assert_eq(VPCCTL("pipe-path '\\x'"), ctl_status(VPC_E_POINTER));
}

/* ---- waiting ------------------------------------------------------------------------------------------- */

Test(vpcctl, wait_ready_says_what_is_missing)
{
    expect_result(VPCCTL("wait-ready --tag T --timeout 0.1"), VPC_ERROR_TIMEOUT);
    EXPECT_TEXT("no host endpoint of a virtual machine with this tag runs");
    cr_assert_eq(VPCCTL_OUT("wait-ready vm --timeout 0 --json 2>/dev/null"),
                 ctl_status(VPC_ERROR_TIMEOUT));
    cr_assert_str_eq(text,
                     "{\"vm\": \"vm\", \"level\": \"absent\", \"missing\": \"no host endpoint "
                     "runs for this virtual machine (start vpc-host)\", \"ready\": false}\n");
    start_both();
    cr_assert_eq(VPCCTL_OUT("wait-ready vm --json"), 0);
    cr_assert_str_eq(
        text, "{\"vm\": \"vm\", \"level\": \"ready\", \"missing\": \"\", \"ready\": true}\n");
    program_stop(&guest);
    expect_result(VPCCTL("wait-ready --tag T --timeout 0.1"), VPC_ERROR_TIMEOUT);
    EXPECT_TEXT("the virtual machine is not running");
}

/* The guest of another said it (RDY-7): that one is ready, and the one with the event is not. */
Test(vpcctl, a_machine_that_was_given_the_tag_is_waited_for)
{
    start_both();
    pid_t given = program_run(-1, -1,
                              (const char *[]){"vpc-host", "--bus", "/no/such/bus", "--runtime-dir",
                                               scratch, "--vm", "given", "--tag", "T", NULL});
    int64_t limit = scratch_now_ms() + PROGRAM_LIMIT_MS;
    while (VPCCTL("wait-ready --tag T --timeout 0.5") == 0)
        cr_assert_lt(scratch_now_ms(), limit, "the other keeps the event");
    expect_result(VPCCTL("wait-ready --tag T --timeout 0.5"), VPC_ERROR_TIMEOUT);
    EXPECT_TEXT("the virtual machine is not running");
    program_stop(&given);
}

/* On a terminal each thing that it waits for is told; script(1) makes one. */
Test(vpcctl, wait_ready_shows_progress_on_a_terminal)
{
    if (system("command -v script >/dev/null") != 0)
        cr_skip_test("needs script(1)");
    FILE *waiting = begin_line("script -qec \"$VPCCTL wait-ready vm\" /dev/null </dev/null");
    scratch_sleep_ms(300);
    start_host("max_pairs=1", "drain_ms=10000");
    while (VPCCTL("show vm") != 0)
        ;
    scratch_sleep_ms(600);
    start_guest("max_pairs=1", "drain_ms=10000");
    cr_assert_eq(end_line(waiting), 0);
    EXPECT_TEXT("waiting: no host endpoint runs");
    EXPECT_TEXT("waiting: the virtual machine is not running");
}

/* ---- connect --------------------------------------------------------------------------------------------- */

static void expect_read(int fd, const char *want)
{
    char got[128] = "";
    size_t n = 0;
    ssize_t r;
    while ((r = read(fd, got + n, sizeof(got) - 1 - n)) > 0)
        n += (size_t)r;
    cr_assert_eq(r, 0);
    cr_assert_str_eq(got, want);
}

/* The answer comes after the question's end: the half-close is one. */
Test(vpcctl, connect_with_a_port_starts_the_channel)
{
    start_both();
    FILE *out = begin_line("printf question | $VPCCTL connect vm x %u", port);
    int far = accepted();
    expect_read(far, "question");
    cr_assert_eq(write(far, "answer", 6), 6);
    close(far);
    cr_assert_eq(end_line(out), 0);
    cr_assert_str_eq(text, "answer");
    cr_assert_eq(VPCCTL_OUT("stat vm --json"), 0);
    EXPECT_TEXT("\"pairs_open\": 0");
}

/* Standard input that never ends, as a terminal's. */
#define TYPING "mkfifo $VPC_RUNTIME_DIR/f; exec 3<>$VPC_RUNTIME_DIR/f; "

Test(vpcctl, connect_does_not_wait_for_a_key_when_the_guest_has_finished)
{
    char question[8];

    start_both();
    FILE *out = begin_line(TYPING "printf question >&3; $VPCCTL connect vm x %u <&3", port);
    int far = accepted();
    cr_assert_eq(recv(far, question, sizeof(question), MSG_WAITALL), (ssize_t)sizeof(question));
    cr_assert_eq(write(far, "answer", 6), 6);
    close(far);
    cr_assert_eq(end_line(out), 0, "124: it has come to the limit of `timeout`");
    cr_assert_str_eq(text, "answer");
}

Test(vpcctl, connect_lingers_for_input_as_long_as_it_is_told)
{
    static const char *const spans[] = {"15", "forever"};
    start_both();
    for (size_t i = 0; i < 2; i++) {
        FILE *out = begin_line("(sleep 1; printf late) | $VPCCTL connect vm x%zu %u --linger %s", i,
                               port, spans[i]);
        int far = accepted();
        cr_assert_eq(shutdown(far, SHUT_WR), 0);
        expect_read(far, "late");
        close(far);
        cr_assert_eq(end_line(out), 0);
    }
}

Test(vpcctl, connect_refuses_a_second_client)
{
    start_both();
    cr_assert_eq(VPCCTL("connect vm x </dev/null"), CTL_FAILED);
    EXPECT_TEXT("no communication channel has that pipe");
    FILE *first = begin_line("sleep 20 | $VPCCTL connect vm x %u", port);
    int far = accepted();
    cr_assert_eq(write(far, "hello", 5), 5);
    cr_assert_eq(fgetc(first), 'h');
    cr_assert_eq(VPCCTL("connect vm x </dev/null"), CTL_FAILED);
    EXPECT_TEXT("one client");
    struct linger reset = {.l_onoff = 1};
    setsockopt(far, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(far);
    cr_assert_eq(end_line(first), CTL_FAILED);
}

/* A server that talks to a reader that has gone: neither success nor death by SIGPIPE. */
Test(vpcctl, connect_fails_when_nobody_takes_the_output)
{
    static const char octets[4096];
    start_both();
    FILE *out = begin_line("bash -c '$VPCCTL connect vm x %u </dev/null 2>/dev/null | head -c 1 "
                           ">/dev/null; echo $PIPESTATUS'",
                           port);
    int far = accepted();
    while (send(far, octets, sizeof(octets), MSG_NOSIGNAL) > 0)
        ;
    close(far);
    cr_assert_eq(end_line(out), 0);
    cr_assert_str_eq(text, "1\n");
}

/* Writes as much as fits now. */
static size_t stuff(int fd)
{
    static const char octets[4096];
    size_t n = 0;
    ssize_t w;
    while ((w = write(fd, octets, sizeof(octets))) > 0)
        n += (size_t)w;
    cr_assert_eq(errno, EAGAIN);
    return n;
}

enum {
    BIG = 3000000, /* more than all windows and socket buffers on the way hold */
};

/* A client that reads nothing before it has written everything must not wait for ever. */
Test(vpcctl, connect_copies_one_way_while_the_other_is_full)
{
    static char octets[65536];
    char number[8];
    int in[2], out[2];
    size_t written = 0, came = 0;
    start_both();
    cr_assert_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    snprintf(number, sizeof(number), "%u", port);
    pid_t command = program_run(
        in[0], out[1],
        (const char *[]){"vpcctl", "--runtime-dir", scratch, "connect", "vm", "x", number, NULL});
    close(in[0]);
    close(out[1]);
    int far = accepted();
    fcntl(far, F_SETFL, O_NONBLOCK);
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    /* A few octets first: the next 64 KiB do not fit into the pipe behind them, but some do. */
    struct pollfd first = {.fd = out[0], .events = POLLIN};
    cr_assert_eq(write(far, "few", 3), 3);
    cr_assert_eq(poll(&first, 1, PROGRAM_LIMIT_MS), 1);
    int64_t quiet = scratch_now_ms() + 300; /* until nothing more fits on the way to `out` */
    while (scratch_now_ms() < quiet)
        if (stuff(far) > 0)
            quiet = scratch_now_ms() + 300;
    while (came < BIG) {
        struct pollfd p[2] = {{.fd = far, .events = POLLIN},
                              {.fd = written < BIG ? in[1] : -1, .events = POLLOUT}};
        cr_assert_gt(poll(p, 2, PROGRAM_LIMIT_MS), 0, "stuck after %zu octets", came);
        if (p[1].revents)
            written += stuff(in[1]);
        ssize_t n = p[0].revents ? read(far, octets, sizeof(octets)) : 0;
        came += n > 0 ? (size_t)n : 0;
    }
    close(in[1]);
    close(far);
    while (read(out[0], octets, sizeof(octets)) > 0)
        ;
    program_ended(command);
    close(out[0]);
}

/* ---- forwards ----------------------------------------------------------------------------------------- */

static int joined(const char *path)
{
    int fd = rig_connect(path);

    cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
    return fd;
}

Test(vpcctl, a_forward_from_its_start_to_its_end)
{
    char path[256];

    start_both();
    cr_assert_eq(VPCCTL_OUT("forward vm web %u --wait-until-ready", port), 0);
    snprintf(path, sizeof(path), "%s/pipes/web.forward", scratch);
    cr_assert_eq(strncmp(text, path, strlen(path)), 0, "%s", text);
    cr_assert_str_eq(text + strlen(path), "\n");
    int one = joined(path), far_one = accepted(), two = joined(path), far_two = accepted();
    cr_assert_eq(VPCCTL("forward vm --list"), 0);
    EXPECT_TEXT("wait       wait           2         2        0");
    EXPECT_TEXT(path);
    cr_assert_eq(VPCCTL_OUT("forward vm --list --json"), 0);
    EXPECT_TEXT("\"listen\": \"web\"");
    cr_assert_eq(VPCCTL("forward vm web 80"), ctl_status(VPC_ERROR_ALREADY_EXISTS));
    cr_assert_eq(VPCCTL_OUT("forward vm --remove web --json"), 0);
    cr_assert_str_eq(text, "{}\n");
    cr_assert_eq(VPCCTL("forward vm --remove web"), ctl_status(VPC_E_POINTER));
    cr_assert_eq(write(one, "x", 1), 1, "it is served on");
    cr_assert_eq(read(far_one, text, 1), 1);
    close(one), close(far_one), close(two), close(far_two);
}

Test(vpcctl, a_forward_of_a_port_and_of_what_is_none)
{
    start_both();
    cr_assert_eq(VPCCTL_OUT("forward vm 127.0.0.1:0 %u --refuse-when-full", port), 0);
    cr_assert_eq(strncmp(text, "127.0.0.1:", 10), 0, "%s", text);
    cr_assert_gt(atoi(text + 10), 0);
    cr_assert_eq(VPCCTL("forward vm 0.0.0.0:8080 80"), ctl_status(VPC_E_POINTER));
    cr_assert_eq(VPCCTL("forward vm web 65536"), ctl_status(VPC_E_POINTER));
    cr_assert_neq(VPCCTL("forward vm /nowhere/at/all 80"), 0);
    EXPECT_TEXT("--forward-dir");
}

Test(vpcctl, connect_by_a_port_alone)
{
    start_both();
    FILE *line = begin_line("printf question | $VPCCTL connect vm :%u", port);
    int fd = accepted();
    char asked[16] = "";
    cr_assert_eq(recv(fd, asked, 8, MSG_WAITALL), 8);
    cr_assert_str_eq(asked, "question");
    cr_assert_eq(write(fd, "answer", 6), 6);
    close(fd);
    cr_assert_eq(end_line(line), 0);
    cr_assert_str_eq(text, "answer");
    cr_assert_eq(VPCCTL("devices vm --json"), 0);
    cr_assert_null(strstr(text, "connect-"), "the channel stays: %s", text);
}
