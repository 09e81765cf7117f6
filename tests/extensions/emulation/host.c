/* Stands in for a qemu whose plugin interface no emulator on this machine speaks: what the plugin uses, as qemu's own
 * header declares it for INTERFACE, and a little program in blocks of 3, 5 and 7 instructions. Not a qemu: it shows that
 * the plugin calls and is called with the right arguments, in the right order, and counts each thread.
 */

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef struct {
    const char *target_name;
    struct {
        int min;
        int cur;
    } version;
    bool system_emulation;
    union {
        struct {
            int smp_vcpus;
            int max_vcpus;
        } system;
    };
} qemu_info_t;

struct qemu_plugin_scoreboard {
    uint64_t of[4];
};
typedef struct {
    struct qemu_plugin_scoreboard *score;
    size_t offset;
} qemu_plugin_u64;
struct qemu_plugin_tb {
    size_t n;
    bool added;
    uint64_t value;
    qemu_plugin_u64 entry;
};
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64, QEMU_PLUGIN_INLINE_STORE_U64 };

#if INTERFACE >= 7
typedef void (*trans_cb)(struct qemu_plugin_tb *, void *);
typedef void (*syscall_cb)(unsigned int, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                           uint64_t, void *);
typedef void (*reset_cb)(void *);
#define WITH , void *userdata
#else
typedef void (*trans_cb)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*syscall_cb)(qemu_plugin_id_t, unsigned int, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                           uint64_t, uint64_t, uint64_t);
typedef void (*reset_cb)(qemu_plugin_id_t);
#define WITH
#endif

enum { ID = 77 };

static trans_cb on_trans;
static syscall_cb on_syscall;
static reset_cb on_reset;
static struct qemu_plugin_tb blocks[3];

static void demand(bool right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "the plugin: %s\n", what);
    exit(1);
}

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, trans_cb cb WITH)
{
    demand(id == ID, "registers translation under another id");
    on_trans = cb;
}

void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t id, syscall_cb cb WITH)
{
    demand(id == ID, "registers system calls under another id");
    on_syscall = cb;
}

void qemu_plugin_reset(qemu_plugin_id_t id, reset_cb cb WITH)
{
    demand(id == ID && cb, "resets another plugin");
    on_reset = cb;
}

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb)
{
    return tb->n;
}

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size)
{
    demand(element_size == sizeof(uint64_t), "asks for a scoreboard of another size");
    return calloc(1, sizeof(struct qemu_plugin_scoreboard));
}

uint64_t qemu_plugin_u64_sum(qemu_plugin_u64 entry)
{
    uint64_t sum = 0;
    for (int cpu = 0; cpu < 4; cpu++)
        sum += entry.score->of[cpu];
    return sum;
}

void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb, enum qemu_plugin_op op,
                                                       qemu_plugin_u64 entry, uint64_t imm)
{
    demand(op == QEMU_PLUGIN_INLINE_ADD_U64 && entry.score && entry.offset == 0, "adds to no number");
    tb->added = true;
    tb->entry = entry;
    tb->value = imm;
}

/* What qemu does between two blocks: a reset throws every translation away, then calls back. */
static void settle(void)
{
    reset_cb cb = on_reset;
    if (!cb)
        return;
    on_reset = NULL;
    on_trans = NULL;
    on_syscall = NULL;
    memset(blocks, 0, sizeof blocks);
#if INTERFACE >= 7
    cb(NULL);
#else
    cb(ID);
#endif
    demand(on_syscall != NULL, "hears no system call after a reset");
}

static void run(unsigned int cpu, int block)
{
    settle();
    struct qemu_plugin_tb *tb = &blocks[block];
    if (!tb->n) {
        tb->n = 3 + 2 * block;
#if INTERFACE >= 7
        if (on_trans)
            on_trans(tb, NULL);
#else
        if (on_trans)
            on_trans(ID, tb);
#endif
    }
    if (tb->added)
        tb->entry.score->of[cpu] += tb->value;
}

static void call(unsigned int cpu, int64_t number, uint64_t a1)
{
    settle();
#if INTERFACE >= 7
    on_syscall(cpu, number, a1, 2, 3, 4, 5, 6, 7, 8, NULL);
#else
    on_syscall(ID, cpu, number, a1, 2, 3, 4, 5, 6, 7, 8);
#endif
}

int main(int count, char **arguments)
{
    (void)count;
    void *plugin = dlopen(arguments[1], RTLD_NOW);
    demand(plugin != NULL, dlerror());
    int *version = dlsym(plugin, "qemu_plugin_version");
    int (*install)(qemu_plugin_id_t, const qemu_info_t *, int, char **) = dlsym(plugin, "qemu_plugin_install");
    demand(version && *version == INTERFACE && install, "exports something else");
    qemu_info_t info = {"aarch64", {INTERFACE, INTERFACE}, true, {{1, 1}}};
    demand(install(ID, &info, 0, NULL) != 0, "takes a whole system for a program");
    info.system_emulation = false;
    demand(install(ID, &info, 0, NULL) == 0 && on_syscall, "does not install");

    enum { GETPGID = 155, OUT = 1 };
    const uint64_t magic = 0x5EED0000;
    run(0, 0);
    call(0, GETPGID, magic | 2 << 12 | OUT); /* idle: nothing is counted */
    call(0, GETPGID, 1);                     /* a program's own call */
    call(0, 64, magic | 2 << 12 | OUT);      /* another call with that very argument */
    call(0, GETPGID, magic | 1 << 12 | OUT); /* begin */
    run(0, 1), run(0, 2), run(0, 1);
    call(0, GETPGID, magic | 2 << 12 | OUT); /* 17 */
    call(2, 98, 0);                          /* another thread is awake */
    run(2, 0);
    call(0, GETPGID, magic | 3 << 12 | OUT); /* 20, and one call of another */
    run(0, 1), run(0, 2);
    call(0, GETPGID, magic | 2 << 12 | OUT); /* idle again, still 20 */
    return 0;
}
