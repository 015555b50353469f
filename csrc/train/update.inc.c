/*
 * The update of the parameters by the optimizer. Plain gradient descent needs no array for the gradient: the products
 * add it to the parameters. All others go over the gradient, the parameters and the slots, elementwise.
 */

/* The arrays that the optimizer keeps, slot by slot, each stored as the parameters are. */
typedef struct FN(slots) {
    size_t n, n_elements;          /* of each slot */
    real *first;                   /* the others follow it */
} FN(slots);

static real *FN(slot)(const FN(slots) *slots, size_t s) { return slots->first + s * slots->n_elements; }

static pn_status FN(check_optimizer)(const pn_optimizer *o)
{
    PN_REQUIRE((unsigned)o->kind < PN_N_OPTIMIZERS, PN_UNKNOWN_OPTIMIZER);
    PN_REQUIRE(FN(is_option)(o->weight_decay) && FN(is_option)(o->clip_value) && FN(is_option)(o->clip_norm),
               PN_BAD_OPTIMIZER);
    int is_good = 0;
    switch (o->kind) {
    case PN_SGD: is_good = FN(is_option)(o->momentum) && (!o->nesterov || o->momentum > 0); break;
    case PN_RMSPROP:
        is_good = FN(is_option)(o->momentum) && FN(is_fraction)(o->alpha) && FN(is_positive)(o->eps);
        break;
    case PN_ADAGRAD:
        is_good = FN(is_option)(o->learning_rate_decay) && FN(is_option)(o->initial_accumulator_value) &&
                  FN(is_positive)(o->eps);
        break;
    case PN_ADAM:
    case PN_ADAMW: is_good = FN(is_fraction)(o->beta1) && FN(is_fraction)(o->beta2) && FN(is_positive)(o->eps); break;
    case PN_RPROP:
        is_good = FN(is_positive)(o->eta_minus) && o->eta_minus < 1 && o->eta_plus > 1 && FN(is_positive)(o->eta_plus) &&
                  FN(is_positive)(o->step_min) && o->step_max >= o->step_min && FN(is_positive)(o->step_max);
        break;
    case PN_N_OPTIMIZERS: break;
    }
    return is_good ? PN_OK : PN_BAD_OPTIMIZER;
}

/* What `n` elements from `start` on of the slots hold before the optimizer's first step. */
static void FN(begin_slots)(const pn_optimizer *optimizer, const FN(slots) *slots, size_t start, size_t n, double rate)
{
    for (size_t s = 0; s < slots->n; s++) {
        double value = optimizer->kind == PN_ADAGRAD ? optimizer->initial_accumulator_value : 0;
        value = optimizer->kind == PN_RPROP && s == 1 ? rate : value;
        for (size_t i = start; i < start + n; i++)
            FN(slot)(slots, s)[i] = (real)value;
    }
}

/* The norm of a gradient, which is stored as the parameters are. Its bits do not depend on how these are stored. */
static double FN(norm)(const FN(model) *model, const real *gradient)
{
    double sums[PN_NORM_SUMS] = {0};
    for (size_t l = 0; l < model->network->n_layers; l++) {
        const pn_layer *layer = &model->network->layers[l];
        FN(storage) storage = FN(storage_of)(model, l);
        model->kernels->add_norms(layer->n_in, layer->n_out, storage.packed, 0, 1, gradient, sums);
        if (layer->has_bias)
            model->kernels->add_norms(1, layer->n_out, 0, 0, 1, gradient + storage.n_weight, sums);
        gradient += storage.size;
    }
    return sqrt(FN(sum_of_norms)(sums));
}

/* What the groups of a step share, and, of each, its stretches. */
typedef struct FN(shared_update) {
    const FN(model) *model;
    const pn_training *training;
    const FN(slots) *slots;
    size_t steps;                  /* of the run, before this one */
    const real *gradient;
    real gradient_scale;
    size_t start, end;             /* of the group at hand, in the parameters as they are stored */
    FN(pn_update) update;          /* its constants */
} FN(shared_update);

enum { FN(UPDATE_STRETCH) = 8192, FN(UPDATES_PER_MICROSECOND) = 2000 };

static double FN(rate_of_step)(const pn_training *training, size_t steps)
{
    return training->learning_rates != NULL ? training->learning_rates[steps] : training->learning_rate;
}

static void FN(update_stretch)(void *context, size_t index, void *scratch)
{
    const FN(shared_update) *shared = context;
    const size_t start = shared->start + index * FN(UPDATE_STRETCH), left = shared->end - start;
    real *slots[PN_MAX_SLOTS];
    (void)scratch;
    for (size_t s = 0; s < shared->slots->n; s++)
        slots[s] = FN(slot)(shared->slots, s) + start;
    shared->model->kernels->update(&shared->update,
                                   left < (size_t)FN(UPDATE_STRETCH) ? left : (size_t)FN(UPDATE_STRETCH),
                                   shared->gradient + start, shared->model->parameters + start, slots);
}

/* The step for the n parameters from the end of the last group on, at `factor` times the learning rate; 0: no step. */
static void FN(update_group)(FN(shared_update) *shared, size_t n, double factor, void *scratch)
{
    const pn_training *training = shared->training;
    const double rate = factor * FN(rate_of_step)(training, shared->steps);
    const uint64_t steps = training->first_step + shared->steps;
    shared->start = shared->end;
    shared->end += n;
    if (steps == 0)
        FN(begin_slots)(&training->optimizer, shared->slots, shared->start, n, rate);
    if (n == 0 || factor == 0)
        return;
    shared->update = shared->model->kernels->prepare_update(&training->optimizer, rate, steps);
    shared->update.n_slots = shared->slots->n;
    shared->update.gradient_scale = shared->gradient_scale;
    pn_parallel_for((n - 1) / FN(UPDATE_STRETCH) + 1, FN(update_stretch), shared, scratch,
                    (double)n / FN(UPDATES_PER_MICROSECOND));
}

/* Scales down the weights of neurons that have more than the max_norm of their layer. */
static void FN(limit_norms)(const FN(model) *model)
{
    real *weight = model->parameters;
    for (size_t l = 0; l < model->network->n_layers; l++) {
        const pn_layer *layer = &model->network->layers[l];
        const pn_layer_options *options = pn_options_of(layer);
        const FN(storage) storage = FN(storage_of)(model, l);
        if (options->max_norm > 0 && options->weight_rate > 0)
            model->kernels->limit_norms(layer->n_in, layer->n_out, storage.packed, options->max_norm, weight);
        weight += storage.size;
    }
}

/*
 * A step of the optimizer, with a gradient that is stored as the parameters are. The penalty and clipping change it.
 * All parameters are one group, unless layers have rates of their own.
 */
static void FN(update_parameters)(const FN(model) *model, const pn_training *training, size_t steps,
                                  double penalty_scale, const FN(slots) *slots, real *gradient, void *scratch)
{
    const pn_optimizer *optimizer = &training->optimizer;
    FN(shared_update) shared = {.model = model, .training = training, .slots = slots, .steps = steps,
                                .gradient = gradient, .gradient_scale = 1};
    if (model->e.has_penalty)
        FN(add_penalty)(model, penalty_scale, gradient);
    if (optimizer->clip_value > 0)
        model->kernels->clip(slots->n_elements, (real)optimizer->clip_value, gradient);
    if (optimizer->clip_norm > 0) {
        double scale = optimizer->clip_norm / (FN(norm)(model, gradient) + 1e-6);
        shared.gradient_scale = scale < 1 ? (real)scale : 1;
    }
    if (!model->e.has_rates) {
        FN(update_group)(&shared, slots->n_elements, 1, scratch);
    } else {
        for (size_t l = 0; l < model->network->n_layers; l++) {
            const pn_layer_options *options = pn_options_of(&model->network->layers[l]);
            const FN(storage) storage = FN(storage_of)(model, l);
            FN(update_group)(&shared, storage.n_weight, options->weight_rate, scratch);
            FN(update_group)(&shared, storage.size - storage.n_weight, options->bias_rate, scratch);
        }
    }
    if (model->e.has_limits)
        FN(limit_norms)(model);
}
