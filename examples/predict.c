/*
 * Loads a network from a model file (docs/reference/model_files.md), and runs it, without Python. From the root of the
 * sources:
 *
 *     cc -std=c11 -O3 -Icsrc examples/predict.c csrc/(every .c file) -lm -lpthread -o predict
 *     ./predict model.safetensors <rows.txt
 *
 * Each row of inputs, numbers with white space between them, gives a line of outputs. The program reads what `net.save`
 * writes, with or without a state of training; of files by other software, those whose JSON has no white space. It does not
 * check the checksum.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plainnet.h"

#define MAX_LAYERS 64

struct model {
    size_t n_layers, item_size;         /* 4: parameters, inputs and outputs are float; 8: double */
    pn_layer layers[MAX_LAYERS];
    void *parameters;                   /* weight, then bias, of the first layer, then of the second, ... */
};

static _Noreturn void fail(const char *message)
{
    fprintf(stderr, "predict: %s\n", message);
    exit(EXIT_FAILURE);
}

static void check(pn_status status)
{
    if (status != PN_OK)
        fail(pn_status_message(status));
}

static void *allocate(size_t n_bytes)
{
    void *memory = malloc(n_bytes > 0 ? n_bytes : 1);
    if (memory == NULL)
        fail("out of memory");
    return memory;
}

/* ---- The reader --------------------------------------------------------------------------------------- */

static const char *const activations[PN_N_ACTIVATIONS] = {      /* in the order of pn_activation */
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu", "mish", "softplus",
    "softmax",
};

static uint64_t little_endian(const unsigned char *bytes, size_t n)
{
    uint64_t number = 0;
    while (n-- > 0)
        number = number << 8 | bytes[n];
    return number;
}

/* Copies the numbers of a tensor to `to`, in this machine's byte order; returns how many bytes they take, 0 if it has none. */
static size_t read_tensor(struct model *model, const char *header, const unsigned char *data, size_t n_bytes,
                          const char *name, size_t shape[2], unsigned char *to, size_t room)
{
    size_t begin, end, bits;
    const char *entry = strstr(header, name), *offsets = entry == NULL ? NULL : strstr(entry, "\"data_offsets\":[");
    if (offsets == NULL)
        return 0;
    int n_sizes = sscanf(entry + strlen(name), "{\"dtype\":\"F%zu\",\"shape\":[%zu,%zu]", &bits, &shape[0], &shape[1]);
    if (n_sizes < 2 || (bits != 32 && bits != 64) || (model->item_size > 0 && model->item_size != bits / 8)
            || sscanf(offsets, "\"data_offsets\":[%zu,%zu]", &begin, &end) != 2
            || begin > end || end > n_bytes || end - begin > room)
        fail("a tensor is not as it should be");
    model->item_size = bits / 8;
    for (size_t k = begin; k + bits / 8 <= end; k += bits / 8, to += bits / 8) {
        uint64_t number = little_endian(data + k, bits / 8);
        uint32_t half = (uint32_t)number;
        memcpy(to, bits == 32 ? (void *)&half : (void *)&number, bits / 8);
    }
    return end - begin;
}

static void read_model(struct model *model, const unsigned char *file, size_t size)
{
    const uint64_t length = size < 8 ? 0 : little_endian(file, 8);
    if (size < 8 || length > size - 8)
        fail("the file is no model file, or is cut off");
    const size_t n_bytes = size - 8 - (size_t)length;
    char name[40], *header = allocate((size_t)length + 1);
    memcpy(header, file + 8, (size_t)length);
    header[length] = 0;
    const char *layer = header;
    unsigned char *next = model->parameters = allocate(n_bytes), *const end = next + n_bytes;
    for (size_t k = 0, shape[2]; k < MAX_LAYERS; k++, model->n_layers++) {
        snprintf(name, sizeof name, "\"layers.%zu.weight\":", k);
        size_t n = read_tensor(model, header, file + 8 + length, n_bytes, name, shape, next, (size_t)(end - next));
        if (n == 0)
            break;
        if (shape[1] == 0 || n / model->item_size / shape[1] != shape[0])
            fail("a weight is not as it should be");
        model->layers[k] = (pn_layer){shape[0], shape[1], PN_N_ACTIVATIONS, 0, NULL};
        next += n;
        snprintf(name, sizeof name, "\"layers.%zu.bias\":", k);
        n = read_tensor(model, header, file + 8 + length, n_bytes, name, shape, next, (size_t)(end - next));
        if (n > 0 && n / model->item_size != model->layers[k].n_out)
            fail("a bias is not as it should be");
        model->layers[k].has_bias = n > 0;
        next += n;
        char activation[16] = "";       /* of the layers in turn; it is in a string of JSON, where quotes are escaped */
        if ((layer = strstr(layer, "\\\"activation\\\":\\\"")) != NULL)
            sscanf(layer += strlen("\\\"activation\\\":\\\""), "%15[a-z_]", activation);
        for (int id = 0; id < PN_N_ACTIVATIONS; id++)
            if (strcmp(activation, activations[id]) == 0)
                model->layers[k].activation = (pn_activation)id;
        if (layer == NULL || model->layers[k].activation == PN_N_ACTIVATIONS)
            fail("an activation is missing or unknown");
    }
    free(header);
}

/* ---- The program -------------------------------------------------------------------------------------- */

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    long end = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0)
        end = ftell(file);
    if (end < 0)
        fail("the file cannot be read");
    unsigned char *content = allocate(*size = (size_t)end);
    rewind(file);
    if (fread(content, 1, *size, file) != *size)
        fail("the file cannot be read");
    fclose(file);
    return content;
}

static void run(const struct model *model)
{
    const pn_layer *last = &model->layers[model->n_layers - 1];
    const pn_loss loss = last->activation == PN_SOFTMAX ? PN_CROSS_ENTROPY : PN_SUM_OF_SQUARES;    /* it plays no role */
    const pn_network network = {.n_layers = model->n_layers, .layers = model->layers, .loss = loss};
    const size_t n_in = model->layers[0].n_in, n_out = last->n_out;
    double *x = allocate(n_in * sizeof *x), *out = allocate(n_out * sizeof *out);
    float *x32 = allocate(n_in * sizeof *x32), *out32 = allocate(n_out * sizeof *out32);
    size_t n_bytes, n_read = 0;
    check(model->item_size == 4 ? pn_forward_workspace_f32(1, &network, &n_bytes)
                                : pn_forward_workspace_f64(1, &network, &n_bytes));
    void *workspace = allocate(n_bytes);
    while (scanf("%lf", &x[n_read]) == 1) {
        x32[n_read] = (float)x[n_read];
        if (++n_read < n_in)
            continue;
        n_read = 0;
        if (model->item_size == 4)
            check(pn_forward_f32(1, &network, model->parameters, x32, out32, workspace, n_bytes));
        else
            check(pn_forward_f64(1, &network, model->parameters, x, out, workspace, n_bytes));
        for (size_t k = 0; k < n_out; k++)
            printf("%.17g%c", model->item_size == 4 ? (double)out32[k] : out[k], k + 1 < n_out ? ' ' : '\n');
    }
    if (n_read > 0 || !feof(stdin))
        fail("the last row has too few numbers, or something that is no number");
    free(workspace), free(x), free(out), free(x32), free(out32);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: predict model.safetensors <rows.txt\n");
        return 2;
    }
    size_t size;
    unsigned char *file = read_file(argv[1], &size);
    struct model model = {0};
    read_model(&model, file, size);
    free(file);
    if (model.n_layers == 0 || model.n_layers == MAX_LAYERS)
        fail("the file has no layers, or too many");
    run(&model);
    free(model.parameters);
    return EXIT_SUCCESS;
}
