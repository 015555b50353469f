/*
 * The pool of threads: made at first use, gone in a forked child, which can make its own, and ended before the library
 * is unloaded or the process exits.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#elif !defined(_POSIX_C_SOURCE) && !defined(__APPLE__)
#define _POSIX_C_SOURCE 200809L
#endif
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plainnet.h"
#include "threads.h"

#if defined(_WIN32) || defined(__wasm__)
#define PN_HAVE_THREADS 0
#else
#define PN_HAVE_THREADS 1
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>
#endif

/* ---- How many --------------------------------------------------------------------------------------------- */

static atomic_size_t wanted; /* 0: not decided yet */

static size_t usable_cpus(void)
{
    size_t n = 1;
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = (size_t)CPU_COUNT(&set);
#elif PN_HAVE_THREADS && defined(_SC_NPROCESSORS_ONLN)
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (online > 0)
        n = (size_t)online;
#endif
    return n < 1 ? 1 : n > PN_MAX_THREADS ? PN_MAX_THREADS : n;
}

/*
 * The number, from 1 to PN_MAX_THREADS, that the text of an environment variable consists of, or that comes before the
 * first of the characters `ends`; 0 if there is none. Digits alone, with white space around them.
 */
static size_t number_in(const char *text, const char *ends)
{
    static const char digits[] = "0123456789", space[] = " \t\n\v\f\r";
    if (text == NULL)
        return 0;
    text += strspn(text, space);
    const char *rest = text + strspn(text, digits);
    unsigned long n = rest == text ? 0 : strtoul(text, NULL, 10); /* ULONG_MAX if it is larger than that */
    rest += strspn(rest, space);
    return n > PN_MAX_THREADS || (*rest != '\0' && strchr(ends, *rest) == NULL) ? 0 : (size_t)n;
}

size_t pn_num_threads(void)
{
    size_t n = atomic_load_explicit(&wanted, memory_order_relaxed);
    if (n > 0)
        return n;
    const char *own = getenv("PLAINNET_NUM_THREADS");
    if (own != NULL && *own != '\0') {
        n = number_in(own, "");
        if (n == 0)
            return 0;
    } else {
        n = number_in(getenv("OMP_NUM_THREADS"), ",");
        if (n == 0)
            n = usable_cpus();
    }
    size_t none = 0;
    if (!atomic_compare_exchange_strong(&wanted, &none, n))
        n = none;
    return n;
}

pn_status pn_set_num_threads(size_t n)
{
    if (n < 1 || n > PN_MAX_THREADS)
        return PN_BAD_THREADS;
    atomic_store(&wanted, n);
    return PN_OK;
}

/* ---- The pool --------------------------------------------------------------------------------------------- */

static void run_alone(size_t n_tasks, pn_task *task, void *context, void *scratch)
{
    for (size_t i = 0; i < n_tasks; i++)
        task(context, i, scratch);
}

#if PN_HAVE_THREADS

enum {
    SPINS_ASLEEP = 20000, /* looks for work before a worker sleeps: tens of microseconds */
    SPINS_YIELD = 20000,  /* looks at the others' end before the caller lets other processes run */
    DUE = 100,            /* microseconds of work for which sleeping workers are woken */
    STACK_BYTES = 1 << 21 /* besides scratch memory; libraries keep thread-local memory there too */
};

/*
 * A job is open from the moment `state` says so until its caller has seen all tasks taken. Workers enter an open
 * job by counting themselves into the same word, so that nobody enters a closed one and the caller waits for those
 * inside alone: a worker that wakes too late costs nothing. What describes the job changes only while nobody is in.
 * The end of the pool is the last of its generations: workers leave after the task at hand, for good.
 */
#define OPEN ((uint64_t)1 << 16)         /* below: how many workers are inside */
#define GENERATION ((uint64_t)1 << 17)
#define ENDED ((uint64_t)1 << 63)

static struct {
    pthread_mutex_t owner;               /* held by the caller whose job runs */
    _Atomic uint64_t state;
    pthread_t workers[PN_MAX_THREADS];
    size_t n_workers, n_welcome;         /* that exist; that may enter this job */
    pn_task *task;
    void *context;
    size_t n_tasks;
    atomic_size_t next;
    double missed;                       /* microseconds of work done alone while workers slept */
    pthread_mutex_t sleep;               /* held to fall asleep, to wake, and to change the number of workers */
    pthread_cond_t wake;
    atomic_size_t sleepers;
    int watched_for_fork;
    _Atomic pid_t process;               /* that has the workers */
} pool = {.owner = PTHREAD_MUTEX_INITIALIZER, .sleep = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static _Thread_local int inside; /* a worker, or the caller of a job: what its tasks start runs alone */

static inline void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Until none is left or, if that is not 0, state has a bit of `until`. */
static void take_tasks(void *scratch, uint64_t until)
{
    while ((atomic_load_explicit(&pool.state, memory_order_relaxed) & until) == 0) {
        size_t i = atomic_fetch_add_explicit(&pool.next, 1, memory_order_relaxed);
        if (i >= pool.n_tasks)
            break;
        pool.task(pool.context, i, scratch);
    }
}

/* Waits for a job that is not `seen`. */
static uint64_t await_job(uint64_t seen, int spins)
{
    uint64_t state;
    for (int i = 0; i < spins; i++) {
        state = atomic_load_explicit(&pool.state, memory_order_acquire);
        if (state / GENERATION != seen)
            return state;
        pause_briefly();
    }
    pthread_mutex_lock(&pool.sleep);
    atomic_fetch_add(&pool.sleepers, 1);
    while ((state = atomic_load(&pool.state)) / GENERATION == seen)
        pthread_cond_wait(&pool.wake, &pool.sleep);
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.sleep);
    return state;
}

static void *work(void *number)
{
    _Alignas(64) unsigned char scratch[PN_TASK_BYTES];
    size_t own_number = (size_t)(uintptr_t)number;
    int spins = own_number < usable_cpus() ? SPINS_ASLEEP : 0;
    uint64_t seen = 0, state;
    PN_EXACT_MODE; /* threads begin with the mode of who makes them */
    inside = 1;
    while (((state = await_job(seen, spins)) & ENDED) == 0) {
        seen = state / GENERATION;
        while ((state & OPEN) && state / GENERATION == seen)
            if (atomic_compare_exchange_weak(&pool.state, &state, state + 1)) {
                if (own_number <= pool.n_welcome)
                    take_tasks(scratch, ENDED);
                atomic_fetch_sub_explicit(&pool.state, 1, memory_order_release);
                break;
            }
    }
    return NULL;
}

static void before_fork(void)
{
    pthread_mutex_lock(&pool.owner);
    pthread_mutex_lock(&pool.sleep);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&pool.sleep);
    pthread_mutex_unlock(&pool.owner);
}

static void after_fork_in_child(void)
{
    after_fork_in_parent();
    pool.wake = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    pool.n_workers = 0;
    pool.missed = 0;
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.state, 0);
}

/* The owner makes up to n workers; fewer if the system refuses. */
static void hire(size_t n)
{
    if (!pool.watched_for_fork)
        pool.watched_for_fork = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
    pthread_attr_t attributes;
    if (!pool.watched_for_fork || pthread_attr_init(&attributes) != 0)
        return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_setstacksize(&attributes, PN_TASK_BYTES + STACK_BYTES);
    pthread_mutex_lock(&pool.sleep);
    atomic_store(&pool.process, getpid());
    while (pool.n_workers < n && pthread_create(&pool.workers[pool.n_workers], &attributes, work,
                                                (void *)(uintptr_t)(pool.n_workers + 1)) == 0)
        pool.n_workers++;
    pthread_mutex_unlock(&pool.sleep);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/*
 * Before the code of the workers is unmapped, and when the process exits: ends them, after the tasks at hand. Other
 * threads may be computing; they go on alone. Nothing is to be done in a child that has no workers, nor by a thread
 * that exits from within a job: it could wait for itself.
 */
static __attribute__((destructor)) void end_pool(void)
{
    if (inside || atomic_load(&pool.process) != getpid())
        return;
    pthread_mutex_lock(&pool.sleep);
    atomic_fetch_or(&pool.state, ENDED);
    pthread_cond_broadcast(&pool.wake);
    size_t n_workers = pool.n_workers;
    pthread_mutex_unlock(&pool.sleep);
    for (size_t i = 0; i < n_workers; i++)
        pthread_join(pool.workers[i], NULL);
}

/* Whether the workers that this job wants are awake, or worth waking. */
static int worth_it(double microseconds)
{
    if (atomic_load(&pool.sleepers) + pool.n_welcome <= pool.n_workers)
        return 1;
    pool.missed += microseconds;
    if (pool.missed < DUE)
        return 0;
    pool.missed = 0;
    return 1;
}

void pn_parallel_for(size_t n_tasks, pn_task *task, void *context, void *scratch, double microseconds)
{
    size_t threads = pn_num_threads();
    if (threads > n_tasks)
        threads = n_tasks;
    if (threads <= 1 || inside || pthread_mutex_trylock(&pool.owner) != 0) {
        run_alone(n_tasks, task, context, scratch);
        return;
    }
    inside = 1;
    if (pool.n_workers < threads - 1)
        hire(threads - 1);
    pool.n_welcome = threads - 1 < pool.n_workers ? threads - 1 : pool.n_workers;
    if (pool.n_welcome == 0 || !worth_it(microseconds)) {
        pthread_mutex_unlock(&pool.owner);
        inside = 0;
        run_alone(n_tasks, task, context, scratch);
        return;
    }

    pool.task = task;
    pool.context = context;
    pool.n_tasks = n_tasks;
    atomic_store_explicit(&pool.next, 0, memory_order_relaxed);
    atomic_fetch_add(&pool.state, GENERATION + OPEN);
    if (atomic_load(&pool.sleepers) > 0) {
        pthread_mutex_lock(&pool.sleep);
        pthread_cond_broadcast(&pool.wake);
        pthread_mutex_unlock(&pool.sleep);
    }
    take_tasks(scratch, 0);
    atomic_fetch_and(&pool.state, ~OPEN);
    for (int spins = 0; atomic_load_explicit(&pool.state, memory_order_acquire) % OPEN != 0; spins++)
        if (spins < SPINS_YIELD)
            pause_briefly();
        else
            sched_yield();
    pthread_mutex_unlock(&pool.owner);
    inside = 0;
}

#else

void pn_parallel_for(size_t n_tasks, pn_task *task, void *context, void *scratch, double microseconds)
{
    (void)microseconds;
    run_alone(n_tasks, task, context, scratch);
}

#endif
