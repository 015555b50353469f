/* A network with its kernels and parameters, and the order in which these are stored. */

typedef struct FN(model) {
    const pn_network *network;
    const FN(pn_kernels) *kernels;
    FN(extent) e;
    real *parameters;      /* as the caller has them or, with packed_rows, stored as FN(pack_parameters) says */
    size_t packed_rows;    /* not 0: weights are packed for batches of about so many rows, where that pays */
} FN(model);

/*
 * How a layer's parameters are stored: n_weight elements for its weights, packed or row-major, then its bias; `size`
 * elements in all. Gradients, and sums of them, are stored alike, so elementwise passes see all layers as one stretch.
 */
typedef struct FN(storage) {
    int packed;
    size_t n_weight, size;
} FN(storage);

static FN(storage) FN(storage_of)(const FN(model) *model, size_t l)
{
    const pn_layer *layer = &model->network->layers[l];
    size_t k = layer->n_in, n = layer->n_out, n_bias = layer->has_bias ? n : 0;
    if (model->packed_rows == 0)
        return (FN(storage)){0, k * n, k * n + n_bias};
    size_t packed = model->kernels->packed_size(model->packed_rows, k, n), n_weight = packed > 0 ? packed : k * n;
    return (FN(storage)){packed > 0, n_weight, FN(arena_bytes)(n_weight + n_bias) / sizeof(real)};
}

/* Elements of all parameters as they are stored. */
static size_t FN(n_stored)(const FN(model) *model)
{
    size_t n = 0;
    for (size_t l = 0; l < model->network->n_layers; l++)
        n += FN(storage_of)(model, l).size;
    return n;
}

/* `rows`, if weights of some layer are better packed for batches of so many rows, else 0. */
static size_t FN(rows_to_pack_for)(size_t rows, const pn_network *network, const FN(pn_kernels) *kernels)
{
    for (size_t l = 0; l < network->n_layers; l++)
        if (kernels->packed_size(rows, network->layers[l].n_in, network->layers[l].n_out) > 0)
            return rows;
    return 0;
}

/* stored = parameters, which are as the caller has them. What lies between packed panels becomes 0, and stays that. */
static void FN(pack_parameters)(const FN(model) *model, const real *parameters, real *stored)
{
    memset(stored, 0, FN(n_stored)(model) * sizeof(real));
    for (size_t l = 0; l < model->network->n_layers; l++) {
        const pn_layer *layer = &model->network->layers[l];
        size_t n_weight = layer->n_in * layer->n_out, n_bias = layer->has_bias ? layer->n_out : 0;
        FN(storage) storage = FN(storage_of)(model, l);
        if (storage.packed)
            model->kernels->pack(layer->n_in, layer->n_out, parameters, stored);
        else
            memcpy(stored, parameters, n_weight * sizeof(real));
        memcpy(stored + storage.n_weight, parameters + n_weight, n_bias * sizeof(real));
        parameters += n_weight + n_bias;
        stored += storage.size;
    }
}

/* And back. */
static void FN(unpack_parameters)(const FN(model) *model, const real *stored, real *parameters)
{
    for (size_t l = 0; l < model->network->n_layers; l++) {
        const pn_layer *layer = &model->network->layers[l];
        size_t n_weight = layer->n_in * layer->n_out, n_bias = layer->has_bias ? layer->n_out : 0;
        FN(storage) storage = FN(storage_of)(model, l);
        if (storage.packed)
            model->kernels->unpack(layer->n_in, layer->n_out, stored, parameters);
        else
            memcpy(parameters, stored, n_weight * sizeof(real));
        memcpy(parameters + n_weight, stored + storage.n_weight, n_bias * sizeof(real));
        parameters += n_weight + n_bias;
        stored += storage.size;
    }
}

/* The sum of what the kernel add_norms adds up. */
static double FN(sum_of_norms)(const double sums[PN_NORM_SUMS])
{
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* The kernels' description of layer l, applied to m rows. The layer's parameters begin at `parameters`. */
static FN(pn_dense_layer) FN(layer_at)(const FN(model) *model, size_t l, size_t m, FN(storage) storage,
                                       const real *parameters, real *products)
{
    const pn_layer *layer = &model->network->layers[l];
    return (FN(pn_dense_layer)){
        .m = m, .k = layer->n_in, .n = layer->n_out, .weight = parameters, .packed = storage.packed,
        .bias = layer->has_bias ? parameters + storage.n_weight : NULL, .f = layer->activation, .workspace = products,
    };
}
