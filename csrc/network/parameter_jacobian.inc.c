/* The derivatives of each output of each row with respect to the parameters. */

/*
 * jacobian[m][n_parameters], its rows `stride` apart: the gradient that each row's grad_z[0] of the last layer has. With
 * x, what the row gives to a layer, weight[k][n] gets x[k] grad_z[n], and bias[n] gets grad_z[n].
 */
static void FN(backward_by_rows)(size_t m, const FN(model) *model, FN(tape) tape, size_t stride, real *jacobian)
{
    const real *a = tape.a + m * model->e.hidden, *z = tape.z + m * model->e.hidden_z;
    size_t offset = model->e.n_parameters;
    for (size_t l = model->network->n_layers; l-- > 0;) {
        const FN(storage) storage = FN(storage_of)(model, l);
        offset -= storage.size;
        FN(pn_dense_layer) layer = FN(layer_at)(model, l, m, storage, model->parameters + offset, tape.products);
        real *grad_z = tape.grad_z[0];
        const real *x = tape.x;
        if (l > 0) {
            pn_activation f_prev = model->network->layers[l - 1].activation;
            const int kept_z = pn_activations[f_prev].backward_needs_z;
            x = a -= m * layer.k;
            z -= kept_z ? m * layer.k : 0;
            model->kernels->dense_backward_x(&layer, grad_z, f_prev, kept_z ? z : NULL, a, tape.grad_z[1]);
        }
        for (size_t i = 0; i < m; i++) {
            const real *restrict x_i = x + i * layer.k, *restrict grad = grad_z + i * layer.n;
            real *restrict weight = jacobian + i * stride + offset;
            for (size_t k = 0; k < layer.k; k++)
                for (size_t n = 0; n < layer.n; n++)
                    weight[k * layer.n + n] = x_i[k] * grad[n];
            if (layer.bias != NULL)
                memcpy(weight + storage.n_weight, grad, layer.n * sizeof(real));
        }
        tape.grad_z[0] = tape.grad_z[1];
        tape.grad_z[1] = grad_z;
    }
}

/*
 * jacobian[m][n_out][n_parameters] of the m rows x, times scale[m] if that is not NULL: for each output, the gradient of
 * that output alone goes back through the layers.
 */
static void FN(parameter_jacobian)(size_t m, const FN(model) *model, const real *x, const real *scale, real *jacobian,
                                   char *space)
{
    const size_t n_out = model->e.n_out, stride = n_out * model->e.n_parameters;
    const FN(outputs) outputs = FN(compute_outputs)(m, model, x, space);
    for (size_t j = 0; j < n_out; j++) {
        FN(begin_at_output)(m, model, &outputs, j, scale);
        FN(backward_by_rows)(m, model, outputs.tape, stride, jacobian + j * model->e.n_parameters);
    }
}

/* *e = the sizes of the network, of which all elements of the Jacobian can be counted. */
static pn_status FN(measure_parameter_jacobian)(size_t n_rows, const pn_network *network, FN(extent) *e)
{
    size_t total = 0;
    PN_TRY(FN(measure)(n_rows, network, e));
    return pn_add_product(&total, n_rows, e->n_out, e->n_parameters);
}

pn_status FN(pn_jacobian_parameters_workspace)(size_t n_rows, const pn_network *network, size_t *n_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(measure_parameter_jacobian)(n_rows, network, &e));
    PN_MAX_OVER_ISAS(n_bytes, kernels, PN_WORKSPACE_ALIGNMENT +
                     FN(outputs_bytes)(FN(block_rows)(n_rows), network, kernels, &e));
    return PN_OK;
}

pn_status FN(pn_jacobian_parameters)(size_t n_rows, const pn_network *network, const real *parameters, const real *x,
                                     real *jacobian, void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    PN_TRY(FN(measure_parameter_jacobian)(n_rows, network, &e));
    const pn_array inputs[] = {PN_ARRAY(parameters, e.n_parameters), PN_ARRAY(x, n_rows * e.n_in)};
    const pn_array outputs[] = {PN_ARRAY(jacobian, n_rows * e.n_out * e.n_parameters), {workspace, workspace_bytes, 1}};
    PN_TRY(pn_check_arrays(inputs, 2, outputs, 2));
    const size_t needed =
        PN_WORKSPACE_ALIGNMENT + FN(outputs_bytes)(FN(block_rows)(n_rows), network, &isa->MEMBER, &e);
    PN_REQUIRE(workspace_bytes >= needed, PN_WORKSPACE_TOO_SMALL);
    const FN(model) model = {.network = network, .kernels = &isa->MEMBER, .e = e,
                             .parameters = (real *)parameters}; /* which are only read */
    for (size_t row = 0, m; row < n_rows; row += m) {
        m = FN(block_rows)(n_rows - row);
        FN(parameter_jacobian)(m, &model, x + row * e.n_in, NULL, jacobian + row * e.n_out * e.n_parameters,
                               pn_align_workspace(workspace));
    }
    return PN_OK;
}
