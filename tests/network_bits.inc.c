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
    must(NAME(pn_train_on_batch)(c->n_rows, &c->network, &training, got, NULL, x, y, weight, &loss, workspace, n_bytes),
         "train_on_batch");
    NAME(same)("train_on_batch", c->n_parameters, expected, got);
    if (loss != expected_loss)
        fail("train_on_batch and loss_and_gradient give different losses");
    release(workspace, n_bytes);
    NAME(drop)(expected, c->n_parameters), NAME(drop)(got, c->n_parameters);
}

/* A run with whatever steers it, drawn at random. */
enum { NAME(EPOCHS) = 3, NAME(MOST_BATCHES) = 12 };

typedef struct NAME(run) {
    int is_plain;                  /* gradient descent, whose steps are made with the gradient */
    pn_training training;
    double rates[NAME(MOST_BATCHES) * NAME(EPOCHS)];
    size_t n_state, first_row;
} NAME(run);

static void NAME(draw_run)(const pn_case *c, real rate, NAME(run) *run)
{
    size_t m = c->n_rows, batch = random_bits() % 3 == 0 ? m : 1 + random_bits() % m;
    size_t n_batches = (m + batch - 1) / batch;
    if (n_batches > NAME(MOST_BATCHES)) {
        batch = (m + NAME(MOST_BATCHES) - 1) / NAME(MOST_BATCHES);
        n_batches = (m + batch - 1) / batch;
    }
    run->training = (pn_training){.epochs = NAME(EPOCHS), .batch_size = batch, .learning_rate = rate,
                                  .shuffle = (int)(random_bits() % 2), .seed = random_bits(),
                                  .first_epoch = random_bits() % 5};
    for (size_t i = 0; i < NAME(MOST_BATCHES) * NAME(EPOCHS); i++)
        run->rates[i] = rate * (0.5 + (double)(i % 5) / 8);
    run->is_plain = random_bits() % 3 == 0;
    if (!run->is_plain) {
        run->training.optimizer = draw_optimizer();
        run->training.learning_rates = random_bits() % 2 == 0 ? run->rates : NULL;
        run->training.first_step = random_bits() % 2;
    }
    must(pn_optimizer_state(&c->network, &run->training.optimizer, &run->n_state), "optimizer_state");
    run->first_row = random_bits() % 3 == 0 ? batch * (random_bits() % n_batches) : 0;
}

/* Makes a step of any optimizer, by the public function for one step. Returns the loss. */
static double NAME(optimizer_step)(const pn_case *c, size_t n_rows, const pn_training *training, real *parameters,
                                   real *state, const real *x, const real *y, const real *weight)
{
    double loss = -1;
    size_t n_bytes = 0;
    const pn_training step = {.epochs = 1, .learning_rate = training->learning_rate, .optimizer = training->optimizer,
                              .learning_rates = training->learning_rates, .first_step = training->first_step};
    must(NAME(pn_train_workspace)(n_rows, &c->network, &step, &n_bytes), "train_workspace");
    void *workspace = new_workspace(n_bytes);
    must(NAME(pn_train_on_batch)(n_rows, &c->network, training, parameters, state, x, y, weight, &loss, workspace,
                                 n_bytes), "train_on_batch");
    release(workspace, n_bytes);
    return loss;
}

/* Makes a run's step with `rows` rows in the order that is given. Returns what it adds to the epoch's loss. */
static double NAME(run_step)(const pn_case *c, int fuses, const NAME(run) *run, size_t number, size_t rows,
                             const size_t *order, const real *x, const real *y, const real *weight, real *parameters,
                             real *state)
{
    real *batch_x = fenced(rows * c->n_in * sizeof(real)), *batch_y = fenced(rows * c->n_targets * sizeof(real));
    real *batch_weight = weight == NULL ? NULL : fenced(rows * sizeof(real));
    for (size_t i = 0; i < rows; i++) {
        if (weight != NULL)
            batch_weight[i] = weight[order[i]];
        memcpy(batch_x + i * c->n_in, x + order[i] * c->n_in, c->n_in * sizeof(real));
        memcpy(batch_y + i * c->n_targets, y + order[i] * c->n_targets, c->n_targets * sizeof(real));
    }
    pn_training step = run->training;
    step.learning_rates = step.learning_rates == NULL ? NULL : step.learning_rates + number;
    step.first_step += number;
    double share = NAME(total)(rows, batch_weight) / NAME(total)(c->n_rows, weight);
    share = pn_losses[c->network.loss].reduction == PN_SUM ? 1 : share;
    double loss = run->is_plain ? NAME(step)(c, fuses, rows, parameters, batch_x, batch_y, batch_weight,
                                             (real)step.learning_rate)
                                : NAME(optimizer_step)(c, rows, &step, parameters, state, batch_x, batch_y,
                                                       batch_weight);
    if (weight != NULL)
        NAME(drop)(batch_weight, rows);
    NAME(drop)(batch_x, rows * c->n_in), NAME(drop)(batch_y, rows * c->n_targets);
    return share * loss;
}

/* Makes a run step by step. */
static void NAME(make_steps)(const pn_case *c, int fuses, const NAME(run) *run, const real *x, const real *y,
                             const real *weight, real *parameters, real *state, double *sums)
{
    size_t m = c->n_rows, batch = run->training.batch_size, number = 0;
    size_t *order = malloc(m * sizeof *order);
    for (size_t epoch = 0; epoch < NAME(EPOCHS); epoch++) {
        for (size_t i = 0; i < m; i++)
            order[i] = i;
        if (run->training.shuffle)
            pn_shuffle(run->training.seed, run->training.first_epoch + epoch, m, order);
        for (size_t row = epoch == 0 ? run->first_row : 0, rows; row < m; row += rows) {
            rows = m - row < batch ? m - row : batch;
            sums[epoch] += NAME(run_step)(c, fuses, run, number++, rows, order + row, x, y, weight, parameters, state);
        }
    }
    free(order);
}

/* A run in slices, which may begin within an epoch, against its steps one by one. */
static void NAME(check_run)(const pn_case *c, int fuses, const real *parameters, const real *x, const real *y,
                            const real *weight, real rate)
{
    NAME(run) run;
    NAME(draw_run)(c, rate, &run);
    const size_t m = c->n_rows, n_state = run.n_state;
    real *positive = NULL; /* no mini-batch of weight 0, for which the function for one step makes none */
    if (!run.is_plain && weight != NULL) {
        weight = positive = NAME(copy)(m, weight);
        for (size_t i = 0; i < m; i++)
            positive[i] = positive[i] > 0 ? positive[i] : (real)0.125;
    }
    real *expected_state = n_state == 0 ? NULL : NAME(numbers)(n_state, (real)0.25, (real)0.5);
    real *got_state = n_state == 0 ? NULL : NAME(copy)(n_state, expected_state);
    real *expected = NAME(copy)(c->n_parameters, parameters), *got = NAME(copy)(c->n_parameters, parameters);
    double losses[NAME(EPOCHS)], sums[NAME(EPOCHS)] = {0};
    NAME(make_steps)(c, fuses, &run, x, y, weight, expected, expected_state, sums);
    pn_progress progress = {.row = run.first_row};
    size_t n_bytes = 0, calls = 0;
    must(NAME(pn_train_workspace)(m, &c->network, &run.training, &n_bytes), "train_workspace");
    void *workspace = new_workspace(n_bytes);
    while (progress.epoch < NAME(EPOCHS)) {
        size_t steps = random_bits() % 4 == 0 ? 0 : 1 + random_bits() % 5;
        must(NAME(pn_train)(m, &c->network, &run.training, got, got_state, x, y, weight, steps, losses, &progress,
                            workspace, n_bytes), "train");
        if (++calls > 1000)
            fail("a run does not end");
    }
    NAME(same)("a run", c->n_parameters, expected, got);
    NAME(same)("the state after a run", n_state, expected_state, got_state);
    for (size_t epoch = 0; epoch < NAME(EPOCHS); epoch++) /* sums of the same terms, in another order */
        if (!(fabs(losses[epoch] - sums[epoch]) <= 1e-5 * fabs(sums[epoch]) + 1e-30))
            fail("the losses of a run are not those of its steps");
    release(workspace, n_bytes);
    if (n_state > 0)
        NAME(drop)(expected_state, n_state), NAME(drop)(got_state, n_state);
    if (positive != NULL)
        NAME(drop)(positive, m);
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
