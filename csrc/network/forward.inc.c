/* The forward pass of a whole network. */

/*
 * FORWARD_STACK_BYTES    A pass that needs no more workspace than this has it on the stack.
 * SHARE_MICROSECONDS     Threads share the blocks of a pass that takes at least so long.
 * FORWARD_BLOCKS_TO_PACK A pass of at least so many blocks of rows packs the weights first.
 */
enum { FN(FORWARD_STACK_BYTES) = 8192, FN(SHARE_MICROSECONDS) = 100, FN(FORWARD_BLOCKS_TO_PACK) = 2 };

/* Rows that go through the network together, so that their activations stay in the cache. */
static size_t FN(forward_block_rows)(size_t n_rows, const FN(extent) *e)
{
    enum { CACHE_BYTES = 128 * 1024, MIN_ROWS = 256 };
    size_t rows = CACHE_BYTES / sizeof(real) / e->max_width / 8 * 8;
    rows = rows < MIN_ROWS ? MIN_ROWS : rows;
    return n_rows < rows ? n_rows : rows;
}

typedef struct FN(forward_plan) {
    size_t block_rows, n_blocks;
    size_t hidden;         /* elements of each of two hidden activations */
    size_t products;       /* elements for the products */
    size_t block_bytes;    /* of these three, for a block */
    size_t packed_rows;    /* as in a model */
    size_t bytes;          /* of the whole pass: block_bytes, and the packed parameters */
    int narrow;            /* whether narrow_forward computes the pass, which needs nothing of the above */
} FN(forward_plan);

static FN(forward_plan) FN(plan_forward)(size_t n_rows, const pn_network *network, const FN(pn_kernels) *kernels,
                                         const FN(extent) *e)
{
    FN(forward_plan) plan = {.block_rows = FN(forward_block_rows)(n_rows, e)};
    plan.n_blocks = (n_rows - 1) / plan.block_rows + 1;
    plan.narrow = kernels->narrow_fits(n_rows, network);
    if (plan.narrow)
        return plan;
    plan.hidden = network->n_layers == 1 ? 0 : plan.block_rows * e->max_width;
    plan.products = FN(products)(plan.block_rows, network, kernels->dense_forward_workspace);
    plan.bytes = plan.block_bytes = 2 * FN(arena_bytes)(plan.hidden) + FN(arena_bytes)(plan.products);
    if (n_rows / plan.block_rows >= FN(FORWARD_BLOCKS_TO_PACK))
        plan.packed_rows = FN(rows_to_pack_for)(plan.block_rows, network, kernels);
    if (plan.packed_rows > 0) {
        const FN(model) packed = {.network = network, .kernels = kernels, .packed_rows = plan.packed_rows};
        plan.bytes += FN(n_stored)(&packed) * sizeof(real);
    }
    return plan;
}

typedef struct FN(forward_pass) {
    FN(model) model;
    FN(forward_plan) plan;
    size_t n_rows;
    const real *x;
    real *out;
} FN(forward_pass);

/* One block of rows through all layers. */
static void FN(forward_block)(void *context, size_t block, void *scratch)
{
    const FN(forward_pass) *pass = context;
    const FN(model) *model = &pass->model;
    const size_t row = block * pass->plan.block_rows, left = pass->n_rows - row, n_layers = model->network->n_layers;
    const size_t m = left < pass->plan.block_rows ? left : pass->plan.block_rows;
    const real *a = pass->x + row * model->e.n_in, *parameters = model->parameters;
    real *out = pass->out + row * model->e.n_out;
    if (pass->plan.narrow) {
        model->kernels->narrow_forward(m, model->network, parameters, a, out);
        return;
    }
    char *space = scratch;
    real *products = FN(arena_alloc)(&space, pass->plan.products);
    real *hidden[2] = {FN(arena_alloc)(&space, pass->plan.hidden), FN(arena_alloc)(&space, pass->plan.hidden)};
    for (size_t l = 0; l < n_layers; l++) {
        FN(storage) storage = FN(storage_of)(model, l);
        FN(pn_dense_layer) layer = FN(layer_at)(model, l, m, storage, parameters, products);
        real *next = l + 1 == n_layers ? out : hidden[l % 2];
        int is_softmax = layer.f == PN_SOFTMAX;
        layer.f = is_softmax ? PN_IDENTITY : layer.f;
        model->kernels->dense_forward(&layer, a, NULL, next);
        if (is_softmax)
            model->kernels->softmax(m, layer.n, next, next);
        a = next;
        parameters += storage.size;
    }
}

static size_t FN(forward_bytes)(size_t n_rows, const pn_network *network, const FN(pn_kernels) *kernels,
                                const FN(extent) *e)
{
    size_t bytes = FN(plan_forward)(n_rows, network, kernels, e).bytes;
    return bytes <= FN(FORWARD_STACK_BYTES) ? 0 : bytes + PN_WORKSPACE_ALIGNMENT;
}

pn_status FN(pn_forward_workspace)(size_t n_rows, const pn_network *network, size_t *n_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(measure)(n_rows, network, &e));
    PN_MAX_OVER_ISAS(n_bytes, kernels, FN(forward_bytes)(n_rows, network, kernels, &e));
    return PN_OK;
}

pn_status FN(pn_forward)(size_t n_rows, const pn_network *network, const real *parameters, const real *x,
                         real *out, void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa;
    _Alignas(PN_WORKSPACE_ALIGNMENT) char stack[FN(FORWARD_STACK_BYTES)];
    FN(extent) e;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    PN_TRY(FN(measure)(n_rows, network, &e));
    const pn_array inputs[] = {PN_ARRAY(parameters, e.n_parameters), PN_ARRAY(x, n_rows * e.n_in)};
    const pn_array outputs[] = {PN_ARRAY(out, n_rows * e.n_out), {workspace, workspace_bytes, 1}};
    FN(forward_pass) pass = {{.network = network, .kernels = &isa->MEMBER, .e = e, .parameters = (real *)parameters},
                             FN(plan_forward)(n_rows, network, &isa->MEMBER, &e), n_rows, x, out};
    const FN(forward_plan) *plan = &pass.plan;
    int on_stack = plan->bytes <= FN(FORWARD_STACK_BYTES);
    PN_TRY(pn_check_arrays(inputs, 2, outputs, on_stack ? 1 : 2));
    PN_REQUIRE(on_stack || workspace_bytes >= plan->bytes + PN_WORKSPACE_ALIGNMENT, PN_WORKSPACE_TOO_SMALL);
    char *space = on_stack ? stack : pn_align_workspace(workspace);
    if (plan->packed_rows > 0) {
        pass.model.packed_rows = plan->packed_rows;
        pass.model.parameters = FN(arena_alloc)(&space, FN(n_stored)(&pass.model));
        FN(pack_parameters)(&pass.model, parameters, pass.model.parameters);
    }

    /* Threads share the blocks, each with activations of its own; where these are too large, they share each product. */
    double microseconds = (double)n_rows * FN(operations_a_row)(2, &e) / PN_OPERATIONS_PER_MICROSECOND;
    if (plan->n_blocks > 1 && plan->block_bytes <= PN_TASK_BYTES && microseconds >= FN(SHARE_MICROSECONDS))
        pn_parallel_for(plan->n_blocks, FN(forward_block), &pass, space, microseconds);
    else
        for (size_t block = 0; block < plan->n_blocks; block++)
            FN(forward_block)(&pass, block, space);
    return PN_OK;
}
