/* Private: the pool of threads. */
#ifndef PLAINNET_THREADS_H
#define PLAINNET_THREADS_H

#include <stddef.h>

#include "arithmetic.h"

/* What a matrix product needs at most, and what every task may scribble on, aligned to 64 bytes. */
enum { PN_SCRATCH_BYTES = 3 << 19, PN_TASK_BYTES = PN_SCRATCH_BYTES + (1 << 19) };

typedef void pn_task(void *context, size_t index, void *scratch);

/*
 * Runs task(context, index, scratch) for every index < n_tasks and returns when all are done. Which thread runs a task
 * is left open; the caller works too, with a scratch of its own that is as large as its tasks need. Everything runs on
 * the caller alone if there is nobody else: one thread is set, the pool serves another caller, or the caller is itself
 * a task. microseconds: about how long all tasks take on one thread. Threads that sleep are only woken when that pays.
 */
void pn_parallel_for(size_t n_tasks, pn_task *task, void *context, void *scratch, double microseconds);

#endif
