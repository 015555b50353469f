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

/* Finite and above 0, as a number of the network's type, too. */
static int FN(is_positive)(double value) { return value > 0 && (real)value > 0 && isfinite((real)value); }

static int FN(is_option)(double value) { return value == 0 || FN(is_positive)(value); }

static int FN(is_decay)(double value) { return value >= 0 && value < 1; }

static pn_status FN(check_optimizer)(const pn_optimizer *o)
{
    PN_REQUIRE((unsigned)o->kind < PN_N_OPTIMIZERS, PN_UNKNOWN_OPTIMIZER);
    PN_REQUIRE(FN(is_option)(o->weight_decay) && FN(is_option)(o->clip_value) && FN(is_option)(o->clip_norm),
               PN_BAD_OPTIMIZER);
    int is_good = 0;
    switch (o->kind) {
    case PN_SGD: is_good = FN(is_option)(o->momentum) && (!o->nesterov || o->momentum > 0); break;
    case PN_RMSPROP:
        is_good = FN(is_option)(o->momentum) && FN(is_decay)(o->alpha) && FN(is_positive)(o->eps);
        break;
    case PN_ADAGRAD:
        is_good = FN(is_option)(o->learning_rate_decay) && FN(is_option)(o->initial_accumulator_value) &&
                  FN(is_positive)(o->eps);
        break;
    case PN_ADAM:
    case PN_ADAMW: is_good = FN(is_decay)(o->beta1) && FN(is_decay)(o->beta2) && FN(is_positive)(o->eps); break;
    default: /* PN_RPROP */
        is_good = FN(is_positive)(o->eta_minus) && o->eta_minus < 1 && o->eta_plus > 1 && FN(is_positive)(o->eta_plus) &&
                  FN(is_positive)(o->step_min) && o->step_max >= o->step_min && FN(is_positive)(o->step_max);
    }
    return is_good ? PN_OK : PN_BAD_OPTIMIZER;
}

/* The constants of the step that comes after `steps` steps of the run. */
static FN(pn_update) FN(update_after)(const FN(model) *model, const pn_training *training, size_t steps)
{
    double rate = training->learning_rates != NULL ? training->learning_rates[steps] : training->learning_rate;
    FN(pn_update) update = model->kernels->prepare_update(&training->optimizer, rate, training->first_step + steps);
    update.n_slots = pn_n_slots(&training->optimizer);
    return update;
}

/* What the slots hold before the optimizer's first step. */
static void FN(begin_slots)(const pn_optimizer *optimizer, const FN(slots) *slots, double rate)
{
    for (size_t s = 0; s < slots->n; s++) {
        double start = optimizer->kind == PN_ADAGRAD ? optimizer->initial_accumulator_value : 0;
        start = optimizer->kind == PN_RPROP && s == 1 ? rate : start;
        for (size_t i = 0; i < slots->n_elements; i++)
            FN(slot)(slots, s)[i] = (real)start;
    }
}

/* The norm of a gradient, which is stored as the parameters are. Its bits do not depend on how these are stored. */
static double FN(norm)(const FN(model) *model, const real *gradient)
{
    double sums[PN_SQUARE_SUMS] = {0};
    for (size_t l = 0; l < model->network->n_layers; l++) {
        const pn_layer *layer = &model->network->layers[l];
        FN(storage) storage = FN(storage_of)(model, l);
        model->kernels->add_squares(layer->n_in, layer->n_out, storage.packed, gradient, sums);
        if (layer->has_bias)
            model->kernels->add_squares(1, layer->n_out, 0, gradient + storage.n_weight, sums);
        gradient += storage.size;
    }
    return sqrt(((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])));
}

/* What threads share: stretches of all parameters. */
typedef struct FN(shared_update) {
    const FN(pn_kernels) *kernels;
    const FN(pn_update) *update;
    const FN(slots) *slots;
    const real *gradient;
    real *parameters;
} FN(shared_update);

enum { FN(UPDATE_STRETCH) = 8192, FN(UPDATES_PER_MICROSECOND) = 2000 };

static void FN(update_stretch)(void *context, size_t index, void *scratch)
{
    const FN(shared_update) *shared = context;
    const size_t start = index * FN(UPDATE_STRETCH), left = shared->slots->n_elements - start;
    real *slots[PN_MAX_SLOTS];
    (void)scratch;
    for (size_t s = 0; s < shared->slots->n; s++)
        slots[s] = FN(slot)(shared->slots, s) + start;
    shared->kernels->update(shared->update, left < (size_t)FN(UPDATE_STRETCH) ? left : (size_t)FN(UPDATE_STRETCH),
                            shared->gradient + start, shared->parameters + start, slots);
}

/* A step of the optimizer, with a gradient that is stored as the parameters are. Clipping changes the gradient. */
static void FN(update_parameters)(const FN(model) *model, const pn_optimizer *optimizer, FN(pn_update) *update,
                                  const FN(slots) *slots, real *gradient, void *scratch)
{
    const size_t n = slots->n_elements;
    const FN(shared_update) shared = {model->kernels, update, slots, gradient, model->parameters};
    if (optimizer->clip_value > 0)
        model->kernels->clip(n, (real)optimizer->clip_value, gradient);
    if (optimizer->clip_norm > 0) {
        double scale = optimizer->clip_norm / (FN(norm)(model, gradient) + 1e-6);
        update->gradient_scale = scale < 1 ? (real)scale : 1;
    }
    pn_parallel_for((n - 1) / FN(UPDATE_STRETCH) + 1, FN(update_stretch), (void *)(uintptr_t)&shared, scratch,
                    (double)n / FN(UPDATES_PER_MICROSECOND));
}
