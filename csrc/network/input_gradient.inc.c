/* Derivatives with respect to the input: of the loss, and of each output. */

pn_status FN(pn_input_gradient)(size_t n_rows, const pn_network *network, const real *parameters,
                                const real *x, const real *y, real *grad_x, void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    PN_TRY(FN(measure)(n_rows, network, &e));
    const pn_array outputs[] = {PN_ARRAY(grad_x, n_rows * e.n_in), {workspace, workspace_bytes, 1}};
    const FN(model) model = {.network = network, .kernels = &isa->MEMBER, .e = e,
                             .parameters = (real *)parameters}; /* which are only read */
    FN(rows) rows = {.n = n_rows, .x = x, .y = y};
    PN_TRY(FN(check_loss_call)(&model, &rows, outputs, 2));
    for (size_t row = 0, m; row < n_rows; row += m) {
        m = FN(block_rows)(n_rows - row);
        FN(tape) tape = FN(make_tape)(pn_align_workspace(workspace), m, &e, 0);
        FN(loss)(&model, &rows, row, m, &tape);
        FN(backward)(m, &model, tape, 0, 0, NULL, grad_x + row * e.n_in);
    }
    return PN_OK;
}

/* A block of rows needs grad_x besides its outputs. */
static size_t FN(jacobian_bytes)(size_t n_rows, const pn_network *network, const FN(pn_kernels) *kernels,
                                 const FN(extent) *e)
{
    size_t m = FN(block_rows)(n_rows);
    return PN_WORKSPACE_ALIGNMENT + FN(arena_bytes)(m * e->n_in) + FN(outputs_bytes)(m, network, kernels, e);
}

/* *e = the sizes of the network, of which all elements of the Jacobian can be counted. */
static pn_status FN(measure_jacobian)(size_t n_rows, const pn_network *network, FN(extent) *e)
{
    size_t total = 0;
    PN_TRY(FN(measure)(n_rows, network, e));
    return pn_add_product(&total, n_rows, e->n_out, e->n_in);
}

pn_status FN(pn_jacobian_workspace)(size_t n_rows, const pn_network *network, size_t *n_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(measure_jacobian)(n_rows, network, &e));
    PN_MAX_OVER_ISAS(n_bytes, kernels, FN(jacobian_bytes)(n_rows, network, kernels, &e));
    return PN_OK;
}

/* jacobian[m][n_out][n_in] of the m rows x: for each output, the gradient of that output alone goes back to the input. */
static void FN(jacobian_block)(size_t m, const FN(model) *model, const real *x, real *jacobian, char *space)
{
    const size_t n_in = model->e.n_in, n_out = model->e.n_out;
    real *grad_x = FN(arena_alloc)(&space, m * n_in);
    const FN(outputs) outputs = FN(compute_outputs)(m, model, x, space);
    for (size_t j = 0; j < n_out; j++) {
        FN(begin_at_output)(m, model, &outputs, j, NULL);
        FN(backward)(m, model, outputs.tape, 0, 0, NULL, grad_x);
        for (size_t i = 0; i < m; i++)
            memcpy(jacobian + (i * n_out + j) * n_in, grad_x + i * n_in, n_in * sizeof(real));
    }
}

pn_status FN(pn_jacobian)(size_t n_rows, const pn_network *network, const real *parameters, const real *x,
                          real *jacobian, void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    PN_TRY(FN(measure_jacobian)(n_rows, network, &e));
    const pn_array inputs[] = {PN_ARRAY(parameters, e.n_parameters), PN_ARRAY(x, n_rows * e.n_in)};
    const pn_array outputs[] = {PN_ARRAY(jacobian, n_rows * e.n_out * e.n_in), {workspace, workspace_bytes, 1}};
    PN_TRY(pn_check_arrays(inputs, 2, outputs, 2));
    PN_REQUIRE(workspace_bytes >= FN(jacobian_bytes)(n_rows, network, &isa->MEMBER, &e), PN_WORKSPACE_TOO_SMALL);
    const FN(model) model = {.network = network, .kernels = &isa->MEMBER, .e = e,
                             .parameters = (real *)parameters}; /* which are only read */
    for (size_t row = 0, m; row < n_rows; row += m) {
        m = FN(block_rows)(n_rows - row);
        FN(jacobian_block)(m, &model, x + row * e.n_in, jacobian + row * e.n_out * e.n_in,
                           pn_align_workspace(workspace));
    }
    return PN_OK;
}
