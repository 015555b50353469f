/* The activations, losses and optimizers; CONTRIBUTING.md tells how to add one. */
#include "descriptions.h"

#include <math.h>

const pn_activation_description pn_activations[PN_N_ACTIVATIONS] = {
    [PN_IDENTITY] = {.backward_needs_z = 0},
    [PN_SIGMOID] = {.backward_needs_z = 0},
    [PN_TANH] = {.backward_needs_z = 0},
    [PN_RELU] = {.backward_needs_z = 0},
    [PN_LEAKY_RELU] = {.backward_needs_z = 0},
    [PN_ELU] = {.backward_needs_z = 0},
    [PN_SELU] = {.backward_needs_z = 0},
    [PN_GELU] = {.backward_needs_z = 1},
    [PN_GELU_TANH] = {.backward_needs_z = 1},
    [PN_SILU] = {.backward_needs_z = 1},
    [PN_MISH] = {.backward_needs_z = 1},
    [PN_SOFTPLUS] = {.backward_needs_z = 0},
    [PN_SOFTMAX] = {.backward_needs_z = 0},
};

const pn_loss_description pn_losses[PN_N_LOSSES] = {
    [PN_LOG_LOSS] = {.reduction = PN_MEAN_OVER_ROWS, .min_target = 0, .max_target = 1,
                     .bad_target = PN_TARGET_OUT_OF_RANGE,
                     .activation = PN_SIGMOID, .bad_activation = PN_LOG_LOSS_NEEDS_SIGMOID},
    [PN_SUM_OF_SQUARES] = {.reduction = PN_SUM, .min_target = -INFINITY, .max_target = INFINITY, .activation = -1},
    [PN_MEAN_SQUARED_ERROR] = {.reduction = PN_MEAN_OVER_OUTPUTS, .min_target = -INFINITY, .max_target = INFINITY,
                               .activation = -1},
    [PN_MEAN_ABSOLUTE_ERROR] = {.reduction = PN_MEAN_OVER_OUTPUTS, .min_target = -INFINITY, .max_target = INFINITY,
                                .activation = -1},
    [PN_HUBER] = {.reduction = PN_MEAN_OVER_OUTPUTS, .min_target = -INFINITY, .max_target = INFINITY,
                  .activation = -1, .has_parameter = 1, .above = 0, .below = INFINITY},
    [PN_LOG_COSH] = {.reduction = PN_MEAN_OVER_OUTPUTS, .min_target = -INFINITY, .max_target = INFINITY,
                     .activation = -1},
    [PN_QUANTILE] = {.reduction = PN_MEAN_OVER_OUTPUTS, .min_target = -INFINITY, .max_target = INFINITY,
                     .activation = -1, .has_parameter = 1, .above = 0, .below = 1},
    [PN_POISSON] = {.reduction = PN_MEAN_OVER_OUTPUTS, .min_target = 0, .max_target = INFINITY,
                    .bad_target = PN_NEGATIVE_TARGET, .activation = -1},
    [PN_CROSS_ENTROPY] = {.reduction = PN_MEAN_OVER_ROWS, .min_target = 0, .max_target = 1,
                          .bad_target = PN_BAD_PROBABILITY, .probabilities = 1,
                          .has_parameter = 1, .above = 0, .below = 1, .or_0 = 1,
                          .activation = PN_SOFTMAX, .bad_activation = PN_CROSS_ENTROPY_NEEDS_SOFTMAX},
    [PN_CROSS_ENTROPY_LABELS] = {.reduction = PN_MEAN_OVER_ROWS, .min_target = 0, .max_target = PN_MOST_CLASSES,
                                 .bad_target = PN_BAD_LABEL, .labels = 1,
                                 .has_parameter = 1, .above = 0, .below = 1, .or_0 = 1,
                                 .activation = PN_SOFTMAX, .bad_activation = PN_CROSS_ENTROPY_NEEDS_SOFTMAX},
};

const pn_layer_options pn_no_options = {.weight_rate = 1, .bias_rate = 1};

size_t pn_n_slots(const pn_optimizer *optimizer)
{
    size_t has_momentum = optimizer->momentum > 0;
    switch (optimizer->kind) {
    case PN_SGD: return has_momentum;
    case PN_RMSPROP: return 1 + (optimizer->centered != 0) + has_momentum;
    case PN_ADAGRAD: return 1;
    case PN_ADAM:
    case PN_ADAMW: return 2 + (optimizer->amsgrad != 0);
    case PN_RPROP: return 2;
    case PN_N_OPTIMIZERS: break;
    }
    return 0;
}

int pn_is_plain(const pn_optimizer *optimizer)
{
    return optimizer->kind == PN_SGD && !(optimizer->momentum > 0) && !(optimizer->clip_value > 0) &&
           !(optimizer->clip_norm > 0);
}

double pn_loss_denominator(const pn_network *network, double rows)
{
    switch (pn_losses[network->loss].reduction) {
    case PN_MEAN_OVER_ROWS: return rows;
    case PN_MEAN_OVER_OUTPUTS: return rows * (double)network->layers[network->n_layers - 1].n_out;
    default: return 1;
    }
}
