/* The loss of a whole network, and its gradient. */

/* Whether the probabilities of a row do, but for what they may have been rounded by. */
static int FN(sums_to_1)(size_t n, const real *y)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += (double)y[j];
    return fabs(sum - 1) <= (sizeof(real) == sizeof(double) ? 1e-6 : 1e-3);
}

/* Finite, at least 0, and not all 0. */
static pn_status FN(check_weights)(size_t n_rows, const real *weight)
{
    double sum = 0;
    int negative = 0;
    for (size_t i = 0; i < n_rows; i++) {
        negative |= !(weight[i] >= 0);
        sum += (double)weight[i];
    }
    return negative || !(sum > 0 && isfinite(sum)) ? PN_BAD_SAMPLE_WEIGHT : PN_OK;
}

static pn_status FN(check_data)(const FN(rows) *rows, const FN(model) *model)
{
    const pn_loss_description *loss = &pn_losses[model->network->loss];
    const size_t n_rows = rows->n;
    const real *x = rows->x, *y = rows->y;
    const size_t n_out = model->e.n_out, n_targets = n_rows * model->e.n_targets;
    const double max_target = loss->labels ? (double)(n_out - 1) : loss->max_target;
    int outside = 0;
    PN_REQUIRE(model->kernels->all_finite(n_rows * model->e.n_in, x), PN_DATA_NOT_FINITE);
    PN_REQUIRE(model->kernels->all_finite(n_targets, y), PN_DATA_NOT_FINITE);
    if (isfinite(loss->min_target) || isfinite(max_target))
        for (size_t i = 0; i < n_targets; i++)
            outside |= !(y[i] >= loss->min_target && y[i] <= max_target);
    PN_REQUIRE(!outside, loss->bad_target);
    if (loss->labels)
        for (size_t i = 0; i < n_rows; i++)
            outside |= (real)(size_t)y[i] != y[i];
    if (loss->probabilities)
        for (size_t i = 0; i < n_rows; i++)
            outside |= !FN(sums_to_1)(n_out, y + i * n_out);
    PN_REQUIRE(!outside, loss->bad_target);
    return rows->weight == NULL ? PN_OK : FN(check_weights)(n_rows, rows->weight);
}

static size_t FN(gradient_bytes)(size_t n_rows, const pn_network *network, const FN(pn_kernels) *kernels,
                                 const FN(extent) *e)
{
    const FN(sums) sums = FN(plan_sums)(n_rows, e->n_parameters);
    return PN_WORKSPACE_ALIGNMENT + FN(sums_bytes)(&sums) +
           FN(tape_bytes)(FN(block_rows)(n_rows), network, kernels, e, 0);
}

/*
 * Checks the arrays of a call that computes a loss, the last of the outputs its workspace, and its data. Then the rows
 * have their denominator.
 */
static pn_status FN(check_loss_call)(const FN(model) *model, FN(rows) *rows, const pn_array *outputs, size_t n_outputs)
{
    const FN(extent) *e = &model->e;
    const pn_array inputs[] = {PN_ARRAY(model->parameters, e->n_parameters), PN_ARRAY(rows->x, rows->n * e->n_in),
                               PN_ARRAY(rows->y, rows->n * e->n_targets),
                               PN_ARRAY(rows->weight, rows->weight == NULL ? 0 : rows->n)};
    PN_TRY(pn_check_arrays(inputs, 4, outputs, n_outputs));
    PN_REQUIRE(outputs[n_outputs - 1].bytes >= FN(gradient_bytes)(rows->n, model->network, model->kernels, e),
               PN_WORKSPACE_TOO_SMALL);
    FN(set_denominator)(model->network, rows);
    return FN(check_data)(rows, model);
}

pn_status FN(pn_gradient_workspace)(size_t n_rows, const pn_network *network, size_t *n_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(measure)(n_rows, network, &e));
    PN_MAX_OVER_ISAS(n_bytes, kernels, FN(gradient_bytes)(n_rows, network, kernels, &e));
    return PN_OK;
}

/* The loss of rows that have been checked; gradient = its gradient. space: gradient_bytes, aligned. */
static double FN(gradient_of_rows)(const FN(model) *model, const FN(rows) *rows, real *gradient, char *space)
{
    const FN(extent) *e = &model->e;
    FN(sums) sums = FN(plan_sums)(rows->n, e->n_parameters);
    double sum;
    if (sums.n_blocks == 0) {
        FN(tape) tape = FN(make_tape)(space, rows->n, e, 0);
        sum = FN(loss)(model, rows, 0, rows->n, &tape);
        FN(backward)(rows->n, model, tape, 1, 0, gradient, NULL);
    } else {
        FN(alloc_sums)(&sums, &space);
        sums.tape_bytes = FN(tape_bytes)(PN_BLOCK_ROWS, model->network, model->kernels, e, 0);
        sum = FN(sum_blocks)(model, rows, &sums, space);
        memcpy(gradient, sums.total, e->n_parameters * sizeof(real));
    }
    if (e->has_penalty) {
        sum += FN(penalty)(model, rows);
        FN(add_penalty)(model, rows->penalty_scale, gradient);
    }
    return sum / rows->denominator;
}

pn_status FN(pn_loss_and_gradient)(size_t n_rows, const pn_network *network, const real *parameters,
                                   const real *x, const real *y, const real *sample_weight,
                                   double *loss, real *gradient, void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    PN_TRY(FN(measure)(n_rows, network, &e));
    const pn_array outputs[] = {PN_ARRAY(loss, 1), PN_ARRAY(gradient, e.n_parameters), {workspace, workspace_bytes, 1}};
    const FN(model) model = {.network = network, .kernels = &isa->MEMBER, .e = e,
                             .parameters = (real *)parameters}; /* which are only read */
    FN(rows) rows = {.n = n_rows, .x = x, .y = y, .weight = sample_weight};
    PN_TRY(FN(check_loss_call)(&model, &rows, outputs, 3));
    *loss = FN(gradient_of_rows)(&model, &rows, gradient, pn_align_workspace(workspace));
    return PN_OK;
}
