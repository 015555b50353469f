/* Private: the pool of threads. */
#ifndef PLAINNET_THREADS_H
#define PLAINNET_THREADS_H

#include <stddef.h>

#include "arithmetic.h"

enum {
    PN_SCRATCH_BYTES = 3 << 19,                  /* scratch memory for any matrix product */
    PN_TASK_BYTES = PN_SCRATCH_BYTES + (1 << 19) /* scratch memory that a worker has for each task */
};

/* scratch is aligned to 64 bytes. */
typedef void pn_task(void *context, size_t index, void *scratch);

/*
 * Runs task(context, index, scratch) for every index < n_tasks, each once, and returns when all have returned. Any
 * thread may run a task. The calling thread runs tasks, too; its scratch memory is `scratch`, as large as these tasks
 * need. All tasks run on the calling thread if one thread is set, if the pool serves another caller, or if the caller
 * is itself a task. `microseconds` estimates what all tasks take on one thread: for short jobs, sleeping workers are
 * not woken.
 */
void pn_parallel_for(size_t n_tasks, pn_task *task, void *context, void *scratch, double microseconds);

#endif
