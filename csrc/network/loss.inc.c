/* The loss of a whole network, without its gradient; and its outputs. */

static void FN(block_loss)(void *context, size_t index, void *scratch)
{
    FN(wave) *wave = context;
    size_t row = (wave->first + index) * PN_BLOCK_ROWS, m = FN(block_rows)(wave->rows->n - row);
    FN(tape) tape = FN(make_tape)(scratch, m, &wave->model->e, 0);
    tape.out = wave->out == NULL ? NULL : wave->out + row * wave->model->e.n_out;
    wave->losses[index] = FN(loss)(wave->model, wave->rows, row, m, &tape);
}

/* The losses of all rows, summed: block by block and in order, as sum_blocks has it. */
static double FN(sum_losses)(const FN(model) *model, const FN(rows) *rows, real *out, size_t tape_bytes,
                             char *scratch)
{
    const size_t n_blocks = (rows->n - 1) / PN_BLOCK_ROWS + 1;
    size_t most = n_blocks < FN(MAX_BLOCKS_AT_ONCE) ? n_blocks : FN(MAX_BLOCKS_AT_ONCE);
    size_t in_wave = FN(blocks_in_wave)(&model->e, 2, most, tape_bytes);
    double loss = 0, microseconds = FN(microseconds)(PN_BLOCK_ROWS, 2, &model->e);
    FN(wave) wave = {.model = model, .rows = rows, .out = out};
    for (size_t n = 0; wave.first < n_blocks; wave.first += n) {
        size_t left = n_blocks - wave.first;
        n = left < in_wave ? left : in_wave;
        if (n > 1)
            pn_parallel_for(n, FN(block_loss), &wave, scratch, microseconds * (double)n);
        else
            FN(block_loss)(&wave, 0, scratch);
        for (size_t i = 0; i < n; i++)
            loss += wave.losses[i];
    }
    return loss;
}

pn_status FN(pn_loss)(size_t n_rows, const pn_network *network, const real *parameters, const real *x, const real *y,
                      const real *sample_weight, double *loss, real *out, void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    PN_TRY(FN(measure)(n_rows, network, &e));
    const pn_array outputs[] = {PN_ARRAY(loss, 1), PN_ARRAY(out, out == NULL ? 0 : n_rows * e.n_out),
                                {workspace, workspace_bytes, 1}};
    const FN(model) model = {.network = network, .kernels = &isa->MEMBER, .e = e,
                             .parameters = (real *)parameters}; /* which are only read */
    FN(rows) rows = {.n = n_rows, .x = x, .y = y, .weight = sample_weight};
    PN_TRY(FN(check_loss_call)(&model, &rows, outputs, 3));
    size_t tape_bytes = FN(tape_bytes)(FN(block_rows)(n_rows), network, model.kernels, &e, 0);
    double sum = FN(sum_losses)(&model, &rows, out, tape_bytes, pn_align_workspace(workspace));
    if (e.has_penalty)
        sum += FN(penalty)(&model, &rows);
    *loss = sum / rows.denominator;
    return PN_OK;
}
