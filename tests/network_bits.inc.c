/* One dtype of network_bits.c. */

static real *NAME(numbers)(size_t n, real low, real high)
{
    real *array = fenced(n * sizeof *array);
    for (size_t i = 0; i < n; i++)
        array[i] = low + (high - low) * (real)((double)(random_bits() >> 11) / 9007199254740992.0);
    return array;
}

static real *NAME(copy)(size_t n, const real *from)
{
    real *array = fenced(n * sizeof *array);
    memcpy(array, from, n * sizeof *array);
    return array;
}

static void NAME(drop)(real *array, size_t n) { release(array, n * sizeof *array); }

static void NAME(same)(const char *what, size_t n, const real *expected, const real *got)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(expected + i, got + i, sizeof *got) != 0) {
            printf("%s: %s: number %zu is %a, not %a\n", under_way, what, i, (double)got[i], (double)expected[i]);
            exit(1);
        }
}

/* The network's outputs, layer by layer. */
static void NAME(check_forward)(const pn_case *c, const real *parameters, const real *x)
{
    size_t n_bytes = 0;
    real *a = NAME(copy)(c->n_rows * c->n_in, x);
    const real *weight = parameters;
    for (size_t l = 0; l < c->network.n_layers; l++) {
        const pn_layer *layer = &c->layers[l];
        const real *bias = layer->has_bias ? weight + layer->n_in * layer->n_out : NULL;
        must(NAME(pn_dense_workspace)(c->n_rows, layer->n_in, layer->n_out, &n_bytes), "dense_workspace");
        void *workspace = new_workspace(n_bytes);
        real *next = NAME(numbers)(c->n_rows * layer->n_out, 5, 6);
        must(NAME(pn_dense_forward)(c->n_rows, layer->n_in, layer->n_out, a, weight, bias, layer->activation, next,
                                    workspace, n_bytes), "dense_forward");
        release(workspace, n_bytes);
        NAME(drop)(a, c->n_rows * layer->n_in);
        a = next;
        weight += layer->n_in * layer->n_out + (layer->has_bias ? layer->n_out : 0);
    }
    must(NAME(pn_forward_workspace)(c->n_rows, &c->network, &n_bytes), "forward_workspace");
    void *workspace = new_workspace(n_bytes);
    real *out = NAME(numbers)(c->n_rows * c->n_out, 7, 8);
    must(NAME(pn_forward)(c->n_rows, &c->network, parameters, x, out, n_bytes > 0 ? workspace : NULL, n_bytes),
         "forward");
    NAME(same)("forward", c->n_rows * c->n_out, a, out);
    release(workspace, n_bytes);
    NAME(drop)(a, c->n_rows * c->n_out), NAME(drop)(out, c->n_rows * c->n_out);
}

/* The number of rows, or what their weights add up to. */
static double NAME(total)(size_t n_rows, const real *weight)
{
    double sum = 0;
    for (size_t i = 0; i < n_rows; i++)
        sum += weight == NULL ? 1 : (double)weight[i];
    return sum;
}

/* Makes a step with the gradient of a batch. Returns the loss; updates `parameters`. */
static double NAME(step)(const pn_case *c, int fuses, size_t n_rows, real *parameters, const real *x, const real *y,
                         const real *weight, real rate)
{
    if (NAME(total)(n_rows, weight) == 0)
        return 0;
    double loss = -1;
    size_t n_bytes = 0;
    real *gradient = NAME(numbers)(c->n_parameters, 5, 6);
    must(NAME(pn_gradient_workspace)(n_rows, &c->network, &n_bytes), "gradient_workspace");
    void *workspace = new_workspace(n_bytes);
    must(NAME(pn_loss_and_gradient)(n_rows, &c->network, parameters, x, y, weight, &loss, gradient, workspace, n_bytes),
         "loss_and_gradient");
    release(workspace, n_bytes);
    for (size_t i = 0; i < c->n_parameters; i++) {
        volatile real change = -rate * gradient[i];
        parameters[i] = fuses ? REAL_FMA(-rate, gradient[i], parameters[i]) : parameters[i] + change;
    }
    NAME(drop)(gradient, c->n_parameters);
    return loss;
}

static void NAME(check_step)(const pn_case *c, int fuses, const real *parameters, const real *x, const real *y,
                             const real *weight, real rate)
{
    const pn_training training = {.epochs = 1, .learning_rate = rate};
    real *expected = NAME(copy)(c->n_parameters, parameters), *got = NAME(copy)(c->n_parameters, parameters);
    double loss = -1, expected_loss = NAME(step)(c, fuses, c->n_rows, expected, x, y, weight, rate);
    size_t n_bytes = 0;
    must(NAME(pn_train_workspace)(c->n_rows, &c->network, &training, &n_bytes), "train_workspace");
    void *workspace = new_workspace(n_bytes);
    must(NAME(pn_train_on_batch)(c->n_rows, &c->network, rate, got, x, y, weight, &loss, workspace, n_bytes), "train_on_batch");
    NAME(same)("train_on_batch", c->n_parameters, expected, got);
    if (loss != expected_loss)
        fail("train_on_batch and loss_and_gradient give different losses");
    release(workspace, n_bytes);
    NAME(drop)(expected, c->n_parameters), NAME(drop)(got, c->n_parameters);
}

/* A run in slices, which may begin within an epoch, against its steps one by one. */
static void NAME(check_run)(const pn_case *c, int fuses, const real *parameters, const real *x, const real *y,
                            const real *weight, real rate)
{
    enum { EPOCHS = 3 };
    size_t m = c->n_rows, batch = random_bits() % 3 == 0 ? m : 1 + random_bits() % m;
    size_t n_batches = (m + batch - 1) / batch;
    if (n_batches > 12) {
        batch = (m + 11) / 12;
        n_batches = (m + batch - 1) / batch;
    }
    const pn_training training = {.epochs = EPOCHS, .batch_size = batch, .learning_rate = rate,
                                  .shuffle = (int)(random_bits() % 2), .shuffle_seed = random_bits(),
                                  .first_epoch = random_bits() % 5};
    pn_progress progress = {.row = random_bits() % 3 == 0 ? batch * (random_bits() % n_batches) : 0};
    size_t *order = malloc(m * sizeof *order);
    real *expected = NAME(copy)(c->n_parameters, parameters), *got = NAME(copy)(c->n_parameters, parameters);
    double losses[EPOCHS], sums[EPOCHS] = {0};
    for (size_t epoch = 0; epoch < EPOCHS; epoch++) {
        for (size_t i = 0; i < m; i++)
            order[i] = i;
        if (training.shuffle)
            pn_shuffle(training.shuffle_seed, training.first_epoch + epoch, m, order);
        for (size_t row = epoch == 0 ? progress.row : 0, rows; row < m; row += rows) {
            rows = m - row < batch ? m - row : batch;
            real *batch_x = fenced(rows * c->n_in * sizeof(real)), *batch_y = fenced(rows * c->n_targets * sizeof(real));
            real *batch_weight = weight == NULL ? NULL : fenced(rows * sizeof(real));
            for (size_t i = 0; i < rows; i++) {
                if (weight != NULL)
                    batch_weight[i] = weight[order[row + i]];
                memcpy(batch_x + i * c->n_in, x + order[row + i] * c->n_in, c->n_in * sizeof(real));
                memcpy(batch_y + i * c->n_targets, y + order[row + i] * c->n_targets, c->n_targets * sizeof(real));
            }
            double share = NAME(total)(rows, batch_weight) / NAME(total)(m, weight);
            share = pn_losses[c->network.loss].reduction == PN_SUM ? 1 : share;
            sums[epoch] += share * NAME(step)(c, fuses, rows, expected, batch_x, batch_y, batch_weight, rate);
            if (weight != NULL)
                NAME(drop)(batch_weight, rows);
            NAME(drop)(batch_x, rows * c->n_in), NAME(drop)(batch_y, rows * c->n_targets);
        }
    }
    size_t n_bytes = 0, calls = 0;
    must(NAME(pn_train_workspace)(m, &c->network, &training, &n_bytes), "train_workspace");
    void *workspace = new_workspace(n_bytes);
    while (progress.epoch < EPOCHS) {
        size_t steps = random_bits() % 4 == 0 ? 0 : 1 + random_bits() % 5;
        must(NAME(pn_train)(m, &c->network, &training, got, x, y, weight, steps, losses, &progress, workspace, n_bytes),
             "train");
        if (++calls > 1000)
            fail("a run does not end");
    }
    NAME(same)("a run", c->n_parameters, expected, got);
    for (size_t epoch = 0; epoch < EPOCHS; epoch++) /* sums of the same terms, in another order */
        if (!(fabs(losses[epoch] - sums[epoch]) <= 1e-5 * fabs(sums[epoch]) + 1e-30))
            fail("the losses of a run are not those of its steps");
    release(workspace, n_bytes);
    free(order);
    NAME(drop)(expected, c->n_parameters), NAME(drop)(got, c->n_parameters);
}

/* Numbers within [0, 1] or, with cross entropy, probabilities or labels. */
static real *NAME(targets)(const pn_case *c)
{
    real *y = NAME(numbers)(c->n_rows * c->n_targets, 0, 1);
    for (size_t i = 0; i < c->n_rows; i++) {
        real sum = 0;
        if (c->network.loss == PN_CROSS_ENTROPY_LABELS)
            y[i] = (real)(random_bits() % c->n_out);
        if (c->network.loss != PN_CROSS_ENTROPY)
            continue;
        for (size_t j = 0; j < c->n_out; j++)
            sum += y[i * c->n_out + j];
        for (size_t j = 0; j < c->n_out; j++)
            y[i * c->n_out + j] /= sum;
    }
    return y;
}

static void NAME(check)(const pn_case *c, int fuses)
{
    int is_small = c->n_parameters < 300;
    real limit = (real)(is_small ? 0.5 : 0.1), rate = (real)(is_small ? 0.1 : 1e-3);
    rate = pn_losses[c->network.loss].reduction == PN_SUM ? (real)1e-6 : rate;
    real *parameters = NAME(numbers)(c->n_parameters, -limit, limit), *x = NAME(numbers)(c->n_rows * c->n_in, -1, 1);
    real *y = NAME(targets)(c);
    NAME(check_forward)(c, parameters, x);
    real *weight = NULL;
    if (random_bits() % 3 == 0) { /* some of them 0, but not the first one */
        weight = NAME(numbers)(c->n_rows, (real)-0.25, 2);
        for (size_t i = 0; i < c->n_rows; i++)
            weight[i] = weight[i] > 0 ? weight[i] : (real)(i == 0);
    }
    NAME(check_step)(c, fuses, parameters, x, y, weight, rate);
    NAME(check_run)(c, fuses, parameters, x, y, weight, rate);
    if (weight != NULL)
        NAME(drop)(weight, c->n_rows);
    NAME(drop)(parameters, c->n_parameters), NAME(drop)(x, c->n_rows * c->n_in), NAME(drop)(y, c->n_rows * c->n_targets);
}
