/*
 * The pool of threads. It is created at first use. A forked child has none of its workers, and creates its own. Before
 * the library is unloaded or the process exits, the workers are joined.
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

/* ---- The number of threads -------------------------------------------------------------------------------- */

static atomic_size_t num_threads; /* 0 until it is set or read from the environment */

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
 * Parses the value of an environment variable: decimal digits, white space around them, and then the end of the text or
 * one of the characters `terminators`. Returns 0 unless the number is from 1 to PN_MAX_THREADS.
 */
static size_t parse_num_threads(const char *text, const char *terminators)
{
    static const char digits[] = "0123456789", space[] = " \t\n\v\f\r";
    if (text == NULL)
        return 0;
    text += strspn(text, space);
    const char *rest = text + strspn(text, digits);
    unsigned long n = rest == text ? 0 : strtoul(text, NULL, 10); /* ULONG_MAX on overflow */
    rest += strspn(rest, space);
    return n > PN_MAX_THREADS || (*rest != '\0' && strchr(terminators, *rest) == NULL) ? 0 : (size_t)n;
}

size_t pn_num_threads(void)
{
    size_t n = atomic_load_explicit(&num_threads, memory_order_relaxed);
    if (n > 0)
        return n;
    const char *own = getenv("PLAINNET_NUM_THREADS");
    if (own != NULL && *own != '\0') {
        n = parse_num_threads(own, "");
        if (n == 0)
            return 0;
    } else {
        n = parse_num_threads(getenv("OMP_NUM_THREADS"), ",");
        if (n == 0)
            n = usable_cpus();
    }
    size_t unset = 0;
    if (!atomic_compare_exchange_strong(&num_threads, &unset, n))
        n = unset; /* what another thread has set in the meantime */
    return n;
}

pn_status pn_set_num_threads(size_t n)
{
    if (n < 1 || n > PN_MAX_THREADS)
        return PN_BAD_THREADS;
    atomic_store(&num_threads, n);
    return PN_OK;
}

/* ---- The pool --------------------------------------------------------------------------------------------- */

static void run_serially(size_t n_tasks, pn_task *task, void *context, void *scratch)
{
    for (size_t i = 0; i < n_tasks; i++)
        task(context, i, scratch);
}

#if PN_HAVE_THREADS

enum {
    SPINS_BEFORE_SLEEP = 20000,  /* polls for a new job before an idle worker sleeps: tens of microseconds */
    SPINS_BEFORE_YIELD = 20000,  /* polls for the workers' end before the caller yields its processor */
    WAKE_THRESHOLD_US = 100,     /* microseconds of work run serially before sleeping workers are woken for it */
    WORKER_STACK_BYTES = 1 << 21 /* besides scratch memory; the C library keeps thread-local memory there, too */
};

/*
 * pool.state has, from the lowest bit: the number of workers that are inside the job (16 bits), OPEN, the generation of
 * the job, and ENDED. A job is open from its start until its caller finds no more tasks to run. Workers enter an open
 * job by incrementing the same word. So none enters a closed job, and the caller waits for those inside alone: a worker
 * that wakes too late costs nothing. pool.job changes only while no worker is inside. ENDED is set once, for good: each
 * worker finishes its task and returns.
 */
#define OPEN ((uint64_t)1 << 16)
#define GENERATION ((uint64_t)1 << 17)
#define ENDED ((uint64_t)1 << 63)

static struct {
    pthread_mutex_t owner;             /* held by the caller whose job runs */
    _Atomic uint64_t state;
    struct {
        pn_task *task;
        void *context;
        size_t n_tasks;
        atomic_size_t next;            /* the first task that nobody runs yet */
        size_t max_participants;       /* workers with a higher number run no tasks */
    } job;
    double deferred_us;                /* microseconds of work run serially since workers were last woken */
    pthread_mutex_t sleep_mutex;       /* held to fall asleep, to wake workers, and to change n_workers */
    pthread_cond_t wake;
    atomic_size_t n_sleeping;
    pthread_t workers[PN_MAX_THREADS]; /* numbered from 1 */
    size_t n_workers;
    int has_fork_handlers;
    _Atomic pid_t process;             /* the process that created the workers */
} pool = {
    .owner = PTHREAD_MUTEX_INITIALIZER, .sleep_mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER,
};

/* Set in a worker, and in a caller whose job runs. Jobs that a task starts run serially. */
static _Thread_local int in_job;

static inline void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Runs tasks until none is left, or until a bit of stop_bits is set in the pool's state. */
static void run_tasks(void *scratch, uint64_t stop_bits)
{
    while ((atomic_load_explicit(&pool.state, memory_order_relaxed) & stop_bits) == 0) {
        size_t i = atomic_fetch_add_explicit(&pool.job.next, 1, memory_order_relaxed);
        if (i >= pool.job.n_tasks)
            break;
        pool.job.task(pool.job.context, i, scratch);
    }
}

/* Waits until the generation is not `seen`, at first by polling, then asleep, and returns the state. */
static uint64_t await_job(uint64_t seen, int spins)
{
    uint64_t state;
    for (int i = 0; i < spins; i++) {
        state = atomic_load_explicit(&pool.state, memory_order_acquire);
        if (state / GENERATION != seen)
            return state;
        pause_briefly();
    }
    pthread_mutex_lock(&pool.sleep_mutex);
    atomic_fetch_add(&pool.n_sleeping, 1);
    while ((state = atomic_load(&pool.state)) / GENERATION == seen)
        pthread_cond_wait(&pool.wake, &pool.sleep_mutex);
    atomic_fetch_sub(&pool.n_sleeping, 1);
    pthread_mutex_unlock(&pool.sleep_mutex);
    return state;
}

static void *worker_main(void *worker_number)
{
    _Alignas(64) unsigned char scratch[PN_TASK_BYTES];
    size_t number = (size_t)(uintptr_t)worker_number;
    int spins = number < usable_cpus() ? SPINS_BEFORE_SLEEP : 0;
    uint64_t seen = 0, state;
    PN_EXACT_MODE; /* a new thread inherits the floating-point mode of its creator */
    in_job = 1;
    while (((state = await_job(seen, spins)) & ENDED) == 0) {
        seen = state / GENERATION;
        while ((state & OPEN) && state / GENERATION == seen)
            if (atomic_compare_exchange_weak(&pool.state, &state, state + 1)) {
                if (number <= pool.job.max_participants)
                    run_tasks(scratch, ENDED);
                atomic_fetch_sub_explicit(&pool.state, 1, memory_order_release);
                break;
            }
    }
    return NULL;
}

static void before_fork(void)
{
    pthread_mutex_lock(&pool.owner);
    pthread_mutex_lock(&pool.sleep_mutex);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&pool.sleep_mutex);
    pthread_mutex_unlock(&pool.owner);
}

static void after_fork_in_child(void)
{
    after_fork_in_parent();
    pool.wake = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    pool.n_workers = 0;
    pool.deferred_us = 0;
    atomic_store(&pool.n_sleeping, 0);
    atomic_store(&pool.state, 0);
}

/* Creates workers until there are n, or fewer if the system refuses. Signals are left to the program's own threads. */
static void spawn_workers(size_t n)
{
    if (!pool.has_fork_handlers)
        pool.has_fork_handlers = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
    pthread_attr_t attributes;
    if (!pool.has_fork_handlers || pthread_attr_init(&attributes) != 0)
        return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_setstacksize(&attributes, PN_TASK_BYTES + WORKER_STACK_BYTES);
    pthread_mutex_lock(&pool.sleep_mutex);
    atomic_store(&pool.process, getpid());
    while (pool.n_workers < n && pthread_create(&pool.workers[pool.n_workers], &attributes, worker_main,
                                                (void *)(uintptr_t)(pool.n_workers + 1)) == 0)
        pool.n_workers++;
    pthread_mutex_unlock(&pool.sleep_mutex);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/*
 * Joins the workers before their code is unmapped or the process exits; each finishes its task first. Other threads may
 * be computing, and go on serially. There is nothing to join in a child without workers. A thread that exits from
 * within a job does not join either, as it could wait for itself.
 */
static __attribute__((destructor)) void shut_down_pool(void)
{
    if (in_job || atomic_load(&pool.process) != getpid())
        return;
    pthread_mutex_lock(&pool.sleep_mutex);
    atomic_fetch_or(&pool.state, ENDED);
    pthread_cond_broadcast(&pool.wake);
    size_t n_workers = pool.n_workers;
    pthread_mutex_unlock(&pool.sleep_mutex);
    for (size_t i = 0; i < n_workers; i++)
        pthread_join(pool.workers[i], NULL);
}

/* Whether enough workers are awake for this job, or waking them pays. */
static int should_use_workers(double microseconds)
{
    if (atomic_load(&pool.n_sleeping) + pool.job.max_participants <= pool.n_workers)
        return 1;
    pool.deferred_us += microseconds;
    if (pool.deferred_us < WAKE_THRESHOLD_US)
        return 0;
    pool.deferred_us = 0;
    return 1;
}

/* The owner of the pool opens a job, wakes workers, runs tasks as they do, and returns when no worker is inside. */
static void run_job(size_t n_tasks, pn_task *task, void *context, void *scratch)
{
    pool.job.task = task;
    pool.job.context = context;
    pool.job.n_tasks = n_tasks;
    atomic_store_explicit(&pool.job.next, 0, memory_order_relaxed);
    atomic_fetch_add(&pool.state, GENERATION + OPEN);
    if (atomic_load(&pool.n_sleeping) > 0) {
        pthread_mutex_lock(&pool.sleep_mutex);
        pthread_cond_broadcast(&pool.wake);
        pthread_mutex_unlock(&pool.sleep_mutex);
    }
    run_tasks(scratch, 0);
    atomic_fetch_and(&pool.state, ~OPEN);
    for (int spins = 0; atomic_load_explicit(&pool.state, memory_order_acquire) % OPEN != 0; spins++)
        if (spins < SPINS_BEFORE_YIELD)
            pause_briefly();
        else
            sched_yield();
}

void pn_parallel_for(size_t n_tasks, pn_task *task, void *context, void *scratch, double microseconds)
{
    size_t threads = pn_num_threads();
    if (threads > n_tasks)
        threads = n_tasks;
    if (threads <= 1 || in_job || pthread_mutex_trylock(&pool.owner) != 0) {
        run_serially(n_tasks, task, context, scratch);
        return;
    }
    in_job = 1;
    if (pool.n_workers < threads - 1)
        spawn_workers(threads - 1);
    pool.job.max_participants = threads - 1 < pool.n_workers ? threads - 1 : pool.n_workers;
    int is_parallel = pool.job.max_participants > 0 && should_use_workers(microseconds);
    if (is_parallel)
        run_job(n_tasks, task, context, scratch);
    pthread_mutex_unlock(&pool.owner);
    in_job = 0;
    if (!is_parallel)
        run_serially(n_tasks, task, context, scratch);
}

#else

void pn_parallel_for(size_t n_tasks, pn_task *task, void *context, void *scratch, double microseconds)
{
    (void)microseconds;
    run_serially(n_tasks, task, context, scratch);
}

#endif
