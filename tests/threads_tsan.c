/*
 * Stresses the pool of threads: several user threads at once, a changing number of threads, nested calls, and
 * children made by fork. Results must keep their bits; run it under ThreadSanitizer too.
 *
 *     cc -g -O1 -fsanitize=thread tests/threads_tsan.c csrc/(every .c file) -Icsrc -lm -lpthread && ./a.out
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels.h"
#include "threads.h"

#if !defined(__SANITIZE_THREAD__) && defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

/* One product, one forward pass of many rows, and one array of elements, large enough to be divided among threads. */
enum { M = 96, K = 256, N = 544, ROWS = 6000, WIDTH = 32, ELEMENTS = 200003, ROUNDS = 50, USERS = 4 };
static float x[M * K], weight[K * N], expected[M * N];
static float rows[ROWS * WIDTH], parameters[WIDTH * WIDTH + WIDTH], expected_rows[ROWS];
static float elements[ELEMENTS], expected_elements[ELEMENTS];
static const pn_layer layers[2] = {{WIDTH, WIDTH - 1, PN_TANH, 1, NULL}, {WIDTH - 1, 1, PN_IDENTITY, 1, NULL}};
static const pn_network network = {.n_layers = 2, .layers = layers, .loss = PN_MEAN_SQUARED_ERROR};

static void multiply(float *a, float *workspace)
{
    const pn_dense_layer_f32 layer = {M, K, N, weight, 0, NULL, PN_TANH, workspace};
    pn_kernels_in_use()->f32.dense_forward(&layer, x, NULL, a);
}

static void pass(float *out)
{
    size_t n_bytes = 0;
    pn_forward_workspace_f32(ROWS, &network, &n_bytes);
    void *workspace = malloc(n_bytes);
    if (pn_forward_f32(ROWS, &network, parameters, rows, out, workspace, n_bytes) != PN_OK)
        memset(out, 255, sizeof expected_rows);
    free(workspace);
}

static void fail(const char *what)
{
    printf("wrong: %s\n", what);
    _exit(1);
}

static void *use(void *number)
{
    float *a = malloc(sizeof expected), *out = malloc(sizeof expected_rows), *each = malloc(sizeof elements);
    float *workspace = malloc(sizeof(float) * pn_kernels_in_use()->f32.dense_workspace(M, K, N));
    for (int round = 0; round < ROUNDS; round++) {
        memset(a, 255, sizeof expected);
        multiply(a, workspace);
        if (memcmp(a, expected, sizeof expected) != 0)
            fail("bits with threads");
        memset(out, 255, sizeof expected_rows);
        pass(out);
        if (memcmp(out, expected_rows, sizeof expected_rows) != 0)
            fail("bits of rows with threads");
        memset(each, 255, sizeof elements);
        if (pn_sigmoid_f32(ELEMENTS, elements, each) != PN_OK || memcmp(each, expected_elements, sizeof elements) != 0)
            fail("bits of elements with threads");
        if (number != NULL && round % 5 == 0 && pn_set_num_threads((size_t)(1 + round / 5 % 5)) != PN_OK)
            fail("pn_set_num_threads");
        if (round % 25 == 24)
            usleep(3000); /* the workers fall asleep */
    }
    free(a), free(out), free(each), free(workspace);
    return NULL;
}

static void count(void *context, size_t index, void *scratch)
{
    memset(scratch, (int)index, PN_TASK_BYTES);
    atomic_fetch_add((atomic_int *)context, 1);
}

static void nest(void *context, size_t index, void *scratch)
{
    (void)index;
    pn_parallel_for(3, count, context, scratch, 1e6);
}

static void check_tasks(void)
{
    static _Alignas(64) unsigned char scratch[PN_TASK_BYTES];
    for (size_t n = 0; n < 40; n++) {
        atomic_int counted = 0;
        pn_parallel_for(n, count, &counted, scratch, 1e6);
        pn_parallel_for(n, nest, &counted, scratch, 1e6);
        if (atomic_load(&counted) != (int)(4 * n))
            fail("every task once");
    }
}

int main(void)
{
    for (size_t i = 0; i < M * K; i++)
        x[i] = (float)(i * 7919 % 1009) / 1009 - 0.5f;
    for (size_t i = 0; i < K * N; i++)
        weight[i] = (float)(i * 104729 % 1013) / 1013 - 0.5f;
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        rows[i] = (float)(i * 6211 % 997) / 997 - 0.5f;
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        parameters[i] = (float)(i * 4001 % 991) / 991 - 0.5f;
    for (size_t i = 0; i < ELEMENTS; i++)
        elements[i] = (float)(i * 3001 % 983) / 98 - 5;
    if (pn_set_num_threads(0) != PN_BAD_THREADS || pn_set_num_threads(PN_MAX_THREADS + 1) != PN_BAD_THREADS ||
        pn_set_num_threads(1) != PN_OK || pn_num_threads() != 1)
        fail("pn_set_num_threads");
    float *workspace = malloc(sizeof(float) * pn_kernels_in_use()->f32.dense_workspace(M, K, N));
    multiply(expected, workspace);
    pass(expected_rows);
    pn_sigmoid_f32(ELEMENTS, elements, expected_elements);
    free(workspace);

    pn_set_num_threads(4);
    check_tasks();
    for (int generation = 0; generation < 3; generation++) {
        pthread_t users[USERS];
        for (size_t i = 0; i < USERS; i++)
            pthread_create(&users[i], NULL, use, i == 0 ? &users : NULL);
#if !defined(__SANITIZE_THREAD__)
        for (int i = 0; i < 5; i++) {
            usleep(500);
            pid_t child = fork();
            if (child == 0) {
                alarm(20);
                pn_set_num_threads(3);
                check_tasks();
                use(NULL);
                _exit(0);
            }
            int status = 0;
            waitpid(child, &status, 0);
            if (status != 0)
                fail("a forked child");
        }
#endif
        for (size_t i = 0; i < USERS; i++)
            pthread_join(users[i], NULL);
    }
    printf("threads agree\n");
    return 0;
}
