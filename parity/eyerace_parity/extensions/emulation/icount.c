/* Counts the instructions of an emulated program between two calls that the program makes itself.
 *
 * The program calls getpgid(0x5EED0000 | what << 12 | descriptor). No process has such a number, so no kernel uses it.
 * what: 1 starts counting, 2 reports, 3 reports and stops. A report is one record, written to the descriptor; program
 * and emulator share the table of descriptors. Without this plugin nothing is written, so the same call also shows
 * whether the program is counted.
 *
 * While nothing is counted no block is instrumented, and the program runs as fast as without the plugin. Starting and
 * stopping therefore discard all translated code: qemu_plugin_reset does that, and its callback registers the new
 * callbacks. The change takes effect soon after the call, not within it; a record says whether it has.
 *
 * The plugin interface changed twice where this file uses it. Version 1 (qemu 7.2 to 8.2) adds to one number for all
 * threads, not atomically. Version 2 (9.0) has a number for every thread. Version 7 (11.1) passes user data to
 * callbacks instead of the plugin's id. Distributions ship no header with qemu, so the declarations are here.
 * INTERFACE is the version to compile for.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* ---- declarations of qemu ---------------------------------------------------------------------------------------- */

typedef uint64_t plugin_id;
typedef struct qemu_plugin_tb block;

struct information {
    const char *target;
    struct {
        int least, current;
    } version;
    bool whole_system;
};

enum { ADD = 0 }; /* enum qemu_plugin_op */

#if INTERFACE >= 7
#define RESET_ARGUMENTS void *data
#define BLOCK_ARGUMENTS block *translated, void *data
#define CALL_ARGUMENTS(...) unsigned thread, int64_t number, __VA_ARGS__, void *data
#define AND_DATA , void *data
#define AND_NONE , NULL
#else
#define RESET_ARGUMENTS plugin_id id
#define BLOCK_ARGUMENTS plugin_id id, block *translated
#define CALL_ARGUMENTS(...) plugin_id id, unsigned thread, int64_t number, __VA_ARGS__
#define AND_DATA
#define AND_NONE
#endif
#define EIGHT uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8

void qemu_plugin_reset(plugin_id id, void (*done)(RESET_ARGUMENTS) AND_DATA);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*on_block)(BLOCK_ARGUMENTS) AND_DATA);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id id, void (*on_call)(CALL_ARGUMENTS(EIGHT)) AND_DATA);
size_t qemu_plugin_tb_n_insns(const block *translated);

#if INTERFACE == 1
void qemu_plugin_register_vcpu_tb_exec_inline(block *translated, int operation, void *number, uint64_t value);
#else
typedef struct {
    struct qemu_plugin_scoreboard *board;
    size_t offset;
} entry;
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
uint64_t qemu_plugin_u64_sum(entry counted);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(block *translated, int operation, entry counted, uint64_t value);
#endif

/* ---- state: only the counting thread calls, one call at a time --------------------------------------------------- */

enum { BEGIN = 1, TELL = 2, END = 3 };

static const uint64_t MAGIC = 0x5EED0000u;

struct record {
    uint64_t counting;     /* whether the counting callbacks are active */
    uint64_t instructions; /* executed since the plugin was loaded, while counting */
    uint64_t others;       /* system calls of other threads while counting: they were running */
    uint64_t interface;
};

static plugin_id own;
static int64_t getpgid_number;
static bool wanted, counting;
static unsigned counted_thread;
static volatile uint64_t others;
#if INTERFACE == 1
static uint64_t instructions;
#else
static entry instructions;
#endif

static void on_block(BLOCK_ARGUMENTS)
{
    uint64_t size = qemu_plugin_tb_n_insns(translated);
#if INTERFACE == 1
    qemu_plugin_register_vcpu_tb_exec_inline(translated, ADD, &instructions, size);
#else
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(translated, ADD, instructions, size);
#endif
}

static void tell(int descriptor)
{
    struct record told = {counting, 0, others, INTERFACE};
#if INTERFACE == 1
    told.instructions = instructions;
#else
    told.instructions = qemu_plugin_u64_sum(instructions);
#endif
    /* A record is shorter than PIPE_BUF, so the write is atomic; with a wrong descriptor the program gets no record. */
    if (write(descriptor, &told, sizeof told) < 0)
        return;
}

static void on_call(CALL_ARGUMENTS(EIGHT));

static void on_reset(RESET_ARGUMENTS)
{
    qemu_plugin_register_vcpu_syscall_cb(own, on_call AND_NONE);
    if (wanted)
        qemu_plugin_register_vcpu_tb_trans_cb(own, on_block AND_NONE);
    counting = wanted;
}

static void on_call(CALL_ARGUMENTS(EIGHT))
{
    if (number != getpgid_number || (a1 & ~(uint64_t)0xFFFF) != MAGIC) {
        if (counting && thread != counted_thread)
            __atomic_fetch_add(&others, 1, __ATOMIC_RELAXED);
        return;
    }
    int what = (int)(a1 >> 12 & 0xF);
    if (what == TELL || what == END)
        tell((int)(a1 & 0xFFF));
    if (what == BEGIN || what == END) {
        wanted = what == BEGIN;
        counted_thread = thread;
        qemu_plugin_reset(own, on_reset AND_NONE);
    }
}

/* ---- symbols that qemu looks up ---------------------------------------------------------------------------------- */

EXPORT int qemu_plugin_version = INTERFACE;

EXPORT int qemu_plugin_install(plugin_id id, const struct information *about, int count, char **arguments)
{
    (void)count, (void)arguments;
    if (about->whole_system)
        return 1;
    own = id;
    if (strcmp(about->target, "aarch64") == 0)
        getpgid_number = 155;
    else if (strcmp(about->target, "x86_64") == 0)
        getpgid_number = 121;
    else
        return 1;
#if INTERFACE > 1
    instructions = (entry){qemu_plugin_scoreboard_new(sizeof(uint64_t)), 0};
#endif
    qemu_plugin_register_vcpu_syscall_cb(id, on_call AND_NONE);
    return 0;
}
