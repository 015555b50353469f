/*
 * The forward pass of many rows through narrow layers. Rows run along the lanes through all layers: between two of them
 * activations lie transposed, as the next layer reads them. Only x and the output are transposed.
 */

/* Measured with networks of one to four layers of 1 to 32 neurons. */
enum {
    FN(NARROW_WIDTH) = 32,            /* the widest layer or input at most */
    FN(NARROW_FULL_VECTORS) = 8,      /* the same where layers are whole vectors, which dense/ computes fast */
    FN(NARROW_SINGLE) = 12,           /* the same of the output of a single layer */
    FN(NARROW_ROWS) = 8 * PN_LANES    /* rows that are computed together */
};

static int FN(narrow_fits)(size_t m, const pn_network *network)
{
    const size_t n_layers = network->n_layers;
    size_t widest = network->layers[0].n_in, uneven = 0;
    if (m < PN_NR || !FN(has_known_activations)(network, 0))
        return 0;
    for (size_t l = 0; l < n_layers; l++) {
        size_t n = network->layers[l].n_out;
        widest = n > widest ? n : widest;
        uneven += n > 1 && n % PN_LANES > 0;
    }
    if (widest > (size_t)FN(NARROW_WIDTH))
        return 0;
    if (n_layers == 1)
        return uneven > 0 && network->layers[0].n_out <= (size_t)FN(NARROW_SINGLE);
    return uneven > 0 || widest <= (size_t)FN(NARROW_FULL_VECTORS);
}

/* next[n_out][NARROW_ROWS] = f(bias + weight^T a), from a[n_in][NARROW_ROWS], for the first `panels` panels of rows. */
static void FN(narrow_layer)(const pn_layer *layer, const real *weight, size_t panels, const real *a, real *next)
{
    const size_t k = layer->n_in, n = layer->n_out, mr = FN(balanced_chunk)(n, PN_MR);
    const real *bias = layer->has_bias ? weight + k * n : NULL;
    for (size_t j = 0, neurons; j < n; j += neurons) {
        real init[PN_MR * PN_NR];
        neurons = FN(tile_rows)(n - j, mr);
        if (bias)
            FN(broadcast_rows)(neurons, PN_NR, bias + j, init);
        FN(microkernel_args) args = {
            .a = weight + j, .a_stride = n, .tail_depth = k,
            .b = a, .b_stride = FN(NARROW_ROWS), .b_panel_stride = PN_NR,
            .init = bias ? init : FN(zeros), .init_stride = bias ? PN_NR : 0,
            .c = next + j * FN(NARROW_ROWS), .c_stride = FN(NARROW_ROWS), .c_panel_stride = PN_NR,
        };
        FN(run_microkernels)(&args, neurons, panels, 1, 1);
    }
    if (panels * PN_NR == (size_t)FN(NARROW_ROWS))
        FN(activate)(n * FN(NARROW_ROWS), layer->activation, next, next);
    else
        for (size_t j = 0; j < n; j++, next += FN(NARROW_ROWS))
            FN(activate)(panels * PN_NR, layer->activation, next, next);
}

static void FN(narrow_forward)(size_t m, const pn_network *network, const real *parameters, const real *x, real *out)
{
    enum { ROWS = FN(NARROW_ROWS) };
    _Alignas(64) real activations[2][FN(NARROW_WIDTH) * FN(NARROW_ROWS)];
    const pn_layer *layers = network->layers;
    const size_t n_layers = network->n_layers, n_in = layers[0].n_in, n_out = layers[n_layers - 1].n_out;
    for (size_t row = 0; row < m; row += ROWS) {
        const size_t rows = FN(min)(m - row, ROWS);
        real *a = activations[0], *next = activations[1];
        const real *weight = parameters;
        FN(pack_transposed)(n_in, rows, x + row * n_in, n_in, a, ROWS);
        for (size_t r = FN(round_up)(rows, PN_LANES); r < FN(round_up)(rows, PN_NR); r += PN_LANES)
            for (size_t p = 0; p < n_in; p++)
                FN(store)(a + p * ROWS + r, (FN(vec)){0});
        for (size_t l = 0; l < n_layers; l++) {
            FN(narrow_layer)(&layers[l], weight, FN(ceil_div)(rows, PN_NR), a, next);
            weight += layers[l].n_in * layers[l].n_out + (layers[l].has_bias ? layers[l].n_out : 0);
            real *used = a;
            a = next;
            next = used;
        }
        if (n_out == 1)
            memcpy(out + row, a, rows * sizeof(real));
        else {
            const FN(product) transposed = {.c = out + row * n_out, .c_stride = n_out};
            FN(store_scaled_transposed)(&transposed, 0, n_out, n_out, 0, rows, a, ROWS);
        }
    }
}
