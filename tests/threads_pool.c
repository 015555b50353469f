/*
 * Checks the pool of threads by itself: which threads run tasks, in which floating-point environment, and how the pool
 * is shut down. It needs no kernels, and is run with and without sanitizers:
 *
 *     cc tests/threads_pool.c csrc/threads.c -Icsrc -lm -lpthread -ldl && ./a.out wake
 *
 * Nothing here depends on time: tasks wait for each other. If a thread is missing they wait until an alarm ends the
 * process.
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plainnet.h"
#include "threads.h"

#if !defined(__SANITIZE_THREAD__) && defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
enum { CAN_FORK = 0 }; /* ThreadSanitizer refuses threads in the child of a process with threads */
#else
enum { CAN_FORK = 1 };
#endif

#if defined(__GLIBC__)
#define HAVE_BARE_FORK __GLIBC_PREREQ(2, 34) /* _Fork */
#else
#define HAVE_BARE_FORK 0
#endif

enum { PATIENCE = 300, A_WHILE = 50, WORKERS_SLEEP = 30000 }; /* seconds; microseconds; idle workers are asleep then */

typedef void parallel_for(size_t n_tasks, pn_task *task, void *context, void *scratch, double microseconds);

static _Alignas(64) unsigned char caller_scratch[PN_TASK_BYTES];

static void fail(const char *what)
{
    printf("wrong: %s\n", what);
    fflush(stdout);
    _exit(1);
}

/* ---- Which threads run tasks ------------------------------------------------------------------------------ */

/* A task that returns when all tasks of its job have begun, so that each runs in a thread of its own. */
typedef struct meeting {
    size_t n_tasks;
    atomic_size_t here;
    pthread_t who[PN_MAX_THREADS];
} meeting;

static void meet(void *context, size_t index, void *scratch)
{
    meeting *m = context;
    ((char *)scratch)[0] = ((char *)scratch)[PN_TASK_BYTES - 1] = (char)index;
    m->who[index] = pthread_self();
    atomic_fetch_add(&m->here, 1);
    while (atomic_load(&m->here) < m->n_tasks)
        usleep(A_WHILE);
}

/* Returns only if n threads run tasks. */
static void meet_with(size_t n)
{
    meeting m = {.n_tasks = n};
    pn_parallel_for(n, meet, &m, caller_scratch, 1e6);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (pthread_equal(m.who[i], m.who[j]))
                fail("a task for each thread");
}

typedef struct study_signals {
    meeting meeting;
    pthread_t caller;
} study_signals;

/* No more threads than are set: the third task of a job of two threads never begins while the others wait for it. */
static void crowd(void *context, size_t index, void *scratch)
{
    meeting *m = context;
    (void)index;
    (void)scratch;
    size_t here = atomic_fetch_add(&m->here, 1) + 1;
    for (int i = 0; i < 20 && here <= m->n_tasks; i++) {
        usleep(A_WHILE);
        here = atomic_load(&m->here);
    }
    if (here > m->n_tasks)
        fail("as many threads as are set, not more");
    atomic_fetch_sub(&m->here, 1);
}

/* Workers block signals, which are for the program's own threads. */
static void see_signals(void *context, size_t index, void *scratch)
{
    study_signals *s = context;
    sigset_t blocked;
    meet(&s->meeting, index, scratch);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (!pthread_equal(s->caller, pthread_self()) && !(sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGALRM)))
        fail("workers block signals");
}

static void count(void *context, size_t index, void *scratch)
{
    (void)index;
    (void)scratch;
    atomic_fetch_add((atomic_size_t *)context, 1);
}

/* Every task runs once, in any thread. */
static void count_with(parallel_for *run, size_t n)
{
    atomic_size_t counted = 0;
    run(n, count, &counted, caller_scratch, 1e6);
    if (atomic_load(&counted) != n)
        fail("every task once");
}

/* The first of two tasks waits for the second, which a single thread would not have begun. */
typedef struct chance {
    atomic_int second, together;
} chance;

static void perhaps_meet(void *context, size_t index, void *scratch)
{
    chance *c = context;
    (void)scratch;
    if (index == 1)
        atomic_store(&c->second, 1);
    for (int i = 0; index == 0 && i < 20 && !atomic_load(&c->together); i++) {
        atomic_store(&c->together, atomic_load(&c->second));
        usleep(A_WHILE);
    }
}

static void alone(void *context, size_t index, void *scratch)
{
    (void)index;
    (void)scratch;
    if (!pthread_equal(*(pthread_t *)context, pthread_self()))
        fail("one thread is set, another works");
}

static void check_waking(void)
{
    pn_set_num_threads(2);
    for (int i = 0; i < 3; i++) {
        meet_with(2);
        usleep(WORKERS_SLEEP);
    }
    pn_set_num_threads(5); /* more workers than slept, and some that sleep at once, for want of CPUs */
    for (int i = 0; i < 3; i++) {
        meet_with(5);
        meet_with(3);
        usleep(WORKERS_SLEEP);
    }
    study_signals signals = {{.n_tasks = 5}, pthread_self()};
    pn_parallel_for(5, see_signals, &signals, caller_scratch, 1e6);
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (sigismember(&blocked, SIGINT))
        fail("the caller does not block signals");
    pn_set_num_threads(2);
    for (int i = 0; i < 10; i++) {
        meeting two = {.n_tasks = 2};
        pn_parallel_for(4, crowd, &two, caller_scratch, 1e6);
    }
    pn_set_num_threads(1);
    pthread_t self = pthread_self();
    pn_parallel_for(40, alone, &self, caller_scratch, 1e6);
    pn_set_num_threads(PN_MAX_THREADS);
    meet_with(PN_MAX_THREADS);

    /* A short job alone does not wake workers, but several do. */
    pn_set_num_threads(2);
    for (int i = 0; i < 3; i++) {
        usleep(WORKERS_SLEEP);
        for (int together = 0; !together;) {
            chance c = {0};
            pn_parallel_for(2, perhaps_meet, &c, caller_scratch, 30);
            together = atomic_load(&c.together);
        }
    }
}

static void wait_for(pid_t child, const char *what)
{
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        fail(what);
}

static atomic_int forking, computing;

static void *compute_meanwhile(void *nothing)
{
    static _Alignas(64) unsigned char scratch[PN_TASK_BYTES];
    while (atomic_load(&forking)) {
        atomic_size_t counted = 0;
        pn_parallel_for(50, count, &counted, scratch, 1e6);
        atomic_store(&computing, 1);
    }
    return nothing;
}

/*
 * Another thread may own the pool when the process forks. In the child, it is free. All threads are there before the
 * first fork: one that starts holds a lock of AddressSanitizer's allocator, which would stay locked in the child.
 */
static void check_forking_while_computing(void)
{
    pthread_t user;
    meet_with(3);
    atomic_store(&forking, 1);
    pthread_create(&user, NULL, compute_meanwhile, NULL);
    while (!atomic_load(&computing))
        usleep(A_WHILE);
    for (int i = 0; i < 10; i++) {
        usleep(A_WHILE);
        pid_t child = fork();
        if (child == 0) {
            alarm(PATIENCE);
            meet_with(3);
            exit(0);
        }
        wait_for(child, "a child that was forked while another thread computed");
    }
    atomic_store(&forking, 0);
    pthread_join(user, NULL);
}

static void check_forking(void)
{
    pn_set_num_threads(3);
    if (CAN_FORK)
        check_forking_while_computing();
    for (int asleep = 0; asleep < 2 && CAN_FORK; asleep++) {
        meet_with(3);
        usleep(asleep ? WORKERS_SLEEP : 0);
        pid_t child = fork();
        if (child == 0) {
            alarm(PATIENCE);
            meet_with(3);
            usleep(WORKERS_SLEEP);
            meet_with(3);
            pid_t grandchild = fork();
            if (grandchild == 0) {
                alarm(PATIENCE);
                pn_set_num_threads(4);
                meet_with(4);
                exit(0);
            }
            wait_for(grandchild, "a forked child of a forked child");
            exit(0);
        }
        wait_for(child, "a forked child");
        meet_with(3);
    }
}

/* ---- The floating-point environment ----------------------------------------------------------------------- */

/* Flushes subnormal results (1), operands (2), both (3) or neither (0) to zero, where the machine can. */
#if defined(__SSE2_MATH__)
static void flush(int which)
{
    unsigned int control = __builtin_ia32_stmxcsr() & ~0x8040u;
    __builtin_ia32_ldmxcsr(control | (which & 1 ? 0x8000u : 0) | (which & 2 ? 0x40u : 0));
}
#elif defined(__aarch64__)
static void flush(int which)
{
    unsigned long long control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    control = which ? control | 1ull << 24 : control & ~(1ull << 24);
    __asm__ volatile("msr fpcr, %0" : : "r"(control));
}
#else
static void flush(int which) { (void)which; }
#endif

typedef struct findings {
    volatile double third, from_normal, from_subnormal;
} findings;

static findings find(void)
{
    volatile double one = 1, three = 3, half = 0.5, normal = 0x1p-1022, subnormal = 0x1p-1030, large = 0x1p100;
    return (findings){one / three, normal * half, subnormal * large};
}

static int is_alike(findings a, findings b)
{
    return a.third == b.third && a.from_normal == b.from_normal && a.from_subnormal == b.from_subnormal;
}

typedef struct study {
    meeting meeting;
    pthread_t caller;
    findings caller_found, exact;
} study;

static void look(void *context, size_t index, void *scratch)
{
    study *s = context;
    meet(&s->meeting, index, scratch);
    int is_caller = pthread_equal(pthread_self(), s->caller);
    if (!is_alike(find(), is_caller ? s->caller_found : s->exact))
        fail("a worker rounds to nearest and keeps subnormal numbers, whoever made it or calls");
}

static void check_environment(void)
{
    const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST};
    study s = {.caller = pthread_self(), .exact = find()};
    pn_set_num_threads(3);
    for (int i = 0; i < 16; i++) { /* in the first round workers are created by a thread with another mode */
        flush(3 - i % 4);
        if (fesetround(modes[i / 4]) != 0)
            fail("fesetround");
        s.caller_found = find();
        s.meeting = (meeting){.n_tasks = 3};
        pn_parallel_for(3, look, &s, caller_scratch, 1e6);
    }
    flush(0);
    if (!is_alike(find(), s.exact))
        fail("the caller's environment is as it was");
}

/* ---- Shutdown --------------------------------------------------------------------------------------------- */

static atomic_int load = 1;

static void *burden(void *nothing)
{
    while (atomic_load(&load))
        continue;
    return nothing;
}

/* A library with the pool alone is loaded, and unloaded while its workers poll, sleep or start. */
static void check_unloading(const char *path)
{
    pthread_t burdens[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&burdens[i], NULL, burden, NULL);
    for (int round = 0; round < 100; round++) {
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (library == NULL)
            fail(dlerror());
        parallel_for *run;
        pn_status (*set_num_threads)(size_t n);
        *(void **)&run = dlsym(library, "pn_parallel_for");
        *(void **)&set_num_threads = dlsym(library, "pn_set_num_threads");
        if (run == NULL || run == pn_parallel_for || set_num_threads((size_t)(2 + round % 4)) != PN_OK)
            fail("a library of its own");
        count_with(run, 9);
        if (round % 5 == 0)
            usleep(WORKERS_SLEEP);
        if (round % 3 == 0)
            count_with(run, 9);
        dlclose(library);
        usleep(1000);
        if (dlopen(path, RTLD_NOW | RTLD_NOLOAD) != NULL)
            fail("the library is unloaded");
    }
    atomic_store(&load, 0);
    for (int i = 0; i < 2; i++)
        pthread_join(burdens[i], NULL);
}

/* Runs jobs of n_tasks tasks for ever. */
static void *compute(void *n_tasks)
{
    static _Alignas(64) unsigned char scratch[PN_TASK_BYTES];
    for (size_t n = *(const size_t *)n_tasks;;) {
        atomic_size_t counted = 0;
        pn_parallel_for(n, count, &counted, scratch, 1e6);
        if (atomic_load(&counted) != n)
            fail("every task once, though the process exits");
    }
    return NULL;
}

/* One of two threads exits within a job, the other never returns from its task. */
typedef struct departure {
    meeting meeting;
    pthread_t caller;
    int caller_exits;
} departure;

static void exit_or_stay(void *context, size_t index, void *scratch)
{
    departure *d = context;
    meet(&d->meeting, index, scratch);
    if ((pthread_equal(d->caller, pthread_self()) != 0) == d->caller_exits)
        exit(0);
    for (;;)
        pause();
}

enum {
    UNUSED, IDLE, ASLEEP, COMPUTING, COMPUTING_FOR_EVER, FORKED_BARE, FORKED, FORKED_AND_SPAWNED, IN_CALLERS_TASK,
    IN_WORKERS_TASK, N_CASES
};

static void leave(int when, int round)
{
    static const size_t few = 50, endless = SIZE_MAX / 2;
    pthread_t user;
    if (when != UNUSED)
        meet_with(3);
    if (when == ASLEEP)
        usleep(WORKERS_SLEEP);
    if (when == COMPUTING || when == COMPUTING_FOR_EVER) {
        pthread_create(&user, NULL, compute, (void *)(when == COMPUTING ? &few : &endless));
        usleep((unsigned)(round * 150));
    }
#if HAVE_BARE_FORK
    if (when == FORKED_BARE) { /* a child in which no handler of pthread_atfork has run */
        pid_t child = _Fork();
        if (child == 0) {
            alarm(PATIENCE);
            exit(0);
        }
        wait_for(child, "a child of _Fork that exits");
    }
#endif
    if (when == FORKED || when == FORKED_AND_SPAWNED) {
        pid_t child = fork();
        if (child == 0) {
            alarm(PATIENCE);
            if (when == FORKED_AND_SPAWNED && CAN_FORK)
                meet_with(3);
            exit(0);
        }
        wait_for(child, "a forked child that exits");
    }
    if (when == IN_CALLERS_TASK || when == IN_WORKERS_TASK) {
        departure d = {{.n_tasks = 2}, pthread_self(), when == IN_CALLERS_TASK};
        pn_parallel_for(2, exit_or_stay, &d, caller_scratch, 1e6);
    }
    exit(0);
}

static void check_exiting(void)
{
    pn_set_num_threads(3);
    for (int when = 0; when < N_CASES; when++)
        for (int round = 0; round < (when == COMPUTING ? 20 : 2); round++) {
            pid_t child = fork();
            if (child == 0) {
                alarm(PATIENCE);
                leave(when, round);
            }
            wait_for(child, "a process that exits");
        }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    setvbuf(stdout, NULL, _IONBF, 0);
    alarm(PATIENCE);
    if (strcmp(what, "number") == 0) {
        printf("%zu\n", pn_num_threads());
        return 0;
    }
    if (strcmp(what, "wake") == 0)
        check_waking();
    else if (strcmp(what, "fork") == 0)
        check_forking();
    else if (strcmp(what, "environment") == 0)
        check_environment();
    else if (strcmp(what, "unload") == 0 && argc > 2)
        check_unloading(argv[2]);
    else if (strcmp(what, "exit") == 0)
        check_exiting();
    else
        fail("what to check: number, wake, fork, environment, unload LIBRARY or exit");
    printf("done\n");
    return 0;
}
