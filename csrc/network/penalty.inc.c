/* What the layers' l1 and l2 add to the loss and to its gradient. */

/* The sum over layers of l1 sum |weight| + l2/2 sum weight^2. Its bits do not depend on how weights are stored. */
static double FN(sum_penalty)(const FN(model) *model)
{
    const real *weight = model->parameters;
    double penalty = 0;
    for (size_t l = 0; l < model->network->n_layers; l++) {
        const pn_layer *layer = &model->network->layers[l];
        const pn_layer_options *options = pn_options_of(layer);
        const FN(storage) storage = FN(storage_of)(model, l);
        double sums[PN_NORM_SUMS] = {0};
        if (options->l1 > 0 || options->l2 > 0)
            model->kernels->add_norms(layer->n_in, layer->n_out, storage.packed, options->l1, options->l2 / 2, weight,
                                      sums);
        penalty += FN(sum_of_norms)(sums);
        weight += storage.size;
    }
    return penalty;
}

/* The penalty's share of the sum of the losses of these rows, which is yet to be divided. */
static double FN(penalty)(const FN(model) *model, const FN(rows) *rows)
{
    return FN(sum_penalty)(model) * rows->penalty_scale * rows->denominator;
}

/* gradient += scale times that of the sum; it is stored as the parameters are. */
static void FN(add_penalty)(const FN(model) *model, double scale, real *gradient)
{
    const real *weight = model->parameters;
    for (size_t l = 0; l < model->network->n_layers; l++) {
        const pn_layer_options *options = pn_options_of(&model->network->layers[l]);
        const FN(storage) storage = FN(storage_of)(model, l);
        if (options->l1 > 0 || options->l2 > 0)
            model->kernels->add_penalty(storage.n_weight, (real)(scale * options->l1), (real)(scale * options->l2),
                                        weight, gradient);
        weight += storage.size;
        gradient += storage.size;
    }
}
