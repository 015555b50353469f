/*
 * Trains the XOR networks of two tutorials with plainnet, without Python. From the root of the sources:
 *
 *     cc -std=c11 -O3 -Icsrc examples/xor.c csrc/(every .c file) -lm -lpthread -o xor
 *
 *     ./xor                                  trains both from the starting weights below
 *     ./xor layered|two_layer f64|f32        reads the starting parameters from stdin, one C99 hex float each; prints
 *                                            the trained parameters, then the predictions, one "%a" a line
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plainnet.h"

#define N_ROWS 4
#define MAX_INPUTS 3
#define MAX_PARAMETERS 16
#define EPOCHS 1500

/* A network is an array of layers and a loss. It holds no parameters, and no function writes to it. */
static const pn_layer layered_layers[] = {{2, 3, PN_TANH, 1, NULL}, {3, 1, PN_SIGMOID, 1, NULL}};
static const pn_layer two_layer_layers[] = {{3, 4, PN_SIGMOID, 0, NULL}, {4, 1, PN_SIGMOID, 0, NULL}};

static const struct problem {
    const char *name;
    pn_network network;
    double learning_rate;
    double x[N_ROWS * MAX_INPUTS];      /* x[N_ROWS][n_in], without gaps */
    double start[MAX_PARAMETERS];       /* weight[n_in][n_out], then bias[n_out], of each layer */
} problems[] = {
    {
        "layered", {.n_layers = 2, .layers = layered_layers, .loss = PN_LOG_LOSS}, 0.1,
        {0, 0,  0, 1,  1, 0,  1, 1},
        {-0.4167578474054706, -2.136196095668454, -1.7934355851948631,
         -0.056266827226329474, 1.6402708084049886, -0.841747365656204,
         0, 0, 0,
         0.5028814171580428, -1.2452880866072316, -1.057952218862339,
         0},
    },
    {
        "two_layer", {.n_layers = 2, .layers = two_layer_layers, .loss = PN_SUM_OF_SQUARES}, 1,
        {0, 0, 1,  0, 1, 1,  1, 0, 1,  1, 1, 1},
        {0.417022004702574, 0.7203244934421581, 0.00011437481734488664, 0.30233257263183977,
         0.14675589081711304, 0.0923385947687978, 0.1862602113776709, 0.34556072704304774,
         0.39676747423066994, 0.538816734003357, 0.4191945144032948, 0.6852195003967595,
         0.20445224973151743, 0.8781174363909454, 0.027387593197926163, 0.6704675101784022},
    },
};

static const double y[N_ROWS] = {0, 1, 1, 0};

/* Every call returns a status. On error it has written nothing, with the exception of PN_DIVERGED: see plainnet.h. */
static void check(pn_status status)
{
    if (status != PN_OK) {
        fprintf(stderr, "xor: %s\n", pn_status_message(status));
        exit(EXIT_FAILURE);
    }
}

static void fail(const char *message)
{
    fprintf(stderr, "xor: %s\n", message);
    exit(EXIT_FAILURE);
}

/* The library allocates nothing. It tells how much workspace a call needs, and the caller provides it. */
static void *allocate(size_t n_bytes)
{
    void *workspace = malloc(n_bytes > 0 ? n_bytes : 1);
    if (workspace == NULL)
        fail("out of memory");
    return workspace;
}

/* Trains parameters in place; losses[EPOCHS], predictions[N_ROWS]. */
static void train_f64(const struct problem *p, double *parameters, double *losses, double *predictions)
{
    const pn_training training = {.epochs = EPOCHS, .learning_rate = p->learning_rate};
    size_t n_bytes;
    check(pn_train_workspace_f64(N_ROWS, &p->network, &training, &n_bytes));
    void *workspace = allocate(n_bytes);

    /*
     * max_steps = 0 would run to the end in one call. Between slices, as here, a program can show progress, look at the
     * clock or save the parameters. The bits are the same.
     */
    pn_progress progress = {0};
    while (progress.epoch < EPOCHS)
        check(pn_train_f64(N_ROWS, &p->network, &training, parameters, NULL, p->x, y, NULL, 500, losses, &progress,
                           workspace, n_bytes));
    free(workspace);

    check(pn_forward_workspace_f64(N_ROWS, &p->network, &n_bytes));
    workspace = allocate(n_bytes);
    check(pn_forward_f64(N_ROWS, &p->network, parameters, p->x, predictions, workspace, n_bytes));
    free(workspace);
}

/* The same in single precision, in one call. */
static void train_f32(const struct problem *p, float *parameters, double *losses, float *predictions)
{
    const pn_training training = {.epochs = EPOCHS, .learning_rate = p->learning_rate};
    float x32[N_ROWS * MAX_INPUTS], y32[N_ROWS];
    for (int k = 0; k < N_ROWS * MAX_INPUTS; k++)
        x32[k] = (float)p->x[k];
    for (int k = 0; k < N_ROWS; k++)
        y32[k] = (float)y[k];

    size_t n_bytes;
    pn_progress progress = {0};
    check(pn_train_workspace_f32(N_ROWS, &p->network, &training, &n_bytes));
    void *workspace = allocate(n_bytes);
    check(pn_train_f32(N_ROWS, &p->network, &training, parameters, NULL, x32, y32, NULL, 0, losses, &progress, workspace,
                       n_bytes));
    free(workspace);

    check(pn_forward_workspace_f32(N_ROWS, &p->network, &n_bytes));
    workspace = allocate(n_bytes);
    check(pn_forward_f32(N_ROWS, &p->network, parameters, x32, predictions, workspace, n_bytes));
    free(workspace);
}

static void show(const struct problem *p)
{
    const int epochs[] = {0, 1, 10, 100, 1000, EPOCHS - 1};
    double parameters[MAX_PARAMETERS], losses[EPOCHS], predictions[N_ROWS];
    memcpy(parameters, p->start, sizeof parameters);
    train_f64(p, parameters, losses, predictions);

    printf("%s\n  epoch  loss before it\n", p->name);
    for (size_t k = 0; k < sizeof epochs / sizeof *epochs; k++)
        printf("  %5d  %.6f\n", epochs[k], losses[epochs[k]]);
    printf("  input  truth  prediction\n");
    for (int row = 0; row < N_ROWS; row++) {
        const double *x = p->x + (size_t)row * p->network.layers[0].n_in;
        printf("  %.0f %.0f    %.0f      %.6f\n", x[0], x[1], y[row], predictions[row]);
    }
}

static void read_train_write(const struct problem *p, int single)
{
    size_t n;
    double losses[EPOCHS], parameters[MAX_PARAMETERS], predictions[N_ROWS];
    float parameters32[MAX_PARAMETERS], predictions32[N_ROWS];
    check(pn_n_parameters(&p->network, &n));
    for (size_t k = 0; k < n; k++) {
        if (scanf("%lf", &parameters[k]) != 1)
            fail("too few starting parameters on stdin");
        parameters32[k] = (float)parameters[k];
    }
    if (single)
        train_f32(p, parameters32, losses, predictions32);
    else
        train_f64(p, parameters, losses, predictions);
    for (size_t k = 0; k < n; k++)
        printf("%a\n", single ? (double)parameters32[k] : parameters[k]);
    for (int row = 0; row < N_ROWS; row++)
        printf("%a\n", single ? (double)predictions32[row] : predictions[row]);
}

int main(int argc, char **argv)
{
    const struct problem *layered = &problems[0], *two_layer = &problems[1];
    if (argc == 1) {
        show(layered);
        show(two_layer);
        return EXIT_SUCCESS;
    }
    const struct problem *p = NULL;
    if (argc == 3)
        p = strcmp(argv[1], "layered") == 0 ? layered : strcmp(argv[1], "two_layer") == 0 ? two_layer : NULL;
    if (p == NULL || (strcmp(argv[2], "f64") != 0 && strcmp(argv[2], "f32") != 0)) {
        fprintf(stderr, "usage: xor [layered|two_layer f64|f32]\n");
        return 2;
    }
    read_train_write(p, strcmp(argv[2], "f32") == 0);
    return EXIT_SUCCESS;
}
