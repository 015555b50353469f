/*
 * Whole networks through the public interface against their parts, bit for bit: a forward pass against its layers one
 * by one, a step against the gradient, a run against its steps. Every array and every workspace has exactly the size
 * that the header asks for; networks, rows, batches, slices and numbers of threads are drawn at random.
 *
 *     cc -O2 tests/network_bits.c csrc/(every .c file) -Icsrc -lm -lpthread && ./a.out [networks]
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include <math.h>

#include "descriptions.h"
#include "plainnet.h"
#include "shuffle.h"

#include "fenced.inc.c"

enum { MOST_LAYERS = 4 };

static size_t one_of(const size_t *values, size_t n) { return values[random_bits() % n]; }
#define ONE_OF(values) one_of(values, sizeof values / sizeof values[0])

static void fail(const char *what)
{
    printf("%s: %s\n", under_way, what);
    exit(1);
}

static void must(pn_status status, const char *what)
{
    if (status != PN_OK) {
        printf("%s: %s: %s\n", under_way, what, pn_status_message(status));
        exit(1);
    }
}

/* A workspace of exactly n_bytes, each of which is 255: all numbers are NaN. */
static void *new_workspace(size_t n_bytes)
{
    void *workspace = fenced(n_bytes);
    if (n_bytes > 0)
        memset(workspace, 255, n_bytes);
    return workspace;
}

typedef struct pn_case {
    pn_layer layers[MOST_LAYERS];
    pn_network network;
    size_t n_rows, n_in, n_out, n_targets, n_parameters;
    int threads;
    char description[200];
} pn_case;

enum { N_FIXED = 12 };

/* Tiny, narrow, or wide enough for packed weights; the first ones are about the largest that count as tiny. */
static void draw(pn_case *c, long number)
{
    static const size_t tiny[] = {1, 2, 3, 4, 5, 8}, narrow[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33};
    static const size_t wide[] = {1, 2, 10, 33, 64, 65, 100, 120, 129, 200, 513};
    static const size_t few[] = {1, 2, 3, 4, 5, 7, 8};
    static const size_t rows[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 40, 64, 100, 300, 777};
    uint64_t kind = random_bits() % 4;
    size_t same = number < N_FIXED ? (number % 4 < 3 ? 8 : 7) : 0;
    c->network = (pn_network){.n_layers = same ? MOST_LAYERS : 1 + random_bits() % MOST_LAYERS, .layers = c->layers,
                              .loss = (pn_loss)(random_bits() % PN_N_LOSSES)};
    size_t width = kind == 0 ? ONE_OF(tiny) : kind == 1 ? ONE_OF(narrow) : ONE_OF(wide);
    width = c->n_in = same ? same : width;
    for (size_t l = 0; l < c->network.n_layers; l++) {
        size_t next = kind == 0 ? ONE_OF(tiny) : kind == 1 ? ONE_OF(narrow) : ONE_OF(wide);
        next = same ? same : next;
        c->layers[l] = (pn_layer){width, next, (pn_activation)(random_bits() % PN_SOFTMAX),
                                  (int)(random_bits() % 3), NULL};
        width = next;
    }
    c->n_out = width;
    c->network.loss_parameter = 0.25;
    if (pn_losses[c->network.loss].activation >= 0)
        c->layers[c->network.n_layers - 1].activation = (pn_activation)pn_losses[c->network.loss].activation;
    c->n_targets = c->network.loss == PN_CROSS_ENTROPY_LABELS ? 1 : c->n_out;
    if (c->network.loss == PN_POISSON) /* or exp(a) overflows */
        c->layers[c->network.n_layers - 1].activation = PN_TANH;
    c->n_rows = same ? (size_t)number + 1 : kind == 0 ? ONE_OF(few) : ONE_OF(rows);
    must(pn_n_parameters(&c->network, &c->n_parameters), "n_parameters");
    static const int threads[] = {1, 2, 3, 8};
    c->threads = threads[random_bits() % 4];
    must(pn_set_num_threads((size_t)c->threads), "set_num_threads");
    int at = snprintf(c->description, sizeof c->description, "%zu rows, loss %d, %d threads, layers", c->n_rows,
                      (int)c->network.loss, c->threads);
    for (size_t l = 0; l < c->network.n_layers; l++)
        at += snprintf(c->description + at, sizeof c->description - (size_t)at, " %zu-%zu f%d b%d", c->layers[l].n_in,
                       c->layers[l].n_out, (int)c->layers[l].activation, c->layers[l].has_bias);
}

/* An optimizer with options that are drawn at random. */
static pn_optimizer draw_optimizer(void)
{
    pn_optimizer o = {
        .kind = (pn_optimizer_kind)(random_bits() % PN_N_OPTIMIZERS), .momentum = random_bits() % 2 ? 0.75 : 0,
        .weight_decay = random_bits() % 2 ? 0.01 : 0, .centered = (int)(random_bits() % 2),
        .amsgrad = (int)(random_bits() % 2), .eps_hat = (int)(random_bits() % 2), .alpha = 0.9, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8,
        .learning_rate_decay = 0.1, .initial_accumulator_value = 0.125, .eta_minus = 0.5, .eta_plus = 1.25,
        .step_min = 1e-6, .step_max = 0.5, .clip_value = random_bits() % 2 ? 1e-3 : 0,
        .clip_norm = random_bits() % 2 ? 1e-2 : 0,
    };
    o.nesterov = o.momentum > 0 && random_bits() % 2;
    return o;
}

#define real float
#define NAME(name) name##_f32
#define REAL_FMA fmaf
#include "network_bits.inc.c"
#undef real
#undef NAME
#undef REAL_FMA
#define real double
#define NAME(name) name##_f64
#define REAL_FMA fma
#include "network_bits.inc.c"

int main(int argc, char **argv)
{
    const char *names[] = {"baseline", "avx2", "avx512", "neon"};
    long networks = argc > 1 ? atol(argv[1]) : 150;
    raise_fences();
    for (long i = 0; i < networks; i++) {
        pn_case c;
        draw(&c, i);
        for (size_t isa = 0; isa < 4; isa++)
            if (pn_set_isa(names[isa]) == PN_OK) {
                int fuses = isa > 0;
                snprintf(under_way, sizeof under_way, "%ld: %s f32, %s", i, names[isa], c.description);
                check_f32(&c, fuses);
                snprintf(under_way, sizeof under_way, "%ld: %s f64, %s", i, names[isa], c.description);
                check_f64(&c, fuses);
            }
    }
    printf("%ld networks: the bits agree\n", networks);
    return 0;
}
