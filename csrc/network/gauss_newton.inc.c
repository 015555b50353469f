/*
 * The Gauss-Newton approximation of the second derivatives of a loss of squares. The Jacobian of a block of rows is in
 * the workspace; that of all rows never exists.
 */

/* The Jacobian of a block has at most so many bytes, unless a single row has more. */
enum { FN(JACOBIAN_BYTES) = 1 << 24 };

/* The rows of a block, whose number no machine and no number of threads changes. */
static size_t FN(gauss_newton_rows)(size_t n_rows, const FN(extent) *e)
{
    size_t most = FN(JACOBIAN_BYTES) / (e->n_out * e->n_parameters * sizeof(real));
    most = most < 1 ? 1 : most < PN_BLOCK_ROWS ? most : PN_BLOCK_ROWS;
    return n_rows < most ? n_rows : most;
}

/* What follows the alignment of the workspace while the Hessian is added up. */
static size_t FN(hessian_bytes)(size_t m, const pn_network *network, const FN(pn_kernels) *kernels, const FN(extent) *e)
{
    return FN(arena_bytes)(m) + FN(arena_bytes)(m * e->n_out * e->n_parameters) +
           FN(arena_bytes)(kernels->gram_workspace(m * e->n_out, e->n_parameters)) +
           FN(outputs_bytes)(m, network, kernels, e);
}

static size_t FN(gauss_newton_bytes)(size_t n_rows, const pn_network *network, const FN(pn_kernels) *kernels,
                                     const FN(extent) *e)
{
    size_t gradient = FN(gradient_bytes)(n_rows, network, kernels, e);
    size_t hessian = PN_WORKSPACE_ALIGNMENT + FN(hessian_bytes)(FN(gauss_newton_rows)(n_rows, e), network, kernels, e);
    return gradient > hessian ? gradient : hessian; /* one after the other */
}

/* *e = the sizes of the network, of which all elements of the Hessian and of a row's Jacobian can be counted. */
static pn_status FN(measure_gauss_newton)(size_t n_rows, const pn_network *network, FN(extent) *e)
{
    size_t total = 0;
    PN_TRY(FN(measure)(n_rows, network, e));
    PN_REQUIRE(network->loss == PN_SUM_OF_SQUARES || network->loss == PN_MEAN_SQUARED_ERROR, PN_NEEDS_SQUARES);
    PN_TRY(pn_add_product(&total, e->n_parameters, e->n_parameters, 1));
    return pn_add_product(&total, PN_BLOCK_ROWS, e->n_out, e->n_parameters);
}

pn_status FN(pn_gauss_newton_workspace)(size_t n_rows, const pn_network *network, size_t *n_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(measure_gauss_newton)(n_rows, network, &e));
    PN_MAX_OVER_ISAS(n_bytes, kernels, FN(gauss_newton_bytes)(n_rows, network, kernels, &e));
    return PN_OK;
}

/* hessian = the sum of what the rows add, as far as its upper triangle; see the kernel add_gram. */
static void FN(sum_hessian)(const FN(model) *model, const FN(rows) *rows, real *hessian, char *space)
{
    const FN(extent) *e = &model->e;
    const size_t most = FN(gauss_newton_rows)(rows->n, e), n = e->n_parameters;
    real *scale = FN(arena_alloc)(&space, most), *jacobian = FN(arena_alloc)(&space, most * e->n_out * n);
    real *products = FN(arena_alloc)(&space, model->kernels->gram_workspace(most * e->n_out, n));
    for (size_t row = 0, m; row < rows->n; row += m) {
        m = rows->n - row < most ? rows->n - row : most;
        for (size_t i = 0; i < m; i++) {
            const double weight = rows->weight == NULL ? 1 : (double)rows->weight[row + i];
            scale[i] = (real)sqrt(2 * weight / rows->denominator);
        }
        FN(parameter_jacobian)(m, model, rows->x + row * e->n_in, scale, jacobian, space);
        for (size_t i = 0; i < m; i++)
            if (!(scale[i] > 0)) /* even where a derivative is not finite */
                memset(jacobian + i * e->n_out * n, 0, e->n_out * n * sizeof(real));
        model->kernels->add_gram(m * e->n_out, n, jacobian, row > 0, hessian, products);
    }
}

/* Adds the second derivatives of the layers' l2, and copies the upper triangle to the lower one. */
static void FN(finish_hessian)(const FN(model) *model, const FN(rows) *rows, real *hessian)
{
    const size_t n = model->e.n_parameters;
    for (size_t l = 0, first = 0; l < model->network->n_layers; l++) {
        const FN(storage) storage = FN(storage_of)(model, l);
        const real l2 = (real)(rows->penalty_scale * pn_options_of(&model->network->layers[l])->l2);
        for (size_t i = first; l2 > 0 && i < first + storage.n_weight; i++)
            hessian[i * n + i] += l2;
        first += storage.size;
    }
    for (size_t i = 1; i < n; i++)
        for (size_t j = 0; j < i; j++)
            hessian[i * n + j] = hessian[j * n + i];
}

pn_status FN(pn_gauss_newton)(size_t n_rows, const pn_network *network, const real *parameters, const real *x,
                              const real *y, const real *sample_weight, double *loss, real *gradient, real *hessian,
                              void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    PN_TRY(FN(measure_gauss_newton)(n_rows, network, &e));
    const pn_array outputs[] = {PN_ARRAY(loss, 1), PN_ARRAY(gradient, e.n_parameters),
                                PN_ARRAY(hessian, e.n_parameters * e.n_parameters), {workspace, workspace_bytes, 1}};
    const FN(model) model = {.network = network, .kernels = &isa->MEMBER, .e = e,
                             .parameters = (real *)parameters}; /* which are only read */
    FN(rows) rows = {.n = n_rows, .x = x, .y = y, .weight = sample_weight};
    PN_TRY(FN(check_loss_call)(&model, &rows, outputs, 4));
    PN_REQUIRE(workspace_bytes >= FN(gauss_newton_bytes)(n_rows, network, model.kernels, &e), PN_WORKSPACE_TOO_SMALL);
    *loss = FN(gradient_of_rows)(&model, &rows, gradient, pn_align_workspace(workspace));
    FN(sum_hessian)(&model, &rows, hessian, pn_align_workspace(workspace));
    FN(finish_hessian)(&model, &rows, hessian);
    return PN_OK;
}
