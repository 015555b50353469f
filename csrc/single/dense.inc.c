/* The public functions of one dense layer: checks, then the kernels. */

/*
 * Bytes of workspace for both passes: grad_z of a block of rows, what the products need and, for more rows than a
 * block, the gradients of the last block and the rounding errors of their sums.
 */
static size_t FN(dense_bytes)(const FN(pn_kernels) *kernels, size_t n_rows, size_t n_in, size_t n_out)
{
    size_t m = n_rows < PN_BLOCK_ROWS ? n_rows : PN_BLOCK_ROWS;
    size_t forward = kernels->dense_workspace(n_rows, n_in, n_out);
    size_t backward = kernels->dense_workspace(m, n_in, n_out);
    size_t sums = n_rows > PN_BLOCK_ROWS ? 2 * (n_in * n_out + n_out) : 0;
    return (m * n_out + sums + (forward > backward ? forward : backward)) * sizeof(real) + 2 * PN_WORKSPACE_ALIGNMENT;
}

static pn_status FN(check_sizes)(size_t n_rows, size_t n_in, size_t n_out)
{
    size_t total = 0;
    PN_REQUIRE(n_rows > 0, PN_NO_ROWS);
    PN_REQUIRE(n_in > 0 && n_out > 0, PN_NO_NEURONS);
    PN_TRY(pn_add_product(&total, n_rows, n_in, 1));
    PN_TRY(pn_add_product(&total, n_in, n_out, 3));
    PN_TRY(pn_add_product(&total, n_rows, n_out, 1));
    return PN_OK;
}

pn_status FN(pn_dense_workspace)(size_t n_rows, size_t n_in, size_t n_out, size_t *n_bytes)
{
    const pn_isa_kernels *isa;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(check_sizes)(n_rows, n_in, n_out));
    PN_MAX_OVER_ISAS(n_bytes, kernels, FN(dense_bytes)(kernels, n_rows, n_in, n_out));
    return PN_OK;
}

/* What both passes ask beyond their arrays. */
static pn_status FN(check_dense)(const FN(pn_kernels) *kernels, size_t n_rows, size_t n_in, size_t n_out,
                                 pn_activation activation, size_t workspace_bytes)
{
    PN_TRY(FN(check_sizes)(n_rows, n_in, n_out));
    PN_REQUIRE((unsigned)activation < PN_N_ACTIVATIONS, PN_UNKNOWN_ACTIVATION);
    PN_REQUIRE(workspace_bytes >= FN(dense_bytes)(kernels, n_rows, n_in, n_out), PN_WORKSPACE_TOO_SMALL);
    return PN_OK;
}

pn_status FN(pn_dense_forward)(size_t n_rows, size_t n_in, size_t n_out, const real *x, const real *weight,
                               const real *bias, pn_activation activation, real *a,
                               void *workspace, size_t workspace_bytes)
{
    const pn_array inputs[] = {PN_ARRAY(x, n_rows * n_in), PN_ARRAY(weight, n_in * n_out),
                               PN_ARRAY(bias, bias == NULL ? 0 : n_out)};
    const pn_array outputs[] = {PN_ARRAY(a, n_rows * n_out), {workspace, workspace_bytes, 1}};
    const pn_isa_kernels *isa;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    PN_TRY(FN(check_dense)(&isa->MEMBER, n_rows, n_in, n_out, activation, workspace_bytes));
    PN_TRY(pn_check_arrays(inputs, 3, outputs, 2));
    const FN(pn_dense_layer) layer = {.m = n_rows, .k = n_in, .n = n_out, .weight = weight, .bias = bias,
                                      .f = activation == PN_SOFTMAX ? PN_IDENTITY : activation,
                                      .workspace = pn_align_workspace(workspace)};
    isa->MEMBER.dense_forward(&layer, x, NULL, a);
    if (activation == PN_SOFTMAX)
        isa->MEMBER.softmax(n_rows, n_out, a, a);
    return PN_OK;
}

/* The backward pass of a layer, of which one block of rows is computed at a time. */
typedef struct FN(dense_gradient) {
    const FN(pn_kernels) *kernels;
    FN(pn_dense_layer) layer;
    const real *x, *z, *a, *grad_a;      /* of the rows that are left, as is grad_x; z may be NULL */
    real *grad_x;
    real *grad_z;                        /* [PN_BLOCK_ROWS][n_out] */
} FN(dense_gradient);

/* m rows, at most PN_BLOCK_ROWS; goes on to the next ones. */
static void FN(dense_backward_block)(FN(dense_gradient) *g, size_t m, real *grad_weight, real *grad_bias)
{
    const FN(pn_kernels) *kernels = g->kernels;
    const size_t k = g->layer.k, n = g->layer.n;
    g->layer.m = m;
    if (g->layer.f == PN_SOFTMAX)
        kernels->softmax_backward(m, n, g->a, g->grad_a, g->grad_z);
    else
        kernels->activate_backward(m * n, g->layer.f, g->z, g->a, g->grad_a, g->grad_z);
    if (g->grad_x != NULL) {
        kernels->dense_backward_x(&g->layer, g->grad_z, PN_IDENTITY, NULL, g->x, g->grad_x);
        g->grad_x += m * k;
    }
    if (grad_weight != NULL)
        kernels->dense_backward_weight(&g->layer, g->x, g->grad_z, 1, 0, grad_weight);
    if (grad_bias != NULL)
        kernels->dense_backward_bias(m, n, g->grad_z, 1, 0, grad_bias);
    g->x += m * k;
    g->z += g->z != NULL ? m * n : 0;
    g->a += m * n;
    g->grad_a += m * n;
}

/* The gradients of weight or bias, n numbers, of several blocks: their sum so far, its error, and the block at hand. */
typedef struct FN(dense_sum) {
    size_t n;
    real *total, *error, *block;         /* total is NULL where the caller does not want it; then so is block */
} FN(dense_sum);

static FN(dense_sum) FN(begin_sum)(size_t n, real *total, real **space)
{
    FN(dense_sum) sum = {n, total, *space, total != NULL ? *space + n : NULL};
    *space += 2 * n;
    if (total != NULL)
        memset(total, 0, n * sizeof(real));
    memset(sum.error, 0, n * sizeof(real));
    return sum;
}

/* All rows; the gradients of weight and bias are sums of blocks, as those of a network. space: dense_bytes, aligned. */
static void FN(dense_backward_blocks)(FN(dense_gradient) *g, size_t n_rows, real *grad_weight, real *grad_bias,
                                      real *space)
{
    const FN(pn_kernels) *kernels = g->kernels;
    const size_t k = g->layer.k, n = g->layer.n;
    g->grad_z = space;
    space += (n_rows < PN_BLOCK_ROWS ? n_rows : PN_BLOCK_ROWS) * n;
    if (n_rows <= PN_BLOCK_ROWS) {
        g->layer.workspace = pn_align_workspace(space);
        FN(dense_backward_block)(g, n_rows, grad_weight, grad_bias);
        return;
    }
    FN(dense_sum) sums[] = {FN(begin_sum)(k * n, grad_weight, &space), FN(begin_sum)(n, grad_bias, &space)};
    g->layer.workspace = pn_align_workspace(space);
    for (size_t m; n_rows > 0; n_rows -= m) {
        m = n_rows < PN_BLOCK_ROWS ? n_rows : PN_BLOCK_ROWS;
        FN(dense_backward_block)(g, m, sums[0].block, sums[1].block);
        for (int i = 0; i < 2; i++)
            if (sums[i].total != NULL)
                kernels->add_block(sums[i].n, sums[i].block, sums[i].total, sums[i].error);
    }
    for (int i = 0; i < 2; i++)
        if (sums[i].total != NULL)
            kernels->settle(sums[i].n, sums[i].total, sums[i].error, sums[i].total);
}

pn_status FN(pn_dense_backward)(size_t n_rows, size_t n_in, size_t n_out, const real *x, const real *weight,
                                const real *z, const real *a, const real *grad_a, pn_activation activation,
                                real *grad_x, real *grad_weight, real *grad_bias,
                                void *workspace, size_t workspace_bytes)
{
    const int needs_z = (unsigned)activation < PN_N_ACTIVATIONS && pn_activations[activation].backward_needs_z;
    const pn_array inputs[] = {PN_ARRAY(x, n_rows * n_in), PN_ARRAY(weight, n_in * n_out),
                               PN_ARRAY(z, z == NULL && !needs_z ? 0 : n_rows * n_out),
                               PN_ARRAY(a, n_rows * n_out), PN_ARRAY(grad_a, n_rows * n_out)};
    const pn_array outputs[] = {PN_ARRAY(grad_x, grad_x == NULL ? 0 : n_rows * n_in),
                                PN_ARRAY(grad_weight, grad_weight == NULL ? 0 : n_in * n_out),
                                PN_ARRAY(grad_bias, grad_bias == NULL ? 0 : n_out), {workspace, workspace_bytes, 1}};
    const pn_isa_kernels *isa;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    PN_TRY(FN(check_dense)(&isa->MEMBER, n_rows, n_in, n_out, activation, workspace_bytes));
    PN_TRY(pn_check_arrays(inputs, 5, outputs, 4));
    FN(dense_gradient) gradient = {.kernels = &isa->MEMBER, .x = x, .z = z, .a = a, .grad_a = grad_a, .grad_x = grad_x,
                                   .layer = {.k = n_in, .n = n_out, .weight = weight, .f = activation}};
    FN(dense_backward_blocks)(&gradient, n_rows, grad_weight, grad_bias, pn_align_workspace(workspace));
    return PN_OK;
}
