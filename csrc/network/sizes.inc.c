/* The sizes of a network, checked against overflow, and the workspace, which is dealt out as an arena. */

/* Bytes of n_elements numbers in a workspace, where every array starts on a cache line. */
static size_t FN(arena_bytes)(size_t n_elements)
{
    const size_t line = PN_WORKSPACE_ALIGNMENT;
    return (n_elements * sizeof(real) + line - 1) / line * line;
}

/* The next array of a workspace. */
static real *FN(arena_alloc)(char **workspace, size_t n_elements)
{
    real *array = (real *)(void *)*workspace;
    *workspace += FN(arena_bytes)(n_elements);
    return array;
}

/* Finite and above 0, as a number of the network's type, too. */
static int FN(is_positive)(double value) { return value > 0 && (real)value > 0 && isfinite((real)value); }

static int FN(is_option)(double value) { return value == 0 || FN(is_positive)(value); }

/* Below 1, and not negative. */
static int FN(is_fraction)(double value) { return value >= 0 && value < 1; }

typedef struct FN(extent) {
    size_t n_parameters, n_in, n_out;  /* of the network */
    size_t n_targets;                  /* for each row: n_out, or 1 if the targets are labels */
    size_t max_width;                  /* of the widest layer's output */
    size_t hidden;                     /* neurons of all hidden layers */
    size_t hidden_z;                   /* and of those whose derivative is written in z */
    size_t hidden_dropout;             /* and of those that have dropout */
    int has_penalty, has_rates, has_limits; /* whether some layer has l1 or l2, a rate that is not 1, max_norm */
} FN(extent);

/* Checks the options of layer l, which has some, and notes them in *e. */
static pn_status FN(measure_options)(const pn_network *network, size_t l, FN(extent) *e)
{
    const pn_layer_options *o = network->layers[l].options;
    const int is_last = l + 1 == network->n_layers;
    PN_REQUIRE(FN(is_option)(o->l1) && FN(is_option)(o->l2) && FN(is_option)(o->max_norm) &&
                   FN(is_option)(o->weight_rate) && FN(is_option)(o->bias_rate) && FN(is_fraction)(o->dropout),
               PN_BAD_LAYER_OPTION);
    PN_REQUIRE(!is_last || o->dropout == 0, PN_DROPOUT_ON_LAST_LAYER);
    e->hidden_dropout += o->dropout > 0 ? network->layers[l].n_out : 0;
    e->has_penalty |= o->l1 > 0 || o->l2 > 0;
    e->has_rates |= o->weight_rate != 1 || o->bias_rate != 1;
    e->has_limits |= o->max_norm > 0;
    return PN_OK;
}

/*
 * Checks the network and n_rows, and that no array or workspace of theirs has more bytes than can be counted: the
 * factors are generous bounds. *e is written on success.
 */
static pn_status FN(measure)(size_t n_rows, const pn_network *network, FN(extent) *e)
{
    size_t total = 0;
    FN(extent) found = {0};
    PN_TRY(pn_check_network(network, &found.n_parameters));
    const pn_loss_description *loss = &pn_losses[network->loss];
    const real parameter = (real)network->loss_parameter;
    PN_REQUIRE(!loss->has_parameter || (parameter > (real)loss->above && parameter < (real)loss->below) ||
                   (loss->or_0 && parameter == 0),
               PN_BAD_LOSS_PARAMETER);
    PN_REQUIRE(FN(is_option)(network->loss_limit), PN_BAD_LOSS_PARAMETER);
    PN_REQUIRE(n_rows > 0, PN_NO_ROWS);
    found.n_in = network->layers[0].n_in;
    found.n_out = network->layers[network->n_layers - 1].n_out;
    found.n_targets = loss->labels ? 1 : found.n_out;
    PN_TRY(pn_add_product(&total, n_rows, found.n_in, 2));
    PN_TRY(pn_add_product(&total, found.n_parameters, 8, 1));
    for (size_t l = 0; l < network->n_layers; l++) {
        const pn_layer *layer = &network->layers[l];
        PN_TRY(pn_add_product(&total, n_rows, layer->n_out, 8));
        if (layer->options != NULL)
            PN_TRY(FN(measure_options)(network, l, &found));
        found.max_width = layer->n_out > found.max_width ? layer->n_out : found.max_width;
        if (l + 1 < network->n_layers) {
            found.hidden += layer->n_out;
            found.hidden_z += pn_activations[layer->activation].backward_needs_z ? layer->n_out : 0;
        }
    }
    *e = found;
    return PN_OK;
}

/* Elements of workspace for the products of the layer that needs most. */
static size_t FN(products)(size_t n_rows, const pn_network *network, size_t (*needed)(size_t m, size_t k, size_t n))
{
    size_t most = 0;
    for (size_t l = 0; l < network->n_layers; l++) {
        size_t elements = needed(n_rows, network->layers[l].n_in, network->layers[l].n_out);
        most = elements > most ? elements : most;
    }
    return most;
}

/* The cost of a row in a pass: some operations for each parameter, and about fifty for each activation. */
static double FN(operations_a_row)(double a_parameter, const FN(extent) *e)
{
    return a_parameter * (double)e->n_parameters + 50 * (double)(e->hidden + e->n_out);
}

/* What one core computes in a microsecond, in these operations. */
#define PN_OPERATIONS_PER_MICROSECOND 1.6e5
