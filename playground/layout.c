/* kernels.js writes the structures of plainnet.h byte by byte: this does not compile if they are laid out otherwise. */
#include <stddef.h>

#include "plainnet.h"

#define PLAYGROUND_AT(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "." #field)
#define PLAYGROUND_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#define PLAYGROUND_NUMBER(name, number) _Static_assert((name) == (number), #name)

PLAYGROUND_SIZE(pn_layer_options, 48);
PLAYGROUND_AT(pn_layer_options, l2, 8);
PLAYGROUND_AT(pn_layer_options, max_norm, 16);
PLAYGROUND_AT(pn_layer_options, weight_rate, 24);
PLAYGROUND_AT(pn_layer_options, bias_rate, 32);
PLAYGROUND_AT(pn_layer_options, dropout, 40);

PLAYGROUND_SIZE(pn_layer, 20);
PLAYGROUND_AT(pn_layer, n_out, 4);
PLAYGROUND_AT(pn_layer, activation, 8);
PLAYGROUND_AT(pn_layer, has_bias, 12);
PLAYGROUND_AT(pn_layer, options, 16);

PLAYGROUND_SIZE(pn_network, 40);
PLAYGROUND_AT(pn_network, layers, 4);
PLAYGROUND_AT(pn_network, loss, 8);
PLAYGROUND_AT(pn_network, loss_parameter, 16);
PLAYGROUND_AT(pn_network, loss_limit, 24);
PLAYGROUND_AT(pn_network, divide_penalty, 32);

PLAYGROUND_SIZE(pn_optimizer, 136);
PLAYGROUND_AT(pn_optimizer, weight_decay, 8);
PLAYGROUND_AT(pn_optimizer, momentum, 16);
PLAYGROUND_AT(pn_optimizer, nesterov, 24);
PLAYGROUND_AT(pn_optimizer, centered, 28);
PLAYGROUND_AT(pn_optimizer, amsgrad, 32);
PLAYGROUND_AT(pn_optimizer, eps_hat, 36);
PLAYGROUND_AT(pn_optimizer, alpha, 40);
PLAYGROUND_AT(pn_optimizer, beta1, 48);
PLAYGROUND_AT(pn_optimizer, beta2, 56);
PLAYGROUND_AT(pn_optimizer, eps, 64);
PLAYGROUND_AT(pn_optimizer, learning_rate_decay, 72);
PLAYGROUND_AT(pn_optimizer, initial_accumulator_value, 80);
PLAYGROUND_AT(pn_optimizer, eta_minus, 88);
PLAYGROUND_AT(pn_optimizer, eta_plus, 96);
PLAYGROUND_AT(pn_optimizer, step_min, 104);
PLAYGROUND_AT(pn_optimizer, step_max, 112);
PLAYGROUND_AT(pn_optimizer, clip_value, 120);
PLAYGROUND_AT(pn_optimizer, clip_norm, 128);

PLAYGROUND_SIZE(pn_training, 200);
PLAYGROUND_AT(pn_training, batch_size, 4);
PLAYGROUND_AT(pn_training, learning_rate, 8);
PLAYGROUND_AT(pn_training, shuffle, 16);
PLAYGROUND_AT(pn_training, seed, 24);
PLAYGROUND_AT(pn_training, first_epoch, 32);
PLAYGROUND_AT(pn_training, optimizer, 40);
PLAYGROUND_AT(pn_training, first_step, 184);

PLAYGROUND_SIZE(pn_progress, 24);
PLAYGROUND_AT(pn_progress, row, 4);
PLAYGROUND_AT(pn_progress, loss_sum, 8);
PLAYGROUND_AT(pn_progress, steps, 16);

/* The last of each list of names: with one more or less before it, the others have moved as well. */
PLAYGROUND_NUMBER(PN_SOFTMAX, 12);
PLAYGROUND_NUMBER(PN_N_ACTIVATIONS, 13);
PLAYGROUND_NUMBER(PN_CROSS_ENTROPY_LABELS, 9);
PLAYGROUND_NUMBER(PN_N_LOSSES, 10);
PLAYGROUND_NUMBER(PN_RPROP, 5);
PLAYGROUND_NUMBER(PN_N_OPTIMIZERS, 6);
