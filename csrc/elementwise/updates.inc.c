/* Updates of parameters, elementwise over a stretch of them in whatever order they lie. */

/* y = alpha x + beta y, with a fused multiply-add: gradient descent, where x is the gradient. */
static void FN(axpby)(size_t n, real alpha, const real *x, real beta, real *y)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++)
        y[i] = FN(fma)(alpha, x[i], beta * y[i]);
}

/*
 * The optimizers' equations stand in plainnet.h. To add one, write the constants of a step in prepare_update, its
 * equation as a function of one vector, and a case in update_vector and in update_vectors.
 */

/* base^n by repeated squaring: the same bits everywhere, which pow does not promise. */
static double FN(power)(double base, uint64_t n)
{
    double result = 1;
    for (; n > 0; n >>= 1, base *= base)
        result *= n & 1 ? base : 1;
    return result;
}

/* Moving averages of the gradient and of its square keep so much of what they were. */
static void FN(set_averages)(FN(update_constants) *constants, double decay1, double decay2)
{
    constants->decay1 = (real)decay1;
    constants->rest1 = (real)(1 - decay1);
    constants->decay2 = (real)decay2;
    constants->rest2 = (real)(1 - decay2);
}

static FN(update_constants) FN(prepare_update)(const pn_optimizer *optimizer, double rate, uint64_t step)
{
    const pn_optimizer *o = optimizer;
    FN(update_constants) constants = {
        .optimizer = o, .gradient_scale = 1, .weight_decay = (real)o->weight_decay, .kept = 1, .rate = (real)rate,
        .momentum = (real)o->momentum, .eps = (real)o->eps, .root_scale = 1, .eta_minus = (real)o->eta_minus,
        .eta_plus = (real)o->eta_plus, .step_min = (real)o->step_min, .step_max = (real)o->step_max,
    };
    switch (o->kind) {
    case PN_RMSPROP: FN(set_averages)(&constants, o->alpha, o->alpha); break;
    case PN_ADAGRAD: constants.rate = (real)(rate / (1 + (double)step * o->learning_rate_decay)); break;
    case PN_ADAMW:
        constants.weight_decay = 0;
        constants.kept = (real)(1 - rate * o->weight_decay); /* fall through */
    case PN_ADAM:
        FN(set_averages)(&constants, o->beta1, o->beta2);
        constants.rate = (real)(rate / (1 - FN(power)(o->beta1, step + 1)));
        constants.root_scale = (real)(1 / sqrt(1 - FN(power)(o->beta2, step + 1)));
        if (o->eps_hat)
            constants.eps = (real)(o->eps / sqrt(1 - FN(power)(o->beta2, step + 1)));
        break;
    default: break;
    }
    return constants;
}

/* average += rest (value - average), which is decay average + rest value. */
static inline PN_INLINE FN(vec) FN(move)(FN(vec) average, FN(vec) value, real rest)
{
    return FN(vec_fma)(FN(broadcast)(rest), value - average, average);
}

static inline PN_INLINE FN(vec) FN(move_to_square)(FN(vec) average, FN(vec) value, real decay, real rest)
{
    return FN(vec_fma)(value * rest, value, average * decay);
}

/* p - rate change. */
static inline PN_INLINE FN(vec) FN(descend)(FN(vec) p, real rate, FN(vec) change)
{
    return FN(vec_fma)(FN(broadcast)(-rate), change, p);
}

static inline PN_INLINE FN(vec) FN(sgd)(const FN(update_constants) *c, FN(vec) g, FN(vec) p, FN(vec) *slots)
{
    const FN(vec) momentum = FN(broadcast)(c->momentum);
    if (c->n_slots == 0)
        return FN(descend)(p, c->rate, g);
    slots[0] = FN(vec_fma)(momentum, slots[0], g);
    return FN(descend)(p, c->rate, c->optimizer->nesterov ? FN(vec_fma)(momentum, slots[0], g) : slots[0]);
}

static inline PN_INLINE FN(vec) FN(rmsprop)(const FN(update_constants) *c, FN(vec) g, FN(vec) p, FN(vec) *slots)
{
    const int centered = c->optimizer->centered, has_momentum = c->momentum > 0;
    FN(vec) variance = slots[0] = FN(move_to_square)(slots[0], g, c->decay2, c->rest2);
    if (centered) {
        slots[1] = FN(move)(slots[1], g, c->rest1);
        variance = FN(vec_max)((FN(vec)){0}, FN(vec_fma)(-slots[1], slots[1], variance)); /* NaN stays */
    }
    FN(vec) change = g / (FN(vec_sqrt)(variance) + c->eps);
    if (has_momentum && centered)
        change = slots[2] = FN(vec_fma)(FN(broadcast)(c->momentum), slots[2], change);
    else if (has_momentum)
        change = slots[1] = FN(vec_fma)(FN(broadcast)(c->momentum), slots[1], change);
    return FN(descend)(p, c->rate, change);
}

static inline PN_INLINE FN(vec) FN(adagrad)(const FN(update_constants) *c, FN(vec) g, FN(vec) p, FN(vec) *slots)
{
    slots[0] = FN(vec_fma)(g, g, slots[0]);
    return FN(descend)(p, c->rate, g / (FN(vec_sqrt)(slots[0]) + c->eps));
}

static inline PN_INLINE FN(vec) FN(adam)(const FN(update_constants) *c, FN(vec) g, FN(vec) p, FN(vec) *slots)
{
    slots[0] = FN(move)(slots[0], g, c->rest1);
    slots[1] = FN(move_to_square)(slots[1], g, c->decay2, c->rest2);
    FN(vec) square = slots[1];
    if (c->n_slots == 3)
        square = slots[2] = FN(vec_max)(slots[2], square); /* NaN stays */
    FN(vec) root = FN(vec_fma)(FN(vec_sqrt)(square), FN(broadcast)(c->root_scale), FN(broadcast)(c->eps));
    return FN(descend)(p * c->kept, c->rate, slots[0] / root);
}

static inline PN_INLINE FN(vec) FN(rprop)(const FN(update_constants) *c, FN(vec) g, FN(vec) p, FN(vec) *slots)
{
    const FN(vec) zero = {0}, one = FN(broadcast)(1);
    const FN(vec) product = g * slots[0];
    const FN(vec_signed) goes_on = product > zero, turns = product < zero;
    FN(vec) eta = FN(keep_where)(goes_on, FN(broadcast)(c->eta_plus)) + FN(keep_where)(turns, FN(broadcast)(c->eta_minus)) +
                  FN(keep_where)(~(goes_on | turns), one); /* one of the three */
    FN(vec) size = FN(vec_max)(slots[1] * eta, FN(broadcast)(c->step_min));
    slots[1] = FN(vec_min)(size, FN(broadcast)(c->step_max));
    slots[0] = FN(keep_where)(~turns, g);
    FN(vec) sign = FN(keep_where)(slots[0] > zero, one) - FN(keep_where)(slots[0] < zero, one);
    return FN(descend)(p, 1, slots[1] * sign);
}

static inline PN_INLINE FN(vec) FN(update_vector)(const pn_optimizer_kind kind, const FN(update_constants) *constants,
                                                  FN(vec) g, FN(vec) p, FN(vec) *slots)
{
    g = FN(vec_fma)(FN(broadcast)(constants->weight_decay), p, g * constants->gradient_scale);
    switch (kind) {
    case PN_SGD: return FN(sgd)(constants, g, p, slots);
    case PN_RMSPROP: return FN(rmsprop)(constants, g, p, slots);
    case PN_ADAGRAD: return FN(adagrad)(constants, g, p, slots);
    case PN_ADAM:
    case PN_ADAMW: return FN(adam)(constants, g, p, slots);
    case PN_RPROP: return FN(rprop)(constants, g, p, slots);
    case PN_N_OPTIMIZERS: break;
    }
    return p;
}

/* Subnormal numbers as 0: averages that fade away would stay such numbers, with which steps take several times as long. */
static inline PN_INLINE FN(vec) FN(flush)(FN(vec) value)
{
    const FN(vec) least = FN(broadcast)(REAL_IS_DOUBLE ? (real)DBL_MIN : (real)FLT_MIN);
    return FN(keep_where)(~((value < least) & (value > -least)), value);
}

/* The kind is a constant: the loop is compiled for each of them. n is a multiple of PN_LANES. */
static inline PN_INLINE void FN(update_stretch)(const pn_optimizer_kind kind, const FN(update_constants) *update,
                                                size_t n, const real *gradient, real *parameters, real *const *slots)
{
    const FN(update_constants) constants = *update; /* which no store can change */
    const size_t n_slots = constants.n_slots;
    real *first = n_slots > 0 ? slots[0] : NULL, *second = n_slots > 1 ? slots[1] : NULL;
    real *third = n_slots > 2 ? slots[2] : NULL;
    FN(vec) at[PN_MAX_SLOTS] = {{0}};
    for (size_t i = 0; i < n; i += PN_LANES) {
        if (n_slots > 0)
            at[0] = FN(load)(first + i);
        if (n_slots > 1)
            at[1] = FN(load)(second + i);
        if (n_slots > 2)
            at[2] = FN(load)(third + i);
        FN(store)(parameters + i, FN(update_vector)(kind, &constants, FN(load)(gradient + i),
                                                    FN(load)(parameters + i), at));
        if (n_slots > 0)
            FN(store)(first + i, FN(flush)(at[0]));
        if (n_slots > 1)
            FN(store)(second + i, FN(flush)(at[1]));
        if (n_slots > 2)
            FN(store)(third + i, FN(flush)(at[2]));
    }
}

static void FN(update_vectors)(const FN(update_constants) *update, size_t n, const real *gradient, real *parameters,
                               real *const *slots)
{
    switch (update->optimizer->kind) {
    case PN_SGD: FN(update_stretch)(PN_SGD, update, n, gradient, parameters, slots); break;
    case PN_RMSPROP: FN(update_stretch)(PN_RMSPROP, update, n, gradient, parameters, slots); break;
    case PN_ADAGRAD: FN(update_stretch)(PN_ADAGRAD, update, n, gradient, parameters, slots); break;
    case PN_ADAM:
    case PN_ADAMW: FN(update_stretch)(PN_ADAM, update, n, gradient, parameters, slots); break;
    case PN_RPROP: FN(update_stretch)(PN_RPROP, update, n, gradient, parameters, slots); break;
    case PN_N_OPTIMIZERS: break;
    }
}

/* Elements that do not fill a vector are updated in one that zeros fill up. */
static void FN(update)(const FN(update_constants) *update, size_t n, const real *gradient, real *parameters,
                       real *const *slots)
{
    const size_t tail = n % PN_LANES, whole = n - tail;
    real padded[2 + PN_MAX_SLOTS][PN_LANES];
    real *const padded_slots[PN_MAX_SLOTS] = {padded[2], padded[3], padded[4]};
    if (whole > 0)
        FN(update_vectors)(update, whole, gradient, parameters, slots);
    if (tail == 0)
        return;
    FN(store)(padded[0], FN(load_n)(tail, gradient + whole));
    FN(store)(padded[1], FN(load_n)(tail, parameters + whole));
    for (size_t s = 0; s < update->n_slots; s++)
        FN(store)(padded[2 + s], FN(load_n)(tail, slots[s] + whole));
    FN(update_vectors)(update, PN_LANES, padded[0], padded[1], padded_slots);
    FN(copy_n)(tail, padded[1], parameters + whole);
    for (size_t s = 0; s < update->n_slots; s++)
        FN(copy_n)(tail, padded[2 + s], slots[s] + whole);
}

/* The gradient of l1 |weight| + l2/2 weight^2. */
static void FN(add_penalty)(size_t n, real l1, real l2, const real *weight, real *gradient)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++) {
        real slope = weight[i] > 0 ? l1 : 0;
        slope = weight[i] < 0 ? -l1 : slope;
        gradient[i] = FN(fma)(l2, weight[i], gradient[i]) + slope;
    }
}

static void FN(clip)(size_t n, real limit, real *values)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++) {
        real value = values[i] > limit ? limit : values[i];
        values[i] = value < -limit ? -limit : value;
    }
}
