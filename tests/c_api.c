/*
 * The C interface seen from C: every bad argument gives its status and writes nothing (outputs are poisoned with NaN).
 * Prints each check that fails; exits 0 if none does. This file includes itself, once for each dtype.
 */
#ifndef REAL
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plainnet.h"

static int n_checks, n_failed;

#define CHECK(condition)                                                             \
    do {                                                                             \
        n_checks++;                                                                  \
        if (!(condition)) {                                                          \
            n_failed++;                                                              \
            printf("line %d: %s\n", __LINE__, #condition);                           \
        }                                                                            \
    } while (0)

/*
 * bytes = the smallest workspace that a call takes with the instruction set in use. What the library asks for serves
 * every one of them, so it is the largest of these: kept in `most` from one instruction set to the next.
 */
#define FIND_NEED(bytes, asked, most, call)                                          \
    do {                                                                             \
        size_t refused = 0, taken = (asked) + 1;                                     \
        while (refused + 1 < taken) {                                                \
            bytes = (refused + taken) / 2;                                           \
            if ((call) == PN_WORKSPACE_TOO_SMALL)                                    \
                refused = bytes;                                                     \
            else                                                                     \
                taken = bytes;                                                       \
            FN(reset)();                                                             \
        }                                                                            \
        bytes = taken;                                                               \
        CHECK(bytes <= (asked));                                                     \
        most = bytes > most ? bytes : most;                                          \
    } while (0)

/* What was asked for, and the most that an instruction set has needed, by dtype and call. */
static size_t asked_for[2][8], most_needed[2][8];

#define REAL double
#define FN(name) name##_f64
#define TYPE_NAME "f64"
#include "c_api.c"
#undef REAL
#undef FN
#undef TYPE_NAME
#define REAL float
#define FN(name) name##_f32
#define TYPE_NAME "f32"
#include "c_api.c"

static void check_process_wide(void)
{
    const char *before = pn_isa();
    const char *names[] = {"baseline", "avx2", "avx512", "neon"};
    int available = 0;
    CHECK(before != NULL);
    CHECK(pn_set_isa(NULL) == PN_NULL_POINTER);
    CHECK(pn_set_isa("") == PN_UNKNOWN_ISA);
    CHECK(pn_set_isa("mmx") == PN_UNKNOWN_ISA);
    CHECK(!pn_isa_is_available(NULL) && !pn_isa_is_available("mmx"));
    CHECK(strcmp(pn_isa(), before) == 0);
    for (int i = 0; i < 4; i++) {
        int here = pn_isa_is_available(names[i]);
        CHECK(pn_set_isa(names[i]) == (here ? PN_OK : PN_UNKNOWN_ISA));
        CHECK(!here || strcmp(pn_isa(), names[i]) == 0);
        available += here;
    }
    CHECK(available >= 1);
    CHECK(pn_set_isa(before) == PN_OK);

    size_t threads = pn_num_threads();
    CHECK(pn_set_num_threads(PN_MAX_THREADS) == PN_OK && pn_num_threads() == PN_MAX_THREADS);
    CHECK(pn_set_num_threads(1) == PN_OK && pn_num_threads() == 1);
    CHECK(pn_set_num_threads(0) == PN_BAD_THREADS && pn_set_num_threads(PN_MAX_THREADS + 1) == PN_BAD_THREADS);
    CHECK(pn_num_threads() == 1 && pn_set_num_threads(threads) == PN_OK);

    for (int status = -3; status < 200; status++) {
        const char *message = pn_status_message((pn_status)status);
        CHECK(message != NULL && *message != '\0');
        for (int other = PN_OK; other < status && status <= PN_BAD_SAMPLE_WEIGHT; other++)
            CHECK(strcmp(message, pn_status_message((pn_status)other)) != 0);
    }

    /* Sizes and descriptions: the same for both dtypes. */
    pn_layer layers[] = {{3, 5, PN_TANH, 1, NULL}, {5, 2, PN_SIGMOID, 0, NULL}};
    pn_network network = {.n_layers = 2, .layers = layers, .loss = PN_LOG_LOSS};
    size_t n = 77;
    CHECK(pn_n_parameters(&network, &n) == PN_OK && n == 3 * 5 + 5 + 5 * 2);
    n = 77;
    CHECK(pn_n_parameters(NULL, &n) == PN_NULL_POINTER && n == 77);
    CHECK(pn_n_parameters(&network, NULL) == PN_NULL_POINTER);
    size_t order[9] = {77};
    unsigned seen = 0;
    CHECK(pn_order(1, 2, 3, NULL) == PN_NULL_POINTER);
    CHECK(pn_order(1, 2, 3, (size_t *)(void *)((char *)order + 1)) == PN_MISALIGNED);
    CHECK(pn_order(1, 2, (size_t)-1, order) == PN_SIZE_OVERFLOW && order[0] == 77);
    CHECK(pn_order(1, 2, 9, order) == PN_OK);
    for (int i = 0; i < 9; i++)
        seen |= 1u << order[i];
    CHECK(seen == (1u << 9) - 1);
}

int main(void)
{
    const char *names[] = {"baseline", "avx2", "avx512", "neon"};
    check_process_wide();
    for (int i = 0; i < 4; i++)
        if (pn_set_isa(names[i]) == PN_OK) {
            check_bad_networks_f64();
            check_bad_networks_f32();
            check_optimizers_f64();
            check_optimizers_f32();
            check_runs_f64();
            check_runs_f32();
            check_batches_f64();
            check_batches_f32();
            check_classes_f64();
            check_classes_f32();
            check_weights_f64();
            check_weights_f32();
            check_kernels_f64();
            check_kernels_f32();
            check_input_derivatives_f64();
            check_input_derivatives_f32();
        }
    for (int i = 0; i < 16; i++)
        CHECK(asked_for[i / 8][i % 8] == most_needed[i / 8][i % 8]);
    printf("%d checks, %d failed\n", n_checks, n_failed);
    return n_failed != 0;
}

#else

enum { FN(ROWS) = 7, FN(IN) = 3, FN(OUT) = 2, FN(PARAMETERS) = 3 * 5 + 5 + 5 * 2 + 2, FN(ROOM) = 1 << 19 };

/* Everything that calls read and write; fresh for each check. */
typedef struct FN(world) {
    REAL parameters[FN(PARAMETERS)], x[7 * 3], y[7 * 2], out[7 * 2], gradient[FN(PARAMETERS)];
    REAL grad_x[7 * 3], jacobian[7 * 2 * 3];
    REAL of_parameters[7 * 2 * FN(PARAMETERS)], hessian[FN(PARAMETERS) * FN(PARAMETERS)];
    double loss, losses[4];
    pn_progress progress;
    char workspace[FN(ROOM)];
} FN(world);

static FN(world) FN(w), FN(before);

static void FN(reset)(void)
{
    memset(&FN(w), 0, sizeof FN(w));
    for (int i = 0; i < FN(PARAMETERS); i++) {
        FN(w).parameters[i] = (REAL)((i * 7 % 11) - 5) / 8;
        FN(w).gradient[i] = (REAL)NAN;
    }
    for (int i = 0; i < 7 * 3; i++)
        FN(w).x[i] = (REAL)((i * 5 % 13) - 6) / 4;
    for (int i = 0; i < 7 * 2; i++) {
        FN(w).y[i] = (REAL)(i % 5) / 4;
        FN(w).out[i] = (REAL)NAN;
    }
    for (int i = 0; i < 7 * 3; i++)
        FN(w).grad_x[i] = FN(w).jacobian[i] = FN(w).jacobian[7 * 3 + i] = (REAL)NAN;
    for (int i = 0; i < 7 * 2 * FN(PARAMETERS); i++)
        FN(w).of_parameters[i] = (REAL)NAN;
    for (int i = 0; i < FN(PARAMETERS) * FN(PARAMETERS); i++)
        FN(w).hessian[i] = (REAL)NAN;
    FN(w).loss = NAN;
    for (int i = 0; i < 4; i++)
        FN(w).losses[i] = NAN;
    memset(FN(w).workspace, 0x7f, sizeof FN(w).workspace);
    memcpy(&FN(before), &FN(w), sizeof FN(w));
}

static int FN(unchanged)(void)
{
    return memcmp(&FN(before), &FN(w), sizeof FN(w)) == 0;
}

/* The call gives `expected` and writes nothing. Statements before it may change the arguments. */
#define REFUSES(expected, call)                                                      \
    do {                                                                             \
        memcpy(&FN(before), &FN(w), sizeof FN(w));                                   \
        pn_status got_ = (call);                                                     \
        CHECK(got_ == (expected));                                                   \
        if (got_ != (expected))                                                      \
            printf("  " TYPE_NAME ": got %d, %s\n", (int)got_, pn_status_message(got_)); \
        CHECK(FN(unchanged)());                                                      \
        FN(reset)();                                                                 \
    } while (0)

static pn_layer FN(layers)[2];
static pn_network FN(network);
static pn_training FN(training);

static void FN(describe)(void)
{
    FN(layers)[0] = (pn_layer){3, 5, PN_TANH, 1, NULL};
    FN(layers)[1] = (pn_layer){5, 2, PN_SIGMOID, 1, NULL};
    FN(network) = (pn_network){.n_layers = 2, .layers = FN(layers), .loss = PN_LOG_LOSS};
    FN(training) = (pn_training){.epochs = 4, .batch_size = 2, .learning_rate = 0.25, .shuffle = 1};
    FN(reset)();
}

#define FORWARD(n_rows, network, parameters, x, out) \
    FN(pn_forward)(n_rows, network, parameters, x, out, FN(w).workspace, sizeof FN(w).workspace)
#define GRADIENT(n_rows, network, parameters, x, y, loss, gradient) \
    FN(pn_loss_and_gradient)(n_rows, network, parameters, x, y, NULL, loss, gradient, FN(w).workspace, sizeof FN(w).workspace)
#define LOSS(n_rows, network, parameters, x, y, weight, loss, out) \
    FN(pn_loss)(n_rows, network, parameters, x, y, weight, loss, out, FN(w).workspace, sizeof FN(w).workspace)
#define INPUT_GRADIENT(n_rows, network, parameters, x, y, grad_x) \
    FN(pn_input_gradient)(n_rows, network, parameters, x, y, grad_x, FN(w).workspace, sizeof FN(w).workspace)
#define JACOBIAN(n_rows, network, parameters, x, jacobian) \
    FN(pn_jacobian)(n_rows, network, parameters, x, jacobian, FN(w).workspace, sizeof FN(w).workspace)
#define OF_PARAMETERS(n_rows, network, parameters, x, jacobian) \
    FN(pn_jacobian_parameters)(n_rows, network, parameters, x, jacobian, FN(w).workspace, sizeof FN(w).workspace)
#define GAUSS_NEWTON(n_rows, network, parameters, x, y, weight, loss, gradient, hessian) \
    FN(pn_gauss_newton)(n_rows, network, parameters, x, y, weight, loss, gradient, hessian, FN(w).workspace, \
                        sizeof FN(w).workspace)
#define TRAIN(n_rows, network, training, parameters, x, y, losses, progress) \
    FN(pn_train)(n_rows, network, training, parameters, NULL, x, y, NULL, 0, losses, progress, FN(w).workspace, \
                 sizeof FN(w).workspace)
#define STEP(n_rows, network, rate, parameters, x, y, loss) \
    FN(pn_train_on_batch)(n_rows, network, &(pn_training){.learning_rate = rate}, parameters, NULL, x, y, NULL, loss, \
                          FN(w).workspace, sizeof FN(w).workspace)

/* All functions that take a network return the same status for a bad one. */
static void FN(refused_by_all)(pn_status expected, size_t n_rows)
{
    FN(world) *w = &FN(w);
    const pn_network *network = &FN(network);
    size_t n_bytes = 77;
    REFUSES(expected, FORWARD(n_rows, network, w->parameters, w->x, w->out));
    REFUSES(expected, GRADIENT(n_rows, network, w->parameters, w->x, w->y, &w->loss, w->gradient));
    REFUSES(expected, TRAIN(n_rows, network, &FN(training), w->parameters, w->x, w->y, w->losses, &w->progress));
    REFUSES(expected, STEP(n_rows, network, 0.1, w->parameters, w->x, w->y, &w->loss));
    REFUSES(expected, INPUT_GRADIENT(n_rows, network, w->parameters, w->x, w->y, w->grad_x));
    REFUSES(expected, JACOBIAN(n_rows, network, w->parameters, w->x, w->jacobian));
    REFUSES(expected, OF_PARAMETERS(n_rows, network, w->parameters, w->x, w->of_parameters));
    REFUSES(expected, GAUSS_NEWTON(n_rows, network, w->parameters, w->x, w->y, NULL, &w->loss, w->gradient, w->hessian));
    CHECK(FN(pn_jacobian_parameters_workspace)(n_rows, network, &n_bytes) == expected);
    CHECK(FN(pn_gauss_newton_workspace)(n_rows, network, &n_bytes) == expected);
    CHECK(FN(pn_forward_workspace)(n_rows, network, &n_bytes) == expected);
    CHECK(FN(pn_jacobian_workspace)(n_rows, network, &n_bytes) == expected);
    CHECK(FN(pn_gradient_workspace)(n_rows, network, &n_bytes) == expected);
    CHECK(FN(pn_train_workspace)(n_rows, network, &FN(training), &n_bytes) == expected);
    CHECK(n_bytes == 77);
    FN(describe)();
}

static void FN(check_bad_networks)(void)
{
    pn_layer *layers = FN(layers);
    pn_network *network = &FN(network);
    FN(describe)();
    network->n_layers = 0;
    FN(refused_by_all)(PN_NO_LAYERS, 7);
    network->layers = NULL;
    FN(refused_by_all)(PN_NULL_POINTER, 7);
    layers[0].n_in = 0;
    FN(refused_by_all)(PN_NO_NEURONS, 7);
    layers[1].n_out = 0;
    FN(refused_by_all)(PN_NO_NEURONS, 7);
    layers[1].n_in = 4;
    FN(refused_by_all)(PN_SIZES_DO_NOT_CHAIN, 7);
    layers[0].activation = PN_N_ACTIVATIONS;
    FN(refused_by_all)(PN_UNKNOWN_ACTIVATION, 7);
    layers[0].activation = (pn_activation)-1;
    FN(refused_by_all)(PN_UNKNOWN_ACTIVATION, 7);
    network->loss = PN_N_LOSSES;
    FN(refused_by_all)(PN_UNKNOWN_LOSS, 7);
    network->loss = (pn_loss)-1;
    FN(refused_by_all)(PN_UNKNOWN_LOSS, 7);
    layers[1].activation = PN_TANH;
    FN(refused_by_all)(PN_LOG_LOSS_NEEDS_SIGMOID, 7);
    const double huber[] = {0, -1, NAN, INFINITY, sizeof(REAL) == 4 ? 1e-60 : -5e-324, sizeof(REAL) == 4 ? 1e60 : INFINITY};
    for (int i = 0; i < 6; i++) {
        network->loss = PN_HUBER;
        network->loss_parameter = huber[i];
        FN(refused_by_all)(PN_BAD_LOSS_PARAMETER, 7);
    }
    const double limits[] = {-1, NAN, INFINITY, sizeof(REAL) == 4 ? 1e60 : -INFINITY};
    for (int i = 0; i < 4; i++) {
        network->loss_parameter = 1;
        network->loss_limit = limits[i];
        FN(refused_by_all)(PN_BAD_LOSS_PARAMETER, 7);
    }
    network->loss_limit = 0;
    const double quantile[] = {0, 1, -0.5, NAN, sizeof(REAL) == 4 ? 1 - 1e-12 : 2, INFINITY};
    for (int i = 0; i < 6; i++) {
        network->loss = PN_QUANTILE;
        network->loss_parameter = quantile[i];
        FN(refused_by_all)(PN_BAD_LOSS_PARAMETER, 7);
    }
    const double smoothing[] = {1, -0.5, NAN, sizeof(REAL) == 4 ? 1 - 1e-12 : 2};
    for (int i = 0; i < 4; i++) {
        layers[1].activation = PN_SOFTMAX;
        network->loss = PN_CROSS_ENTROPY;
        network->loss_parameter = smoothing[i];
        FN(refused_by_all)(PN_BAD_LOSS_PARAMETER, 7);
    }
    layers[0].activation = layers[1].activation = PN_SOFTMAX;
    network->loss = PN_CROSS_ENTROPY;
    FN(refused_by_all)(PN_SOFTMAX_NOT_LAST, 7);
    layers[1].activation = PN_SOFTMAX;
    network->loss = PN_MEAN_SQUARED_ERROR;
    FN(refused_by_all)(PN_SOFTMAX_NEEDS_CROSS_ENTROPY, 7);
    network->loss = PN_CROSS_ENTROPY;
    FN(refused_by_all)(PN_CROSS_ENTROPY_NEEDS_SOFTMAX, 7);
    network->loss = PN_CROSS_ENTROPY_LABELS;
    FN(refused_by_all)(PN_CROSS_ENTROPY_NEEDS_SOFTMAX, 7);
    layers[1].activation = PN_SOFTMAX; /* more classes than numbers that are exact in single precision */
    layers[1].n_out = ((size_t)1 << 24) + 1;
    network->loss = PN_CROSS_ENTROPY_LABELS;
    FN(refused_by_all)(PN_SIZE_OVERFLOW, 7);
    FN(refused_by_all)(PN_NO_ROWS, 0);
    FN(refused_by_all)(PN_SIZE_OVERFLOW, SIZE_MAX);
    FN(refused_by_all)(PN_SIZE_OVERFLOW, SIZE_MAX / 2);
    FN(refused_by_all)(PN_SIZE_OVERFLOW, SIZE_MAX / sizeof(REAL) / 3 + 2); /* n_rows * n_in * size wraps to a few bytes */
    layers[0].n_in = SIZE_MAX / 2 + 1;                                    /* n_in * n_out wraps to 2**63 or so */
    FN(refused_by_all)(PN_SIZE_OVERFLOW, 7);
    layers[0].n_out = layers[1].n_in = (size_t)1 << (sizeof(size_t) * 4);
    layers[0].n_in = (size_t)1 << (sizeof(size_t) * 4); /* the product wraps to 0 */
    FN(refused_by_all)(PN_SIZE_OVERFLOW, 7);

    if (sizeof(size_t) > 4) { /* each size alone is small enough, and so are the arrays of all layers but one */
        const size_t many = (size_t)(UINT64_C(1) << 49), wide = 4096;
        const size_t widths[][3] = {{wide, 1, 1}, {1, wide, 1}, {1, 1, wide}};
        for (int i = 0; i < 3; i++) {
            layers[0].n_in = widths[i][0];
            layers[0].n_out = layers[1].n_in = widths[i][1];
            layers[1].n_out = widths[i][2];
            FN(refused_by_all)(PN_SIZE_OVERFLOW, many);
        }
        layers[0].n_in = layers[0].n_out = layers[1].n_in = layers[1].n_out = 1;
        CHECK(FN(pn_forward_workspace)(many, network, &(size_t){0}) == PN_OK);
        FN(describe)();
        layers[0].n_in = layers[0].n_out = layers[1].n_in = (size_t)1 << 29; /* the parameters alone */
        FN(refused_by_all)(PN_SIZE_OVERFLOW, 7);
        FN(training).batch_size = 7; /* the rows of a batch are few, those of the data are not */
        layers[0].n_in = wide;
        CHECK(FN(pn_train_workspace)(many, network, &FN(training), &(size_t){0}) == PN_SIZE_OVERFLOW);
        FN(describe)();
    }

    FN(world) *w = &FN(w);
    REFUSES(PN_NULL_POINTER, FORWARD(7, NULL, w->parameters, w->x, w->out));
    REFUSES(PN_NULL_POINTER, GRADIENT(7, NULL, w->parameters, w->x, w->y, &w->loss, w->gradient));
    REFUSES(PN_NULL_POINTER, TRAIN(7, NULL, &FN(training), w->parameters, w->x, w->y, w->losses, &w->progress));
    REFUSES(PN_NULL_POINTER, STEP(7, NULL, 0.1, w->parameters, w->x, w->y, &w->loss));
    REFUSES(PN_NULL_POINTER, INPUT_GRADIENT(7, NULL, w->parameters, w->x, w->y, w->grad_x));
    REFUSES(PN_NULL_POINTER, JACOBIAN(7, NULL, w->parameters, w->x, w->jacobian));
    REFUSES(PN_NULL_POINTER, OF_PARAMETERS(7, NULL, w->parameters, w->x, w->of_parameters));
    REFUSES(PN_NULL_POINTER, GAUSS_NEWTON(7, NULL, w->parameters, w->x, w->y, NULL, &w->loss, w->gradient, w->hessian));
    CHECK(FN(pn_jacobian_parameters_workspace)(7, network, NULL) == PN_NULL_POINTER);
    CHECK(FN(pn_gauss_newton_workspace)(7, network, NULL) == PN_NULL_POINTER);
    CHECK(FN(pn_jacobian_workspace)(7, network, NULL) == PN_NULL_POINTER);
    CHECK(FN(pn_forward_workspace)(7, network, NULL) == PN_NULL_POINTER);
    CHECK(FN(pn_gradient_workspace)(7, network, NULL) == PN_NULL_POINTER);
    CHECK(FN(pn_train_workspace)(7, network, &FN(training), NULL) == PN_NULL_POINTER);
    CHECK(FN(pn_train_workspace)(7, network, NULL, &(size_t){0}) == PN_NULL_POINTER);
}

/* The classes 1, 0, 1, ... of all rows, as probabilities or as labels, which leave half of y unused. */
static void FN(set_classes)(int labels)
{
    FN(world) *w = &FN(w);
    for (int i = 0; i < 7 * 2; i++)
        w->y[i] = labels ? (REAL)NAN : (REAL)((i + i / 2 + 1) % 2 == 0);
    for (int i = 0; labels && i < 7; i++)
        w->y[i] = (REAL)((i + 1) % 2);
}

/* What cross entropy refuses as probabilities and as labels. */
static void FN(check_classes)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    const REAL bad_rows[][2] = {{(REAL)0.5, (REAL)0.4}, {(REAL)1.5, (REAL)-0.5}, {1, (REAL)0.01}, {0, 0}};
    const REAL bad_labels[] = {2, -1, (REAL)0.5, 100};
    double loss;
    FN(describe)();
    FN(layers)[1].activation = PN_SOFTMAX;
    FN(network).loss = PN_CROSS_ENTROPY;
    for (int i = 0; i < 4; i++) {
        FN(set_classes)(0);
        memcpy(w->y + 6, bad_rows[i], sizeof bad_rows[i]);
        REFUSES(PN_BAD_PROBABILITY, GRADIENT(7, n, w->parameters, w->x, w->y, &w->loss, w->gradient));
        FN(set_classes)(0);
        memcpy(w->y + 6, bad_rows[i], sizeof bad_rows[i]);
        REFUSES(PN_BAD_PROBABILITY, STEP(7, n, 0.1, w->parameters, w->x, w->y, &w->loss));
    }
    FN(set_classes)(0);
    CHECK(GRADIENT(7, n, w->parameters, w->x, w->y, &w->loss, w->gradient) == PN_OK);
    loss = w->loss;
    FN(network).loss = PN_CROSS_ENTROPY_LABELS;
    for (int i = 0; i < 4; i++) {
        FN(set_classes)(1);
        w->y[6] = bad_labels[i];
        REFUSES(PN_BAD_LABEL, GRADIENT(7, n, w->parameters, w->x, w->y, &w->loss, w->gradient));
        FN(set_classes)(1);
        w->y[6] = bad_labels[i];
        REFUSES(PN_BAD_LABEL, STEP(7, n, 0.1, w->parameters, w->x, w->y, &w->loss));
    }
    FN(set_classes)(1);
    CHECK(GRADIENT(7, n, w->parameters, w->x, w->y, &w->loss, w->gradient) == PN_OK && w->loss == loss);
    FN(describe)();
}

/* Weights that are refused, and arrays of them. */
static void FN(check_weights)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    const pn_training *t = &FN(training);
    const size_t room = sizeof w->workspace;
    static const REAL bad[][7] = {{0, 0, 0, 0, 0, 0, 0}, {1, 1, 1, -1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, (REAL)NAN},
                                  {(REAL)INFINITY, 1, 1, 1, 1, 1, 1}};
    const REAL good[8] = {1, 0, 2, 0, 1, 1, 1};
    const REAL *odd = (const REAL *)(const void *)((const char *)good + 1), *inside = (REAL *)(void *)(w->workspace + 64);
    FN(describe)();
    for (int i = 0; i < 7; i++) {
        const REAL *weight = i < 4 ? bad[i] : i == 4 ? odd : i == 5 ? inside : w->gradient;
        pn_status expected = i < 4 ? PN_BAD_SAMPLE_WEIGHT : i == 4 ? PN_MISALIGNED : PN_OVERLAP;
        REFUSES(expected, FN(pn_loss_and_gradient)(7, n, w->parameters, w->x, w->y, weight, &w->loss, w->gradient,
                                                   w->workspace, room));
        weight = i == 6 ? w->parameters : weight;
        REFUSES(expected, FN(pn_train)(7, n, t, w->parameters, NULL, w->x, w->y, weight, 0, w->losses, &w->progress,
                                       w->workspace, room));
        REFUSES(expected, FN(pn_train_on_batch)(7, n, t, w->parameters, NULL, w->x, w->y, weight, &w->loss,
                                                w->workspace, room));
    }
    CHECK(FN(pn_train)(7, n, t, w->parameters, NULL, w->x, w->y, good, 0, w->losses, &w->progress, w->workspace,
                       room) == PN_OK);
    CHECK(w->progress.epoch == 4 && w->losses[3] > 0);
    FN(describe)();
}

#define REFUSES_LAYER_OPTION(name, value)                                                        \
    do {                                                                                         \
        FN(describe)();                                                                          \
        options = (pn_layer_options){.weight_rate = 1, .bias_rate = 1};                          \
        options.name = (value);                                                                  \
        FN(layers)[0].options = &options;                                                        \
        REFUSES(PN_BAD_LAYER_OPTION, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress));                          \
        CHECK(FN(pn_train_workspace)(7, n, t, &n_bytes) == PN_BAD_LAYER_OPTION && n_bytes == 77); \
        CHECK(FN(pn_forward_workspace)(7, n, &n_bytes) == PN_BAD_LAYER_OPTION && n_bytes == 77); \
    } while (0)

/* Options of layers: out of range, on the last layer, and a run with all of them */
static void FN(check_layer_options)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    const pn_training *t = &FN(training);
    pn_layer_options options;
    size_t n_bytes = 77;
    const double too_large = sizeof(REAL) == 4 ? 1e60 : INFINITY;
    REFUSES_LAYER_OPTION(l1, -1);
    REFUSES_LAYER_OPTION(l2, NAN);
    REFUSES_LAYER_OPTION(max_norm, -0.5);
    REFUSES_LAYER_OPTION(weight_rate, too_large);
    REFUSES_LAYER_OPTION(bias_rate, -1);
    REFUSES_LAYER_OPTION(dropout, 1);
    REFUSES_LAYER_OPTION(dropout, NAN);
    FN(describe)();
    options = (pn_layer_options){.weight_rate = 1, .bias_rate = 1, .dropout = 0.5};
    FN(layers)[1].options = &options;
    REFUSES(PN_DROPOUT_ON_LAST_LAYER, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress));

    FN(describe)();
    options = (pn_layer_options){.l1 = 1e-3, .l2 = 1e-2, .max_norm = 1, .weight_rate = 0.5, .dropout = 0.5};
    FN(layers)[0].options = &options;
    REAL first_bias = w->parameters[3 * 5], first_weight = w->parameters[0];
    CHECK(TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress) == PN_OK);
    CHECK(w->parameters[3 * 5] == first_bias && w->parameters[0] != first_weight); /* bias_rate is 0 */
    for (size_t j = 0; j < 5; j++) {
        double square = 0;
        for (size_t i = 0; i < 3; i++)
            square += (double)w->parameters[i * 5 + j] * (double)w->parameters[i * 5 + j];
        CHECK(square < 1.000001);
    }
    FN(describe)();
}

/* With an optimizer and its state */
#define TRAIN_WITH(state) \
    FN(pn_train)(7, n, t, w->parameters, state, w->x, w->y, NULL, 0, w->losses, &w->progress, w->workspace, \
                 sizeof w->workspace)
#define STEP_WITH(state) \
    FN(pn_train_on_batch)(7, n, t, w->parameters, state, w->x, w->y, NULL, &w->loss, w->workspace, \
                          sizeof w->workspace)
#define REFUSES_OPTION(start, assignment)                                                        \
    do {                                                                                         \
        *o = (start);                                                                            \
        o->assignment;                                                                           \
        REFUSES(PN_BAD_OPTIMIZER, TRAIN_WITH(w->gradient));                                      \
        REFUSES(PN_BAD_OPTIMIZER, STEP_WITH(w->gradient));                                       \
        CHECK(FN(pn_train_workspace)(7, n, t, &n_bytes) == PN_BAD_OPTIMIZER && n_bytes == 77);   \
    } while (0)

/* Options out of range */
static void FN(check_options)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    pn_training *t = &FN(training);
    pn_optimizer *o = &t->optimizer;
    const pn_optimizer adam = {.kind = PN_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    const pn_optimizer rprop = {.kind = PN_RPROP, .eta_minus = 0.5, .eta_plus = 1.2, .step_min = 1e-6, .step_max = 50};
    const pn_optimizer sgd = {0};
    size_t n_elements = 77, n_bytes = 77;
    FN(describe)();
    const double too_large = sizeof(REAL) == 4 ? 1e60 : INFINITY, too_small = sizeof(REAL) == 4 ? 1e-60 : 0;
    REFUSES_OPTION(sgd, momentum = -0.5);
    REFUSES_OPTION(sgd, momentum = NAN);
    REFUSES_OPTION(sgd, nesterov = 1);
    REFUSES_OPTION(sgd, weight_decay = too_large);
    REFUSES_OPTION(sgd, clip_value = -1);
    REFUSES_OPTION(sgd, clip_norm = INFINITY);
    REFUSES_OPTION(adam, beta1 = 1);
    REFUSES_OPTION(adam, beta2 = -0.1);
    REFUSES_OPTION(adam, eps = too_small);
    REFUSES_OPTION(adam, kind = PN_ADAGRAD; o->learning_rate_decay = -1);
    REFUSES_OPTION(adam, kind = PN_ADAGRAD; o->initial_accumulator_value = NAN);
    REFUSES_OPTION(adam, kind = PN_RMSPROP; o->alpha = 1);
    REFUSES_OPTION(rprop, eta_minus = 1);
    REFUSES_OPTION(rprop, eta_plus = 1);
    REFUSES_OPTION(rprop, step_min = 51);
    REFUSES_OPTION(rprop, step_max = too_large);
    *o = (pn_optimizer){.kind = PN_N_OPTIMIZERS};
    REFUSES(PN_UNKNOWN_OPTIMIZER, TRAIN_WITH(w->gradient));
    REFUSES(PN_UNKNOWN_OPTIMIZER, STEP_WITH(w->gradient));
    CHECK(pn_optimizer_state(n, o, &n_elements) == PN_UNKNOWN_OPTIMIZER && n_elements == 77);
    FN(describe)();
}

/* How much each optimizer keeps */
static void FN(check_state_sizes)(void)
{
    const pn_network *n = &FN(network);
    const pn_optimizer *o = &FN(training).optimizer;
    const pn_optimizer adam = {.kind = PN_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    const pn_optimizer rprop = {.kind = PN_RPROP, .eta_minus = 0.5, .eta_plus = 1.2, .step_min = 1e-6, .step_max = 50};
    size_t n_elements = 77;
    FN(describe)();
    const pn_optimizer kept[] = {{.momentum = 0}, {.momentum = 0.9}, {.kind = PN_RMSPROP}, {.kind = PN_ADAGRAD},
                                 {.kind = PN_RMSPROP, .centered = 1, .momentum = 0.5}, adam, rprop,
                                 {.kind = PN_ADAMW, .amsgrad = 1}};
    const size_t slots[] = {0, 1, 1, 1, 3, 2, 2, 3};
    for (int i = 0; i < 8; i++)
        CHECK(pn_optimizer_state(n, &kept[i], &n_elements) == PN_OK && n_elements == slots[i] * FN(PARAMETERS));
    CHECK(pn_optimizer_state(n, NULL, &n_elements) == PN_NULL_POINTER);
    CHECK(pn_optimizer_state(NULL, o, &n_elements) == PN_NULL_POINTER);
    CHECK(pn_optimizer_state(n, o, NULL) == PN_NULL_POINTER);
}

static void FN(check_state)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    pn_training *t = &FN(training);
    FN(describe)();
    t->optimizer = (pn_optimizer){.momentum = 0.5};
    REFUSES(PN_NULL_POINTER, TRAIN_WITH(NULL));
    REFUSES(PN_NULL_POINTER, STEP_WITH(NULL));
    REFUSES(PN_MISALIGNED, TRAIN_WITH((REAL *)(void *)((char *)w->gradient + 1)));
    REFUSES(PN_OVERLAP, TRAIN_WITH(w->parameters));
    REFUSES(PN_OVERLAP, TRAIN_WITH(w->x));
    REFUSES(PN_OVERLAP, TRAIN_WITH((REAL *)(void *)w->workspace));
    CHECK(isnan(w->gradient[0]) && STEP_WITH(w->gradient) == PN_DIVERGED); /* it must be finite, as parameters must */
    CHECK(memcmp(w->parameters, FN(before).parameters, sizeof w->parameters) == 0);
    FN(reset)();
    memset(w->gradient, 0, sizeof w->gradient);
    CHECK(STEP_WITH(w->gradient) == PN_OK && w->gradient[0] != 0);
    FN(describe)();
}

/* Learning rates of the steps: those that a call needs are checked before it makes a step. */
static void FN(check_rates)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    pn_training *t = &FN(training);
    FN(describe)();
    const double rates[] = {0.5, 0.25, 0.125, 0};
    t->learning_rates = rates;
    t->learning_rate = 0; /* ignored */
    REFUSES(PN_BAD_LEARNING_RATE, TRAIN_WITH(NULL));
    CHECK(FN(pn_train)(7, n, t, w->parameters, NULL, w->x, w->y, NULL, 3, w->losses, &w->progress, w->workspace,
                       sizeof w->workspace) == PN_OK);
    CHECK(w->progress.steps == 3);
    CHECK(FN(pn_train)(7, n, t, w->parameters, NULL, w->x, w->y, NULL, 1, w->losses, &w->progress, w->workspace,
                       sizeof w->workspace) == PN_BAD_LEARNING_RATE);
    CHECK(w->progress.steps == 3);
    FN(reset)();
    CHECK(STEP_WITH(NULL) == PN_OK);
    t->learning_rates = rates + 3;
    FN(reset)();
    REFUSES(PN_BAD_LEARNING_RATE, STEP_WITH(NULL));
    FN(describe)();
}

/* An order of the rows that the caller gives: the bits of rows that lie in it, in every epoch; and what is refused. */
static void FN(check_order)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    pn_training *t = &FN(training);
    size_t order[] = {6, 2, 0, 5, 1, 4, 3};
    REAL x[7 * 3], y[7 * 2], parameters[FN(PARAMETERS)];
    double losses[4];
    FN(describe)();
    t->batch_size = 3;
    t->shuffle = 0;
    for (size_t i = 0; i < 7; i++) {
        memcpy(x + i * 3, w->x + order[i] * 3, 3 * sizeof(REAL));
        memcpy(y + i * 2, w->y + order[i] * 2, 2 * sizeof(REAL));
    }
    CHECK(TRAIN(7, n, t, w->parameters, x, y, w->losses, &w->progress) == PN_OK);
    memcpy(parameters, w->parameters, sizeof parameters);
    memcpy(losses, w->losses, sizeof losses);
    FN(reset)();
    t->order = order;
    for (t->shuffle = 0; t->shuffle < 2; t->shuffle++) {
        FN(reset)();
        CHECK(TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress) == PN_OK);
        CHECK(memcmp(parameters, w->parameters, sizeof parameters) == 0);
        CHECK(memcmp(losses, w->losses, t->epochs * sizeof *losses) == 0);
    }
    FN(reset)();
    order[4] = 7;
    REFUSES(PN_BAD_ORDER, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress));
    order[4] = SIZE_MAX;
    REFUSES(PN_BAD_ORDER, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress));
    t->order = (const size_t *)(const void *)((const char *)order + 1);
    REFUSES(PN_MISALIGNED, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress));
    FN(describe)();
}

static void FN(check_optimizers)(void)
{
    FN(check_layer_options)();
    FN(check_options)();
    FN(check_state_sizes)();
    FN(check_state)();
    FN(check_rates)();
    FN(check_order)();
}

#undef TRAIN_WITH
#undef STEP_WITH
#undef REFUSES_OPTION

static void FN(check_runs)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    pn_training *t = &FN(training);
    FN(describe)();
#define ODD(pointer) ((void *)((char *)(pointer) + 1))

    /* Forward */
    REFUSES(PN_NULL_POINTER, FORWARD(7, n, NULL, w->x, w->out));
    REFUSES(PN_NULL_POINTER, FORWARD(7, n, w->parameters, NULL, w->out));
    REFUSES(PN_NULL_POINTER, FORWARD(7, n, w->parameters, w->x, NULL));
    REFUSES(PN_MISALIGNED, FORWARD(7, n, ODD(w->parameters), w->x, w->out));
    REFUSES(PN_MISALIGNED, FORWARD(6, n, w->parameters, ODD(w->x), w->out));
    REFUSES(PN_MISALIGNED, FORWARD(6, n, w->parameters, w->x, ODD(w->out)));
    REFUSES(PN_OVERLAP, FORWARD(7, n, w->parameters, w->x, w->x));
    REFUSES(PN_OVERLAP, FORWARD(3, n, w->parameters, w->x, w->x + 8));
    REFUSES(PN_OVERLAP, FORWARD(7, n, w->parameters, w->x, w->parameters + FN(PARAMETERS) - 1));
    CHECK(FORWARD(7, n, w->parameters, w->x, w->out) == PN_OK);
    for (int i = 0; i < 7 * 2; i++)
        CHECK(w->out[i] > 0 && w->out[i] < 1);
    FN(reset)();

    /* Forward with more activations than fit on the stack */
    {
        enum { MANY = 60, HIDDEN = 40 };
        static REAL x[MANY * 3], out[MANY * 2], parameters[3 * HIDDEN + HIDDEN + HIDDEN * 2 + 2];
        const pn_layer layers[] = {{3, HIDDEN, PN_TANH, 1, NULL}, {HIDDEN, 2, PN_SIGMOID, 1, NULL}};
        const pn_network wider = {.n_layers = 2, .layers = layers, .loss = PN_LOG_LOSS};
        size_t n_bytes = 0;
        CHECK(FN(pn_forward_workspace)(MANY, &wider, &n_bytes) == PN_OK && n_bytes > 0 && n_bytes < sizeof w->workspace);
        size_t *needed = most_needed[sizeof(REAL) / 8], smallest;
        asked_for[sizeof(REAL) / 8][0] = n_bytes;
        FIND_NEED(smallest, n_bytes, needed[0],
                  FN(pn_forward)(MANY, &wider, parameters, x, out, w->workspace, smallest));
        out[0] = (REAL)NAN;
        REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_forward)(MANY, &wider, parameters, x, out, w->workspace, smallest - 1));
        REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_forward)(MANY, &wider, parameters, x, out, NULL, 0));
        REFUSES(PN_NULL_POINTER, FN(pn_forward)(MANY, &wider, parameters, x, out, NULL, n_bytes));
        REFUSES(PN_OVERLAP, FN(pn_forward)(MANY, &wider, parameters, x, (REAL *)(void *)w->workspace, w->workspace,
                                           sizeof w->workspace));
        REFUSES(PN_OVERLAP, FN(pn_forward)(MANY, &wider, parameters, (REAL *)(void *)w->workspace, out, w->workspace,
                                           sizeof w->workspace));
        CHECK(isnan(out[0]));
        CHECK(FN(pn_forward)(MANY, &wider, parameters, x, out, ODD(w->workspace), n_bytes) == PN_OK); /* any alignment */
        CHECK(out[0] > 0 && out[MANY * 2 - 1] == out[1]);
        FN(reset)();
    }

    /* Loss and gradient */
    REFUSES(PN_NULL_POINTER, GRADIENT(7, n, NULL, w->x, w->y, &w->loss, w->gradient));
    REFUSES(PN_NULL_POINTER, GRADIENT(7, n, w->parameters, NULL, w->y, &w->loss, w->gradient));
    REFUSES(PN_NULL_POINTER, GRADIENT(7, n, w->parameters, w->x, NULL, &w->loss, w->gradient));
    REFUSES(PN_NULL_POINTER, GRADIENT(7, n, w->parameters, w->x, w->y, NULL, w->gradient));
    REFUSES(PN_NULL_POINTER, GRADIENT(7, n, w->parameters, w->x, w->y, &w->loss, NULL));
    REFUSES(PN_MISALIGNED, GRADIENT(6, n, w->parameters, ODD(w->x), w->y, &w->loss, w->gradient));
    REFUSES(PN_MISALIGNED, GRADIENT(6, n, w->parameters, w->x, ODD(w->y), &w->loss, w->gradient));
    REFUSES(PN_MISALIGNED, GRADIENT(6, n, w->parameters, w->x, w->y, &w->loss, ODD(w->gradient)));
    REFUSES(PN_MISALIGNED, GRADIENT(6, n, w->parameters, w->x, w->y, ODD(w->losses), w->gradient));
    REFUSES(PN_OVERLAP, GRADIENT(7, n, w->parameters, w->x, w->y, &w->loss, w->parameters));
    REFUSES(PN_OVERLAP, GRADIENT(7, n, w->parameters, w->x, w->x, &w->loss, w->x));
    REFUSES(PN_OVERLAP, GRADIENT(7, n, w->parameters, w->x, w->y, (double *)(void *)(w->workspace + 64), w->gradient));
    REFUSES(PN_OVERLAP, GRADIENT(7, n, (REAL *)(void *)w->workspace, w->x, w->y, &w->loss, w->gradient));
    REFUSES(PN_MISALIGNED, GRADIENT(6, n, ODD(w->parameters), w->x, w->y, &w->loss, w->gradient));
    {
        REAL *inside = (REAL *)(void *)(w->workspace + 64);
#define DOUBLE_IN(array) ((double *)(void *)((char *)(array) + (-(uintptr_t)(array) & (sizeof(double) - 1))))
        REFUSES(PN_OVERLAP, GRADIENT(7, n, w->parameters, inside, w->y, &w->loss, w->gradient));
        REFUSES(PN_OVERLAP, GRADIENT(7, n, w->parameters, w->x, inside, &w->loss, w->gradient));
        REFUSES(PN_OVERLAP, GRADIENT(7, n, w->parameters, w->x, w->y, &w->loss, inside));
        REFUSES(PN_OVERLAP, GRADIENT(7, n, w->parameters, w->x, w->y, DOUBLE_IN(w->gradient), w->gradient));
        REFUSES(PN_OVERLAP, TRAIN(7, n, t, w->parameters, inside, w->y, w->losses, &w->progress));
        REFUSES(PN_OVERLAP, TRAIN(7, n, t, w->parameters, w->x, inside, w->losses, &w->progress));
        REFUSES(PN_OVERLAP, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, (pn_progress *)(void *)inside));
        REFUSES(PN_OVERLAP, TRAIN(7, n, t, w->parameters, w->x, w->y, DOUBLE_IN(w->x), &w->progress));
        REFUSES(PN_OVERLAP, TRAIN(7, n, t, w->parameters, w->x, w->y, DOUBLE_IN(w->parameters), &w->progress));
        REFUSES(PN_MISALIGNED, TRAIN(6, n, t, w->parameters, ODD(w->x), w->y, w->losses, &w->progress));
        REFUSES(PN_MISALIGNED, TRAIN(6, n, t, w->parameters, w->x, ODD(w->y), w->losses, &w->progress));
#undef DOUBLE_IN
    }
    w->x[20] = (REAL)NAN;
    REFUSES(PN_DATA_NOT_FINITE, GRADIENT(7, n, w->parameters, w->x, w->y, &w->loss, w->gradient));
    w->y[13] = (REAL)INFINITY;
    REFUSES(PN_DATA_NOT_FINITE, GRADIENT(7, n, w->parameters, w->x, w->y, &w->loss, w->gradient));
    w->y[13] = (REAL)1.25;
    REFUSES(PN_TARGET_OUT_OF_RANGE, GRADIENT(7, n, w->parameters, w->x, w->y, &w->loss, w->gradient));
    w->y[0] = (REAL)-0.25;
    REFUSES(PN_TARGET_OUT_OF_RANGE, GRADIENT(7, n, w->parameters, w->x, w->y, &w->loss, w->gradient));
    FN(network).loss = PN_POISSON;
    w->y[13] = -1;
    REFUSES(PN_NEGATIVE_TARGET, GRADIENT(7, n, w->parameters, w->x, w->y, &w->loss, w->gradient));
    FN(describe)();
    REFUSES(PN_WORKSPACE_TOO_SMALL,
            FN(pn_loss_and_gradient)(7, n, w->parameters, w->x, w->y, NULL, &w->loss, w->gradient, w->workspace, 8));
    REFUSES(PN_WORKSPACE_TOO_SMALL,
            FN(pn_loss_and_gradient)(7, n, w->parameters, w->x, w->y, NULL, &w->loss, w->gradient, NULL, 0));
    REFUSES(PN_NULL_POINTER,
            FN(pn_loss_and_gradient)(7, n, w->parameters, w->x, w->y, NULL, &w->loss, w->gradient, NULL, 1 << 16));
    CHECK(GRADIENT(7, n, w->parameters, w->x, w->y, &w->loss, w->gradient) == PN_OK);
    CHECK(w->loss > 0 && isfinite(w->loss));
    for (int i = 0; i < FN(PARAMETERS); i++)
        CHECK(isfinite(w->gradient[i]));
    FN(reset)();

    /* Training */
    REFUSES(PN_NULL_POINTER, TRAIN(7, n, NULL, w->parameters, w->x, w->y, w->losses, &w->progress));
    REFUSES(PN_NULL_POINTER, TRAIN(7, n, t, NULL, w->x, w->y, w->losses, &w->progress));
    REFUSES(PN_NULL_POINTER, TRAIN(7, n, t, w->parameters, NULL, w->y, w->losses, &w->progress));
    REFUSES(PN_NULL_POINTER, TRAIN(7, n, t, w->parameters, w->x, NULL, w->losses, &w->progress));
    REFUSES(PN_NULL_POINTER, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, NULL));
    REFUSES(PN_MISALIGNED, TRAIN(6, n, t, ODD(w->parameters), w->x, w->y, w->losses, &w->progress));
    REFUSES(PN_MISALIGNED, TRAIN(6, n, t, w->parameters, w->x, w->y, ODD(w->losses), &w->progress));
    REFUSES(PN_MISALIGNED, TRAIN(6, n, t, w->parameters, w->x, w->y, w->losses, ODD(&w->progress)));
    REFUSES(PN_OVERLAP, TRAIN(7, n, t, w->x, w->x, w->y, w->losses, &w->progress));
    REFUSES(PN_OVERLAP, TRAIN(4, n, t, w->parameters, w->parameters, w->y, w->losses, &w->progress));
    REFUSES(PN_OVERLAP, TRAIN(4, n, t, w->parameters, w->x, w->parameters, w->losses, &w->progress));
    REFUSES(PN_OVERLAP, TRAIN(7, n, t, w->parameters, w->x, w->y, (double *)(void *)&w->progress, &w->progress));
    REFUSES(PN_OVERLAP, TRAIN(7, n, t, w->parameters, w->x, w->y, (double *)(void *)w->workspace, &w->progress));
    REFUSES(PN_OVERLAP, TRAIN(7, n, t, (REAL *)(void *)w->workspace, w->x, w->y, w->losses, &w->progress));
    {
        const double bad_rates[] = {0, -0.0, -1, NAN, INFINITY, -INFINITY, sizeof(REAL) == 4 ? 1e-60 : -5e-324,
                                    sizeof(REAL) == 4 ? 1e60 : INFINITY};
        size_t n_bytes = 77;
        for (int i = 0; i < 8; i++) {
            t->learning_rate = bad_rates[i];
            REFUSES(PN_BAD_LEARNING_RATE, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress));
            REFUSES(PN_BAD_LEARNING_RATE, STEP(7, n, bad_rates[i], w->parameters, w->x, w->y, &w->loss));
            CHECK(FN(pn_train_workspace)(7, n, t, &n_bytes) == PN_BAD_LEARNING_RATE && n_bytes == 77);
        }
        FN(describe)();
    }
    w->x[0] = (REAL)INFINITY;
    REFUSES(PN_DATA_NOT_FINITE, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress));
    w->y[13] = 2;
    REFUSES(PN_TARGET_OUT_OF_RANGE, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress));
    w->x[20] = (REAL)NAN;
    REFUSES(PN_DATA_NOT_FINITE, STEP(7, n, 0.1, w->parameters, w->x, w->y, &w->loss));
    w->y[1] = -1;
    REFUSES(PN_TARGET_OUT_OF_RANGE, STEP(7, n, 0.1, w->parameters, w->x, w->y, &w->loss));
    t->epochs = 0;
    w->x[0] = (REAL)NAN;
    REFUSES(PN_DATA_NOT_FINITE, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress));
    REFUSES(PN_OK, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress)); /* no epochs: nothing written */
    REFUSES(PN_OK, TRAIN(7, n, t, w->parameters, w->x, w->y, NULL, &w->progress));
    FN(describe)();
    w->progress.row = 7;
    REFUSES(PN_BAD_PROGRESS, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress));
    w->progress.row = SIZE_MAX;
    REFUSES(PN_BAD_PROGRESS, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress));
    {
        size_t n_bytes = 0;
        CHECK(FN(pn_train_workspace)(7, n, t, &n_bytes) == PN_OK && n_bytes < sizeof w->workspace);
        size_t *needed = most_needed[sizeof(REAL) / 8], smallest;
        asked_for[sizeof(REAL) / 8][1] = n_bytes;
        FIND_NEED(smallest, n_bytes, needed[1], FN(pn_train)(7, n, t, w->parameters, NULL, w->x, w->y, NULL, 0, w->losses,
                                                          &w->progress, w->workspace, smallest));
        REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_train)(7, n, t, w->parameters, NULL, w->x, w->y, NULL, 0, w->losses,
                                                     &w->progress, w->workspace, smallest - 1));
        REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_train)(7, n, t, w->parameters, NULL, w->x, w->y, NULL, 0, w->losses,
                                                     &w->progress, NULL, 0));
        REFUSES(PN_NULL_POINTER, FN(pn_train)(7, n, t, w->parameters, NULL, w->x, w->y, NULL, 0, w->losses, &w->progress,
                                              NULL, n_bytes));
    }
    REFUSES(PN_NULL_POINTER, STEP(7, n, 0.1, w->parameters, w->x, w->y, NULL));
    REFUSES(PN_NULL_POINTER, STEP(7, n, 0.1, NULL, w->x, w->y, &w->loss));
    REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_train_on_batch)(7, n, t, w->parameters, NULL, w->x, w->y, NULL, &w->loss, NULL, 0));
    if (sizeof(size_t) > 4) { /* more rows than an order can be drawn for */
        t->shuffle = 1;
        CHECK(FN(pn_train_workspace)((size_t)((UINT64_C(1) << 32) + 1), n, t, &(size_t){0}) == PN_SIZE_OVERFLOW);
        CHECK(FN(pn_train_workspace)((size_t)(UINT64_C(1) << 32), n, t, &(size_t){0}) == PN_OK);
        t->shuffle = 0;
        CHECK(FN(pn_train_workspace)((size_t)((UINT64_C(1) << 32) + 1), n, t, &(size_t){0}) == PN_OK);
        t->shuffle = 1;
    }

    /* A run in one call, in slices of one step, and without losses, at any alignment of the workspace: the same bits. */
    {
        REAL trained[FN(PARAMETERS)];
        double losses[4];
        CHECK(TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress) == PN_OK);
        CHECK(w->progress.epoch == 4 && w->progress.row == 0 && w->progress.steps == 16);
        CHECK(memcmp(w->parameters, FN(before).parameters, sizeof trained) != 0);
        CHECK(memcmp(w->x, FN(before).x, sizeof w->x) == 0 && memcmp(w->y, FN(before).y, sizeof w->y) == 0);
        for (int i = 0; i < 4; i++)
            CHECK(w->losses[i] > 0);
        memcpy(trained, w->parameters, sizeof trained);
        memcpy(losses, w->losses, sizeof losses);
        REFUSES(PN_OK, TRAIN(7, n, t, w->parameters, w->x, w->y, w->losses, &w->progress)); /* it is finished */

        int calls = 0;
        for (; w->progress.epoch < 4 && calls < 100; calls++)
            CHECK(FN(pn_train)(7, n, t, w->parameters, NULL, w->x, w->y, NULL, 1, w->losses, &w->progress,
                               w->workspace + 3, sizeof w->workspace - 3) == PN_OK);
        CHECK(calls == 16);
        CHECK(memcmp(trained, w->parameters, sizeof trained) == 0 && memcmp(losses, w->losses, sizeof losses) == 0);
        FN(reset)();
        CHECK(TRAIN(7, n, t, w->parameters, w->x, w->y, NULL, &w->progress) == PN_OK);
        CHECK(memcmp(trained, w->parameters, sizeof trained) == 0);
        FN(reset)();
    }

    /* Divergence in a single step changes nothing but the workspace. */
    FN(network).loss = PN_SUM_OF_SQUARES;
    FN(layers)[1].activation = PN_IDENTITY;
    w->parameters[0] = sizeof(REAL) == 4 ? (REAL)1e38 : (REAL)1e308;
    w->parameters[FN(PARAMETERS) - 1] = sizeof(REAL) == 4 ? (REAL)3e38 : (REAL)1.7e308;
    memcpy(&FN(before), w, sizeof *w);
    CHECK(STEP(7, n, 1e30, w->parameters, w->x, w->y, &w->loss) == PN_DIVERGED);
    CHECK(memcmp(w->parameters, FN(before).parameters, sizeof w->parameters) == 0);
    CHECK(isnan(w->loss));
    /* Nor does one whose loss is finite: the loss is not written either. */
    FN(describe)();
    FN(network).loss = PN_SUM_OF_SQUARES;
    FN(layers)[1].activation = PN_IDENTITY;
    memcpy(&FN(before), w, sizeof *w);
    CHECK(STEP(7, n, sizeof(REAL) == 4 ? 3e38 : 1.7e308, w->parameters, w->x, w->y, &w->loss) == PN_DIVERGED);
    CHECK(memcmp(w->parameters, FN(before).parameters, sizeof w->parameters) == 0);
    CHECK(isnan(w->loss));

    /* Arrays that touch do not overlap. */
    FN(describe)();
    {
        REAL room[7 * 3 + 7 * 2];
        for (int order = 0; order < 2; order++) {
            REAL *x = room + (order == 0 ? 0 : 7 * 2), *out = room + (order == 0 ? 7 * 3 : 0);
            memcpy(x, w->x, sizeof w->x);
            CHECK(FORWARD(7, n, w->parameters, x, out) == PN_OK);
            CHECK(memcmp(x, w->x, sizeof w->x) == 0);
            REFUSES(PN_OVERLAP, FORWARD(7, n, w->parameters, x, order == 0 ? out - 1 : out + 1));
        }
    }
    FN(describe)();
#undef ODD
}

#define TRAIN_BATCHES(n_batches, x, y, weight, max_steps, progress) \
    FN(pn_train_batches)(n_batches, n, t, w->parameters, NULL, x, y, weight, max_steps, progress, w->workspace, \
                         sizeof w->workspace)

/* What is wrong with the numbers of mini-batch k is found after the steps before it, and again at the next call. */
static void FN(stops_before)(size_t k, pn_status expected, const REAL *const *x, const REAL *const *y,
                             const REAL *const *weight)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    const pn_training *t = &FN(training);
    REAL trained[FN(PARAMETERS)], x0 = w->x[0], x6 = w->x[6], x12 = w->x[12];
    if (k > 0)
        CHECK(TRAIN_BATCHES(k, x, y, weight, 0, &w->progress) == PN_OK);
    memcpy(trained, w->parameters, sizeof trained);
    FN(reset)();
    w->x[0] = x0;
    w->x[6] = x6;
    w->x[12] = x12;
    for (int call = 0; call < 2; call++) {
        CHECK(TRAIN_BATCHES(3, x, y, weight, 0, &w->progress) == expected);
        CHECK(w->progress.steps == k && w->progress.row == 2 * k && w->progress.epoch == 0);
        CHECK(memcmp(trained, w->parameters, sizeof trained) == 0);
    }
    FN(reset)();
}

/* Mini-batches that lie apart: arrays, progress, data, workspace. */
static void FN(check_bad_batches)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    pn_training *t = &FN(training);
    static const REAL bad[] = {1, (REAL)NAN}, none[] = {0, 0}, two[] = {2, 2, 2, 2}, good[] = {1, 2};
    const REAL *x[] = {w->x, w->x + 12, w->x + 6}, *y[] = {w->y, w->y + 8, w->y + 4}, *weight[] = {good, good, good};
    const REAL *const *ox = (const REAL *const *)(const void *)((const char *)x + 1);
    const REAL *const *inside = (const REAL *const *)(const void *)(w->workspace + 64);
    FN(describe)();
    REFUSES(PN_NULL_POINTER, TRAIN_BATCHES(3, NULL, y, NULL, 0, &w->progress));
    REFUSES(PN_NULL_POINTER, TRAIN_BATCHES(3, x, NULL, NULL, 0, &w->progress));
    REFUSES(PN_NULL_POINTER, TRAIN_BATCHES(3, x, y, NULL, 0, NULL));
    REFUSES(PN_NULL_POINTER, FN(pn_train_batches)(3, n, NULL, w->parameters, NULL, x, y, NULL, 0, &w->progress,
                                                  w->workspace, sizeof w->workspace));
    REFUSES(PN_MISALIGNED, TRAIN_BATCHES(2, ox, y, NULL, 0, &w->progress));
    REFUSES(PN_MISALIGNED, TRAIN_BATCHES(2, x, y, ox, 0, &w->progress));
    REFUSES(PN_MISALIGNED, TRAIN_BATCHES(3, x, y, NULL, 0, (pn_progress *)(void *)((char *)&w->progress + 1)));
    REFUSES(PN_OVERLAP, TRAIN_BATCHES(3, inside, y, NULL, 0, &w->progress));
    REFUSES(PN_OVERLAP, TRAIN_BATCHES(3, x, y, inside, 0, &w->progress));
    REFUSES(PN_NO_ROWS, TRAIN_BATCHES(0, x, y, NULL, 0, &w->progress));
    REFUSES(PN_SIZE_OVERFLOW, TRAIN_BATCHES(SIZE_MAX / 2 + 1, x, y, NULL, 0, &w->progress));
    t->batch_size = 0;
    REFUSES(PN_NO_ROWS, TRAIN_BATCHES(3, x, y, NULL, 0, &w->progress));
    FN(describe)();
    const pn_progress wrong[] = {{.row = 1}, {.row = 6}, {.row = 8}, {.epoch = 1}};
    for (int i = 0; i < 4; i++) {
        w->progress = wrong[i];
        REFUSES(PN_BAD_PROGRESS, TRAIN_BATCHES(3, x, y, NULL, 0, &w->progress));
    }
    for (int k = 0; k < 3; k++) { /* whichever it is that is wrong */
        const REAL *right[] = {x[k], y[k], weight[k]}, **each[] = {x, y, weight};
        for (int i = 0; i < 3; i++) {
            each[i][k] = NULL;
            REFUSES(PN_NULL_POINTER, TRAIN_BATCHES(3, x, y, weight, 0, &w->progress));
            each[i][k] = w->parameters + 1;
            REFUSES(PN_OVERLAP, TRAIN_BATCHES(3, x, y, weight, 0, &w->progress));
            each[i][k] = (const REAL *)(const void *)((const char *)right[i] + 1);
            REFUSES(PN_MISALIGNED, TRAIN_BATCHES(3, x, y, weight, 0, &w->progress));
            each[i][k] = right[i];
        }
        w->x[x[k] - w->x] = (REAL)INFINITY;
        FN(stops_before)(k, PN_DATA_NOT_FINITE, x, y, NULL);
        y[k] = two;
        FN(stops_before)(k, PN_TARGET_OUT_OF_RANGE, x, y, NULL);
        y[k] = right[1];
        for (int i = 0; i < 2; i++) {
            weight[k] = i == 0 ? bad : none;
            FN(stops_before)(k, PN_BAD_SAMPLE_WEIGHT, x, y, weight);
        }
        weight[k] = right[2];
    }
    REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_train_batches)(3, n, t, w->parameters, NULL, x, y, NULL, 0, &w->progress, NULL, 0));
}

/* And the bits of rows that follow each other, in one call or step by step, in the workspace that was asked for. */
static void FN(check_batches)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    pn_training *t = &FN(training);
    FN(check_bad_batches)();
    for (int weighted = 0; weighted < 2; weighted++) {
        REAL weight[7] = {1, 0, 2, 0.5f, 3, 1, 1}, trained[FN(PARAMETERS)], apart_x[3][8], apart_y[3][8], apart_weight[3][4];
        const int in_x[] = {2, 0, 1}, in_y[] = {0, 2, 1}, in_weight[] = {1, 0, 2};
        const REAL *x[] = {apart_x[2], apart_x[0], apart_x[1]}, *y[] = {apart_y[0], apart_y[2], apart_y[1]};
        const REAL *weights[] = {apart_weight[1], apart_weight[0], apart_weight[2]};
        size_t n_bytes = 0;
        FN(describe)();
        t->shuffle = 0;
        for (int k = 0; k < 3; k++) {
            memcpy(apart_x[in_x[k]], w->x + 6 * k, 6 * sizeof(REAL));
            memcpy(apart_y[in_y[k]], w->y + 4 * k, 4 * sizeof(REAL));
            memcpy(apart_weight[in_weight[k]], weight + 2 * k, 2 * sizeof(REAL));
        }
        w->progress.loss_sum = 0.25;
        CHECK(FN(pn_train)(7, n, t, w->parameters, NULL, w->x, w->y, weighted ? weight : NULL, 3, NULL, &w->progress,
                           w->workspace, sizeof w->workspace) == PN_OK);
        const pn_progress expected = w->progress;
        CHECK(expected.row == 6 && expected.steps == 3 && expected.loss_sum > 0.25);
        memcpy(trained, w->parameters, sizeof trained);
        t->epochs = 1;
        CHECK(FN(pn_train_workspace)(6, n, t, &n_bytes) == PN_OK);
        t->epochs = 9; /* neither counts */
        t->shuffle = 1;
        for (size_t steps = 0; steps < 4; steps++) {
            FN(reset)();
            w->progress.loss_sum = 0.25;
            for (size_t done = 0; done < 3; done += steps == 0 ? 3 : steps)
                CHECK(FN(pn_train_batches)(3, n, t, w->parameters, NULL, x, y, weighted ? weights : NULL, steps,
                                           &w->progress, w->workspace, n_bytes) == PN_OK);
            CHECK(memcmp(&expected, &w->progress, sizeof expected) == 0);
            CHECK(memcmp(trained, w->parameters, sizeof trained) == 0);
        }
    }
    FN(describe)();
}

/* The loss without a gradient: arrays, targets, weights, workspace; and its bits. */
static void FN(check_loss)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    REAL *inside = (REAL *)(void *)(w->workspace + 64);
    const REAL weight[] = {1, 0, 2, 0, 1, 1, 1}, bad[] = {1, 1, 1, -1, 1, 1, 1};
    size_t n_bytes = 0;
    FN(describe)();
    REFUSES(PN_NULL_POINTER, LOSS(7, n, NULL, w->x, w->y, NULL, &w->loss, w->out));
    REFUSES(PN_NULL_POINTER, LOSS(7, n, w->parameters, NULL, w->y, NULL, &w->loss, w->out));
    REFUSES(PN_NULL_POINTER, LOSS(7, n, w->parameters, w->x, NULL, NULL, &w->loss, w->out));
    REFUSES(PN_NULL_POINTER, LOSS(7, n, w->parameters, w->x, w->y, NULL, NULL, w->out));
    REFUSES(PN_OVERLAP, LOSS(7, n, inside, w->x, w->y, NULL, &w->loss, w->out));
    REFUSES(PN_OVERLAP, LOSS(7, n, w->parameters, w->x, w->y, inside, &w->loss, w->out));
    REFUSES(PN_OVERLAP, LOSS(7, n, w->parameters, w->x, w->y, NULL, (double *)(void *)(w->workspace + 64), NULL));
    REFUSES(PN_OVERLAP, LOSS(7, n, w->parameters, w->x, w->y, NULL, &w->loss, w->x));
    REFUSES(PN_BAD_SAMPLE_WEIGHT, LOSS(7, n, w->parameters, w->x, w->y, bad, &w->loss, w->out));
    w->x[20] = (REAL)NAN;
    REFUSES(PN_DATA_NOT_FINITE, LOSS(7, n, w->parameters, w->x, w->y, NULL, &w->loss, w->out));
    w->y[13] = (REAL)1.25;
    REFUSES(PN_TARGET_OUT_OF_RANGE, LOSS(7, n, w->parameters, w->x, w->y, NULL, &w->loss, w->out));
    REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_loss)(7, n, w->parameters, w->x, w->y, NULL, &w->loss, NULL, w->workspace, 8));
    REFUSES(PN_NULL_POINTER, FN(pn_loss)(7, n, w->parameters, w->x, w->y, NULL, &w->loss, NULL, NULL, 1 << 16));
    CHECK(FN(pn_gradient_workspace)(7, n, &n_bytes) == PN_OK);
    for (int weighted = 0; weighted < 2; weighted++) {
        double loss = -1;
        const REAL *weights = weighted ? weight : NULL;
        CHECK(FN(pn_loss_and_gradient)(7, n, w->parameters, w->x, w->y, weights, &loss, w->gradient, w->workspace,
                                       n_bytes) == PN_OK);
        CHECK(FN(pn_loss)(7, n, w->parameters, w->x, w->y, weights, &w->loss, weighted ? w->out : NULL, w->workspace,
                          n_bytes) == PN_OK);
        CHECK(w->loss == loss && isfinite(loss));
    }
    REAL out[7 * 2];
    CHECK(FORWARD(7, n, w->parameters, w->x, out) == PN_OK && memcmp(w->out, out, sizeof out) == 0);
    FN(reset)();
}

/* The gradient of the loss with respect to the input: arrays, targets, workspace. */
static void FN(check_input_gradient)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    REAL *inside = (REAL *)(void *)(w->workspace + 64);
    size_t *needed = most_needed[sizeof(REAL) / 8], smallest, n_bytes = 0;
    FN(describe)();
#define ODD(pointer) ((void *)((char *)(pointer) + 1))
    REFUSES(PN_NULL_POINTER, INPUT_GRADIENT(7, n, NULL, w->x, w->y, w->grad_x));
    REFUSES(PN_NULL_POINTER, INPUT_GRADIENT(7, n, w->parameters, NULL, w->y, w->grad_x));
    REFUSES(PN_NULL_POINTER, INPUT_GRADIENT(7, n, w->parameters, w->x, NULL, w->grad_x));
    REFUSES(PN_NULL_POINTER, INPUT_GRADIENT(7, n, w->parameters, w->x, w->y, NULL));
    REFUSES(PN_MISALIGNED, INPUT_GRADIENT(6, n, ODD(w->parameters), w->x, w->y, w->grad_x));
    REFUSES(PN_MISALIGNED, INPUT_GRADIENT(6, n, w->parameters, ODD(w->x), w->y, w->grad_x));
    REFUSES(PN_MISALIGNED, INPUT_GRADIENT(6, n, w->parameters, w->x, ODD(w->y), w->grad_x));
    REFUSES(PN_MISALIGNED, INPUT_GRADIENT(6, n, w->parameters, w->x, w->y, ODD(w->grad_x)));
    REFUSES(PN_OVERLAP, INPUT_GRADIENT(7, n, w->parameters, w->x, w->y, w->x));
    REFUSES(PN_OVERLAP, INPUT_GRADIENT(7, n, w->parameters, w->x, w->y, w->y + 7 * 2 - 1));
    REFUSES(PN_OVERLAP, INPUT_GRADIENT(7, n, w->parameters, w->x, w->y, w->parameters + FN(PARAMETERS) - 1));
    REFUSES(PN_OVERLAP, INPUT_GRADIENT(7, n, inside, w->x, w->y, w->grad_x));
    REFUSES(PN_OVERLAP, INPUT_GRADIENT(7, n, w->parameters, inside, w->y, w->grad_x));
    REFUSES(PN_OVERLAP, INPUT_GRADIENT(7, n, w->parameters, w->x, inside, w->grad_x));
    REFUSES(PN_OVERLAP, INPUT_GRADIENT(7, n, w->parameters, w->x, w->y, inside));
    w->x[20] = (REAL)NAN;
    REFUSES(PN_DATA_NOT_FINITE, INPUT_GRADIENT(7, n, w->parameters, w->x, w->y, w->grad_x));
    w->y[13] = (REAL)INFINITY;
    REFUSES(PN_DATA_NOT_FINITE, INPUT_GRADIENT(7, n, w->parameters, w->x, w->y, w->grad_x));
    w->y[13] = (REAL)1.25;
    REFUSES(PN_TARGET_OUT_OF_RANGE, INPUT_GRADIENT(7, n, w->parameters, w->x, w->y, w->grad_x));
    FN(network).loss = PN_POISSON;
    w->y[13] = -1;
    REFUSES(PN_NEGATIVE_TARGET, INPUT_GRADIENT(7, n, w->parameters, w->x, w->y, w->grad_x));
    FN(layers)[1].activation = PN_SOFTMAX;
    FN(network).loss = PN_CROSS_ENTROPY;
    FN(set_classes)(0);
    w->y[6] = (REAL)0.5;
    REFUSES(PN_BAD_PROBABILITY, INPUT_GRADIENT(7, n, w->parameters, w->x, w->y, w->grad_x));
    FN(network).loss = PN_CROSS_ENTROPY_LABELS;
    FN(set_classes)(1);
    w->y[6] = 2;
    REFUSES(PN_BAD_LABEL, INPUT_GRADIENT(7, n, w->parameters, w->x, w->y, w->grad_x));
    FN(set_classes)(1);
    CHECK(INPUT_GRADIENT(7, n, w->parameters, w->x, w->y, w->grad_x) == PN_OK && isfinite(w->grad_x[20]));
    FN(describe)();
    CHECK(FN(pn_gradient_workspace)(7, n, &n_bytes) == PN_OK);
    asked_for[sizeof(REAL) / 8][4] = n_bytes;
    FIND_NEED(smallest, n_bytes, needed[4],
              FN(pn_input_gradient)(7, n, w->parameters, w->x, w->y, w->grad_x, w->workspace, smallest));
    REFUSES(PN_WORKSPACE_TOO_SMALL,
            FN(pn_input_gradient)(7, n, w->parameters, w->x, w->y, w->grad_x, w->workspace, smallest - 1));
    REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_input_gradient)(7, n, w->parameters, w->x, w->y, w->grad_x, NULL, 0));
    REFUSES(PN_NULL_POINTER, FN(pn_input_gradient)(7, n, w->parameters, w->x, w->y, w->grad_x, NULL, n_bytes));
    CHECK(FN(pn_input_gradient)(7, n, w->parameters, w->x, w->y, w->grad_x, ODD(w->workspace), n_bytes) == PN_OK);
    for (int i = 0; i < 7 * 3; i++)
        CHECK(isfinite(w->grad_x[i]));
    FN(reset)();
}

/* The derivatives of each output: arrays, workspace. */
static void FN(check_jacobian)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    REAL *inside = (REAL *)(void *)(w->workspace + 64);
    size_t *needed = most_needed[sizeof(REAL) / 8], smallest, n_bytes = 77;
    FN(describe)();
    REFUSES(PN_NULL_POINTER, JACOBIAN(7, n, NULL, w->x, w->jacobian));
    REFUSES(PN_NULL_POINTER, JACOBIAN(7, n, w->parameters, NULL, w->jacobian));
    REFUSES(PN_NULL_POINTER, JACOBIAN(7, n, w->parameters, w->x, NULL));
    REFUSES(PN_MISALIGNED, JACOBIAN(6, n, ODD(w->parameters), w->x, w->jacobian));
    REFUSES(PN_MISALIGNED, JACOBIAN(6, n, w->parameters, ODD(w->x), w->jacobian));
    REFUSES(PN_MISALIGNED, JACOBIAN(6, n, w->parameters, w->x, ODD(w->jacobian)));
    REFUSES(PN_OVERLAP, JACOBIAN(3, n, w->parameters, w->x, w->x + 8));
    REFUSES(PN_OVERLAP, JACOBIAN(7, n, w->parameters, w->jacobian + 7 * 2 * 3 - 1, w->jacobian));
    REFUSES(PN_OVERLAP, JACOBIAN(7, n, w->parameters, w->x, w->parameters + FN(PARAMETERS) - 1));
    REFUSES(PN_OVERLAP, JACOBIAN(7, n, inside, w->x, w->jacobian));
    REFUSES(PN_OVERLAP, JACOBIAN(7, n, w->parameters, inside, w->jacobian));
    REFUSES(PN_OVERLAP, JACOBIAN(7, n, w->parameters, w->x, inside));
    CHECK(FN(pn_jacobian_workspace)(7, n, &n_bytes) == PN_OK);
    asked_for[sizeof(REAL) / 8][5] = n_bytes;
    FIND_NEED(smallest, n_bytes, needed[5],
              FN(pn_jacobian)(7, n, w->parameters, w->x, w->jacobian, w->workspace, smallest));
    REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_jacobian)(7, n, w->parameters, w->x, w->jacobian, w->workspace, smallest - 1));
    REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_jacobian)(7, n, w->parameters, w->x, w->jacobian, NULL, 0));
    REFUSES(PN_NULL_POINTER, FN(pn_jacobian)(7, n, w->parameters, w->x, w->jacobian, NULL, n_bytes));
    CHECK(FN(pn_jacobian)(7, n, w->parameters, w->x, w->jacobian, ODD(w->workspace), n_bytes) == PN_OK);
    for (int i = 0; i < 7 * 2 * 3; i++)
        CHECK(isfinite(w->jacobian[i]));
    FN(reset)();
    if (sizeof(size_t) > 4) { /* x and the outputs can be counted, the elements of the Jacobian cannot */
        const size_t wide = (size_t)1 << 20, many = (size_t)(UINT64_C(1) << 30);
        FN(layers)[0].n_in = FN(layers)[1].n_out = wide;
        CHECK(FN(pn_forward_workspace)(many, n, &n_bytes) == PN_OK);
        n_bytes = 77;
        CHECK(FN(pn_jacobian_workspace)(many, n, &n_bytes) == PN_SIZE_OVERFLOW && n_bytes == 77);
        REFUSES(PN_SIZE_OVERFLOW, JACOBIAN(many, n, w->parameters, w->x, w->jacobian));
        FN(describe)();
    }
}

static void FN(check_jacobian_of_parameters)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    REAL *inside = (REAL *)(void *)(w->workspace + 64);
    size_t *needed = most_needed[sizeof(REAL) / 8], smallest, n_bytes = 77;
    FN(describe)();
    REFUSES(PN_NULL_POINTER, OF_PARAMETERS(7, n, NULL, w->x, w->of_parameters));
    REFUSES(PN_NULL_POINTER, OF_PARAMETERS(7, n, w->parameters, NULL, w->of_parameters));
    REFUSES(PN_NULL_POINTER, OF_PARAMETERS(7, n, w->parameters, w->x, NULL));
    REFUSES(PN_MISALIGNED, OF_PARAMETERS(6, n, ODD(w->parameters), w->x, w->of_parameters));
    REFUSES(PN_MISALIGNED, OF_PARAMETERS(6, n, w->parameters, ODD(w->x), w->of_parameters));
    REFUSES(PN_MISALIGNED, OF_PARAMETERS(6, n, w->parameters, w->x, ODD(w->of_parameters)));
    REFUSES(PN_OVERLAP, OF_PARAMETERS(7, n, w->parameters, w->of_parameters + 7 * 2 * FN(PARAMETERS) - 1, w->of_parameters));
    REFUSES(PN_OVERLAP, OF_PARAMETERS(1, n, w->of_parameters + 2 * FN(PARAMETERS) - 1, w->x, w->of_parameters));
    REFUSES(PN_OVERLAP, OF_PARAMETERS(7, n, inside, w->x, w->of_parameters));
    REFUSES(PN_OVERLAP, OF_PARAMETERS(7, n, w->parameters, inside, w->of_parameters));
    REFUSES(PN_OVERLAP, OF_PARAMETERS(7, n, w->parameters, w->x, inside));
    CHECK(FN(pn_jacobian_parameters_workspace)(7, n, &n_bytes) == PN_OK);
    asked_for[sizeof(REAL) / 8][6] = n_bytes;
    FIND_NEED(smallest, n_bytes, needed[6],
              FN(pn_jacobian_parameters)(7, n, w->parameters, w->x, w->of_parameters, w->workspace, smallest));
    REFUSES(PN_WORKSPACE_TOO_SMALL,
            FN(pn_jacobian_parameters)(7, n, w->parameters, w->x, w->of_parameters, w->workspace, smallest - 1));
    REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_jacobian_parameters)(7, n, w->parameters, w->x, w->of_parameters, NULL, 0));
    REFUSES(PN_NULL_POINTER, FN(pn_jacobian_parameters)(7, n, w->parameters, w->x, w->of_parameters, NULL, n_bytes));
    CHECK(FN(pn_jacobian_parameters)(7, n, w->parameters, w->x, w->of_parameters, ODD(w->workspace), n_bytes) == PN_OK);
    for (int i = 0; i < 7 * 2 * FN(PARAMETERS); i++)
        CHECK(isfinite(w->of_parameters[i]));
    FN(reset)();
    if (sizeof(size_t) > 4) { /* x, the outputs and the parameters can be counted, the elements of the Jacobian cannot */
        const size_t wide = (size_t)1 << 20, many = (size_t)(UINT64_C(1) << 30);
        FN(layers)[0].n_in = FN(layers)[1].n_out = wide;
        n_bytes = 77;
        CHECK(FN(pn_jacobian_parameters_workspace)(many, n, &n_bytes) == PN_SIZE_OVERFLOW && n_bytes == 77);
        REFUSES(PN_SIZE_OVERFLOW, OF_PARAMETERS(many, n, w->parameters, w->x, w->of_parameters));
        FN(describe)();
    }
}

/* What Gauss-Newton refuses besides; every pair of arrays of which it writes one. */
static void FN(check_gauss_newton)(void)
{
    FN(world) *w = &FN(w);
    const pn_network *n = &FN(network);
    REAL *p = w->parameters, *x = w->x, *y = w->y, *g = w->gradient, *h = w->hessian;
    REAL *inside = (REAL *)(void *)(w->workspace + 64);
    const REAL weight[] = {1, 0, 2, 0, 1, 1, 1}, bad[] = {1, 1, 1, -1, 1, 1, 1}, none[7] = {0};
    double *loss_inside = (double *)(void *)(w->workspace + 64);
    size_t *needed = most_needed[sizeof(REAL) / 8], smallest, n_bytes = 77;
    FN(describe)();
    REFUSES(PN_NEEDS_SQUARES, GAUSS_NEWTON(7, n, p, x, y, NULL, &w->loss, g, h));
    CHECK(FN(pn_gauss_newton_workspace)(7, n, &n_bytes) == PN_NEEDS_SQUARES && n_bytes == 77);
    FN(network).loss = PN_MEAN_SQUARED_ERROR;
    REFUSES(PN_NULL_POINTER, GAUSS_NEWTON(7, n, NULL, x, y, NULL, &w->loss, g, h));
    REFUSES(PN_NULL_POINTER, GAUSS_NEWTON(7, n, p, NULL, y, NULL, &w->loss, g, h));
    REFUSES(PN_NULL_POINTER, GAUSS_NEWTON(7, n, p, x, NULL, NULL, &w->loss, g, h));
    REFUSES(PN_NULL_POINTER, GAUSS_NEWTON(7, n, p, x, y, NULL, NULL, g, h));
    REFUSES(PN_NULL_POINTER, GAUSS_NEWTON(7, n, p, x, y, NULL, &w->loss, NULL, h));
    REFUSES(PN_NULL_POINTER, GAUSS_NEWTON(7, n, p, x, y, NULL, &w->loss, g, NULL));
    REFUSES(PN_MISALIGNED, GAUSS_NEWTON(6, n, p, x, y, NULL, &w->loss, g, ODD(h)));
    REFUSES(PN_MISALIGNED, GAUSS_NEWTON(6, n, p, x, y, NULL, &w->loss, ODD(g), h));
    REFUSES(PN_OVERLAP, GAUSS_NEWTON(7, n, h + FN(PARAMETERS) * FN(PARAMETERS) - 1, x, y, NULL, &w->loss, g, h));
    REFUSES(PN_OVERLAP, GAUSS_NEWTON(7, n, p, h + 5, y, NULL, &w->loss, g, h));
    REFUSES(PN_OVERLAP, GAUSS_NEWTON(7, n, p, x, h + 5, NULL, &w->loss, g, h));
    REFUSES(PN_OVERLAP, GAUSS_NEWTON(7, n, p, x, y, h + 5, &w->loss, g, h));
    REFUSES(PN_OVERLAP, GAUSS_NEWTON(7, n, p, x, y, NULL, (double *)(void *)(h + 2), g, h));
    REFUSES(PN_OVERLAP, GAUSS_NEWTON(7, n, p, x, y, NULL, &w->loss, h + 5, h));
    REFUSES(PN_OVERLAP, GAUSS_NEWTON(7, n, p, x, y, NULL, &w->loss, p, h));
    REFUSES(PN_OVERLAP, GAUSS_NEWTON(7, n, p, x, y, NULL, loss_inside, g, h));
    REFUSES(PN_OVERLAP, GAUSS_NEWTON(7, n, p, x, y, NULL, &w->loss, inside, h));
    REFUSES(PN_OVERLAP, GAUSS_NEWTON(7, n, p, x, y, NULL, &w->loss, g, inside));
    REFUSES(PN_OVERLAP, GAUSS_NEWTON(7, n, p, x, y, inside, &w->loss, g, h));
    REFUSES(PN_BAD_SAMPLE_WEIGHT, GAUSS_NEWTON(7, n, p, x, y, bad, &w->loss, g, h));
    REFUSES(PN_BAD_SAMPLE_WEIGHT, GAUSS_NEWTON(7, n, p, x, y, none, &w->loss, g, h));
    w->x[3] = (REAL)NAN;
    REFUSES(PN_DATA_NOT_FINITE, GAUSS_NEWTON(7, n, p, x, y, NULL, &w->loss, g, h));
    w->y[3] = (REAL)INFINITY;
    REFUSES(PN_DATA_NOT_FINITE, GAUSS_NEWTON(7, n, p, x, y, NULL, &w->loss, g, h));
    CHECK(FN(pn_gauss_newton_workspace)(7, n, &n_bytes) == PN_OK);
    asked_for[sizeof(REAL) / 8][7] = n_bytes;
    FIND_NEED(smallest, n_bytes, needed[7],
              FN(pn_gauss_newton)(7, n, p, x, y, weight, &w->loss, g, h, w->workspace, smallest));
    REFUSES(PN_WORKSPACE_TOO_SMALL,
            FN(pn_gauss_newton)(7, n, p, x, y, NULL, &w->loss, g, h, w->workspace, smallest - 1));
    REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_gauss_newton)(7, n, p, x, y, NULL, &w->loss, g, h, NULL, 0));
    REFUSES(PN_NULL_POINTER, FN(pn_gauss_newton)(7, n, p, x, y, NULL, &w->loss, g, h, NULL, n_bytes));
    CHECK(FN(pn_gauss_newton)(7, n, p, x, y, weight, &w->loss, g, h, ODD(w->workspace), n_bytes) == PN_OK);
    for (int i = 0; i < FN(PARAMETERS) * FN(PARAMETERS); i++)
        CHECK(isfinite(h[i]) && h[i] == h[i % FN(PARAMETERS) * FN(PARAMETERS) + i / FN(PARAMETERS)]);
    CHECK(isfinite(w->loss));
    FN(reset)();
    if (sizeof(size_t) > 4) { /* the parameters can be counted, the elements of the matrix cannot */
        FN(layers)[0].n_out = FN(layers)[1].n_in = (size_t)(UINT64_C(1) << 30);
        CHECK(FN(pn_gradient_workspace)(7, n, &n_bytes) == PN_OK);
        n_bytes = 77;
        CHECK(FN(pn_gauss_newton_workspace)(7, n, &n_bytes) == PN_SIZE_OVERFLOW && n_bytes == 77);
        REFUSES(PN_SIZE_OVERFLOW, GAUSS_NEWTON(7, n, p, x, y, NULL, &w->loss, g, h));
    }
    FN(describe)();
#undef ODD
}

static void FN(check_input_derivatives)(void)
{
    FN(check_loss)();
    FN(check_input_gradient)();
    FN(check_jacobian)();
    FN(check_jacobian_of_parameters)();
    FN(check_gauss_newton)();
}

static void FN(check_kernels)(void)
{
    FN(world) *w = &FN(w);
    REAL *x = w->x, *y = w->y, *out = w->out;
    const REAL *p = w->parameters;
    char *space = w->workspace;
    const size_t room = sizeof w->workspace;
    size_t n_bytes = 77;
    FN(describe)();
#define ODD(pointer) ((void *)((char *)(pointer) + 1))
#define EACH(function, backward)                                                     \
    do {                                                                             \
        REFUSES(PN_NULL_POINTER, FN(function)(3, NULL, out));                        \
        REFUSES(PN_NULL_POINTER, FN(function)(3, x, NULL));                          \
        REFUSES(PN_MISALIGNED, FN(function)(3, ODD(x), out));                        \
        REFUSES(PN_MISALIGNED, FN(function)(3, x, ODD(out)));                        \
        REFUSES(PN_OVERLAP, FN(function)(5, x, x + 4));                              \
        REFUSES(PN_OVERLAP, FN(function)(5, x + 4, x));                              \
        REFUSES(PN_SIZE_OVERFLOW, FN(function)(SIZE_MAX, x, out));                   \
        REFUSES(PN_OK, FN(function)(0, x, out));                                     \
        REFUSES(PN_OK, FN(function)(0, NULL, NULL));                                 \
        REFUSES(PN_NULL_POINTER, FN(backward)(3, NULL, y, out));                     \
        REFUSES(PN_NULL_POINTER, FN(backward)(3, x, NULL, out));                     \
        REFUSES(PN_NULL_POINTER, FN(backward)(3, x, y, NULL));                       \
        REFUSES(PN_MISALIGNED, FN(backward)(3, x, ODD(y), out));                     \
        REFUSES(PN_OVERLAP, FN(backward)(3, x, y, x + 1));                           \
        REFUSES(PN_OVERLAP, FN(backward)(3, x, y + 1, y));                           \
        REFUSES(PN_SIZE_OVERFLOW, FN(backward)(SIZE_MAX, x, y, out));                \
        REFUSES(PN_OK, FN(backward)(0, NULL, NULL, NULL));                           \
        CHECK(FN(function)(13, x, out) == PN_OK && !isnan(out[12]) && isnan(out[13])); \
        CHECK(FN(function)(13, x, x) == PN_OK && memcmp(x, out, 13 * sizeof *x) == 0); \
        CHECK(FN(backward)(13, x, y, out) == PN_OK);                                 \
        CHECK(FN(backward)(13, x, y, y) == PN_OK && memcmp(y, out, 13 * sizeof *y) == 0); \
        FN(reset)();                                                                 \
    } while (0)
    EACH(pn_sigmoid, pn_sigmoid_backward);
    EACH(pn_tanh, pn_tanh_backward);
    EACH(pn_relu, pn_relu_backward);
#undef EACH

    CHECK(FN(pn_dense_workspace)(7, 3, 2, NULL) == PN_NULL_POINTER);
    CHECK(FN(pn_dense_workspace)(0, 3, 2, &n_bytes) == PN_NO_ROWS && n_bytes == 77);
    CHECK(FN(pn_dense_workspace)(7, 0, 2, &n_bytes) == PN_NO_NEURONS && n_bytes == 77);
    CHECK(FN(pn_dense_workspace)(7, 3, 0, &n_bytes) == PN_NO_NEURONS && n_bytes == 77);
    CHECK(FN(pn_dense_workspace)(SIZE_MAX, 3, 2, &n_bytes) == PN_SIZE_OVERFLOW && n_bytes == 77);
    CHECK(FN(pn_dense_workspace)(7, SIZE_MAX / 4, SIZE_MAX / 4, &n_bytes) == PN_SIZE_OVERFLOW && n_bytes == 77);
    if (sizeof(size_t) > 4) {
        const size_t many = (size_t)(UINT64_C(1) << 49), wide = 4096;
        CHECK(FN(pn_dense_workspace)(many, wide, 1, &n_bytes) == PN_SIZE_OVERFLOW && n_bytes == 77);
        CHECK(FN(pn_dense_workspace)(many, 1, wide, &n_bytes) == PN_SIZE_OVERFLOW && n_bytes == 77);
        CHECK(FN(pn_dense_workspace)(1, many, wide, &n_bytes) == PN_SIZE_OVERFLOW && n_bytes == 77);
        CHECK(FN(pn_dense_workspace)(many, 1, 1, &(size_t){0}) == PN_OK);
    }
    CHECK(FN(pn_dense_workspace)(7, 3, 2, &n_bytes) == PN_OK && n_bytes <= room);

#define LAYER(rows, n_in, n_out, x, weight, bias, f, a) \
    FN(pn_dense_forward)(rows, n_in, n_out, x, weight, bias, f, a, space, room)
    REFUSES(PN_NO_ROWS, LAYER(0, 3, 2, x, p, p + 6, PN_TANH, out));
    REFUSES(PN_NO_NEURONS, LAYER(7, 0, 2, x, p, p + 6, PN_TANH, out));
    REFUSES(PN_NO_NEURONS, LAYER(7, 3, 0, x, p, p + 6, PN_TANH, out));
    REFUSES(PN_SIZE_OVERFLOW, LAYER(SIZE_MAX / 3 + 1, 3, 2, x, p, p + 6, PN_TANH, out));
    REFUSES(PN_SIZE_OVERFLOW, LAYER(7, SIZE_MAX / 2 + 1, 2, x, p, p + 6, PN_TANH, out));
    REFUSES(PN_UNKNOWN_ACTIVATION, LAYER(7, 3, 2, x, p, p + 6, PN_N_ACTIVATIONS, out));
    REFUSES(PN_UNKNOWN_ACTIVATION, LAYER(7, 3, 2, x, p, p + 6, (pn_activation)-1, out));
    REFUSES(PN_NULL_POINTER, LAYER(7, 3, 2, NULL, p, p + 6, PN_TANH, out));
    REFUSES(PN_NULL_POINTER, LAYER(7, 3, 2, x, NULL, p + 6, PN_TANH, out));
    REFUSES(PN_NULL_POINTER, LAYER(7, 3, 2, x, p, p + 6, PN_TANH, NULL));
    REFUSES(PN_MISALIGNED, LAYER(6, 3, 2, ODD(x), p, p + 6, PN_TANH, out));
    REFUSES(PN_MISALIGNED, LAYER(6, 3, 2, x, ODD(p), p + 8, PN_TANH, out));
    REFUSES(PN_MISALIGNED, LAYER(6, 3, 2, x, p, ODD(p), PN_TANH, out));
    REFUSES(PN_MISALIGNED, LAYER(6, 3, 2, x, p, p + 6, PN_TANH, ODD(out)));
    REFUSES(PN_OVERLAP, LAYER(7, 3, 2, x, p, p + 6, PN_TANH, x));
    REFUSES(PN_OVERLAP, LAYER(7, 3, 2, x, p, p + 6, PN_TANH, w->parameters + 7));
    REFUSES(PN_OVERLAP, LAYER(7, 3, 2, x, p, p + 6, PN_TANH, (REAL *)(void *)(space + 64)));
    REFUSES(PN_OVERLAP, LAYER(7, 3, 2, (REAL *)(void *)(space + 64), p, p + 6, PN_TANH, out));
    REFUSES(PN_OVERLAP, LAYER(7, 3, 2, x, (REAL *)(void *)(space + 64), p + 6, PN_TANH, out));
    REFUSES(PN_OVERLAP, LAYER(7, 3, 2, x, p, (REAL *)(void *)(space + 64), PN_TANH, out));
    REFUSES(PN_NULL_POINTER, FN(pn_dense_forward)(7, 3, 2, x, p, p + 6, PN_TANH, out, NULL, n_bytes));
    size_t smallest;
    asked_for[sizeof(REAL) / 8][2] = n_bytes;
    FIND_NEED(smallest, n_bytes, most_needed[sizeof(REAL) / 8][2],
              FN(pn_dense_forward)(7, 3, 2, x, p, p + 6, PN_TANH, out, space, smallest));
    REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_dense_forward)(7, 3, 2, x, p, p + 6, PN_TANH, out, space, smallest - 1));
    CHECK(LAYER(7, 3, 2, x, p, p + 6, PN_TANH, out) == PN_OK && !isnan(out[13]));
    CHECK(LAYER(7, 3, 2, x, p, NULL, PN_TANH, out) == PN_OK);
    FN(reset)();
#undef LAYER

    REAL *grad_x = w->gradient, *grad_weight = grad_x + 6, *grad_bias = grad_weight + 6;
#define LAYER(rows, x, weight, a, grad_a, f, grad_x, grad_weight, grad_bias) \
    FN(pn_dense_backward)(rows, 3, 2, x, weight, NULL, a, grad_a, f, grad_x, grad_weight, grad_bias, space, room)
    REFUSES(PN_NO_ROWS, LAYER(0, x, p, y, y, PN_TANH, grad_x, grad_weight, grad_bias));
    REFUSES(PN_SIZE_OVERFLOW, LAYER(SIZE_MAX / 2, x, p, y, y, PN_TANH, grad_x, grad_weight, grad_bias));
    REFUSES(PN_UNKNOWN_ACTIVATION, LAYER(2, x, p, y, y, (pn_activation)99, grad_x, grad_weight, grad_bias));
    REFUSES(PN_NULL_POINTER, LAYER(2, NULL, p, y, y, PN_TANH, grad_x, grad_weight, grad_bias));
    REFUSES(PN_NULL_POINTER, LAYER(2, x, NULL, y, y, PN_TANH, grad_x, grad_weight, grad_bias));
    REFUSES(PN_NULL_POINTER, LAYER(2, x, p, NULL, y, PN_TANH, grad_x, grad_weight, grad_bias));
    REFUSES(PN_NULL_POINTER, LAYER(2, x, p, y, NULL, PN_TANH, grad_x, grad_weight, grad_bias));
    REFUSES(PN_MISALIGNED, LAYER(2, x, p, y, ODD(y), PN_TANH, grad_x, grad_weight, grad_bias));
    REFUSES(PN_MISALIGNED, LAYER(2, x, p, y, y, PN_TANH, grad_x, ODD(grad_weight), NULL));
    REFUSES(PN_OVERLAP, LAYER(2, x, p, y, y, PN_TANH, x, grad_weight, grad_bias));
    REFUSES(PN_OVERLAP, LAYER(2, x, p, y, y, PN_TANH, grad_x, y, grad_bias));
    REFUSES(PN_OVERLAP, LAYER(2, x, p, y, y, PN_TANH, grad_x, grad_x + 5, grad_bias));
    REFUSES(PN_OVERLAP, LAYER(2, x, p, y, y, PN_TANH, grad_x, grad_weight, grad_weight + 4));
    REFUSES(PN_MISALIGNED, LAYER(2, ODD(x), p, y, y, PN_TANH, grad_x, grad_weight, grad_bias));
    REFUSES(PN_MISALIGNED, LAYER(2, x, ODD(p), y, y, PN_TANH, grad_x, grad_weight, grad_bias));
    REFUSES(PN_MISALIGNED, LAYER(2, x, p, ODD(y), y, PN_TANH, grad_x, grad_weight, grad_bias));
    REFUSES(PN_MISALIGNED, LAYER(2, x, p, y, y, PN_TANH, ODD(grad_x), grad_weight, grad_bias));
    REFUSES(PN_MISALIGNED, LAYER(2, x, p, y, y, PN_TANH, grad_x, grad_weight, ODD(grad_bias)));
    REFUSES(PN_OVERLAP, LAYER(2, x, p, y, y, PN_TANH, w->parameters + 5, grad_weight, grad_bias));
    REFUSES(PN_OVERLAP, LAYER(2, x, p, y, y, PN_TANH, grad_x, grad_weight, y + 3));
    {
        REAL *inside = (REAL *)(void *)(space + 64); /* each array in the workspace */
        REFUSES(PN_OVERLAP, LAYER(2, inside, p, y, y, PN_TANH, grad_x, grad_weight, grad_bias));
        REFUSES(PN_OVERLAP, LAYER(2, x, inside, y, y, PN_TANH, grad_x, grad_weight, grad_bias));
        REFUSES(PN_OVERLAP, LAYER(2, x, p, inside, y, PN_TANH, grad_x, grad_weight, grad_bias));
        REFUSES(PN_OVERLAP, LAYER(2, x, p, y, inside, PN_TANH, grad_x, grad_weight, grad_bias));
        REFUSES(PN_OVERLAP, LAYER(2, x, p, y, y, PN_TANH, inside, grad_weight, grad_bias));
        REFUSES(PN_OVERLAP, LAYER(2, x, p, y, y, PN_TANH, grad_x, inside, grad_bias));
        REFUSES(PN_OVERLAP, LAYER(2, x, p, y, y, PN_TANH, grad_x, grad_weight, inside));
    }
#define LAYER_Z(z, f) \
    FN(pn_dense_backward)(2, 3, 2, x, p, z, y, y, f, grad_x, grad_weight, grad_bias, space, room)
    REFUSES(PN_NULL_POINTER, LAYER_Z(NULL, PN_GELU));
    REFUSES(PN_NULL_POINTER, LAYER_Z(NULL, PN_GELU_TANH));
    REFUSES(PN_NULL_POINTER, LAYER_Z(NULL, PN_SILU));
    REFUSES(PN_NULL_POINTER, LAYER_Z(NULL, PN_MISH));
    REFUSES(PN_MISALIGNED, LAYER_Z(ODD(y), PN_GELU));
    REFUSES(PN_MISALIGNED, LAYER_Z(ODD(y), PN_TANH));
    REFUSES(PN_OVERLAP, LAYER_Z(grad_x + 5, PN_GELU));
    REFUSES(PN_OVERLAP, LAYER_Z((REAL *)(void *)(space + 64), PN_GELU));
    CHECK(LAYER_Z(y, PN_GELU) == PN_OK);
    FN(reset)();
#undef LAYER_Z
    CHECK(FN(pn_dense_workspace)(2, 3, 2, &n_bytes) == PN_OK);
    asked_for[sizeof(REAL) / 8][3] = n_bytes;
    FIND_NEED(smallest, n_bytes, most_needed[sizeof(REAL) / 8][3],
              FN(pn_dense_backward)(2, 3, 2, x, p, NULL, y, y, PN_TANH, grad_x, grad_weight, grad_bias, space, smallest));
    REFUSES(PN_WORKSPACE_TOO_SMALL, FN(pn_dense_backward)(2, 3, 2, x, p, NULL, y, y, PN_TANH, grad_x, grad_weight,
                                                          grad_bias, space, smallest - 1));
    REFUSES(PN_NULL_POINTER, FN(pn_dense_backward)(2, 3, 2, x, p, NULL, y, y, PN_TANH, grad_x, grad_weight, grad_bias,
                                                   NULL, n_bytes));
    {
        REAL all[14];
        CHECK(LAYER(2, x, p, y, y, PN_TANH, grad_x, grad_weight, grad_bias) == PN_OK);
        memcpy(all, grad_x, sizeof all);
        for (int i = 0; i < 14; i++)
            CHECK(!isnan(all[i]));
        CHECK(isnan(grad_x[14]));
        for (int wanted = 0; wanted < 8; wanted++) { /* each output alone, and any of them together */
            FN(reset)();
            CHECK(LAYER(2, x, p, y, y, PN_TANH, wanted & 1 ? grad_x : NULL, wanted & 2 ? grad_weight : NULL,
                        wanted & 4 ? grad_bias : NULL) == PN_OK);
            for (int i = 0; i < 14; i++)
                CHECK((wanted >> (i < 6 ? 0 : i < 12 ? 1 : 2)) & 1 ? grad_x[i] == all[i] : isnan(grad_x[i]));
        }
        FN(reset)();
    }
#undef LAYER
#undef ODD
}

#undef REFUSES
#undef FORWARD
#undef GRADIENT
#undef TRAIN
#undef STEP
#endif
