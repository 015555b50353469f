/* Private: what is known of each activation, loss and optimizer besides its arithmetic, which stands in elementwise/. */
#ifndef PLAINNET_DESCRIPTIONS_H
#define PLAINNET_DESCRIPTIONS_H

#include "arithmetic.h"
#include "plainnet.h"

typedef struct pn_activation_description {
    int backward_needs_z;     /* 0: f' is written in a = f(z), and z is not kept */
} pn_activation_description;

/* What the sum of all losses is divided by. */
typedef enum pn_reduction { PN_SUM, PN_MEAN_OVER_ROWS, PN_MEAN_OVER_OUTPUTS } pn_reduction;

typedef struct pn_loss_description {
    pn_reduction reduction;
    int has_parameter;
    double above, below;      /* then the parameter lies between these two, both excluded... */
    int or_0;                 /* ...or may be 0 as well */
    int probabilities;        /* the targets of a row sum to 1 */
    int labels;               /* there is one target for each row, a class number from 0 to n_out - 1 */
    double min_target, max_target; /* every target lies within these, or is refused with... */
    pn_status bad_target;
    int activation;           /* the activation that the last layer must have; -1: any. Another one is refused with... */
    pn_status bad_activation;
} pn_loss_description;

/* Class numbers up to this one are exact in single precision. */
#define PN_MOST_CLASSES ((size_t)1 << 24)

extern const pn_activation_description pn_activations[PN_N_ACTIVATIONS];
extern const pn_loss_description pn_losses[PN_N_LOSSES];

/* The options of a layer that has none. */
extern const pn_layer_options pn_no_options;

static inline const pn_layer_options *pn_options_of(const pn_layer *layer)
{
    return layer->options != NULL ? layer->options : &pn_no_options;
}

/* How many arrays an optimizer keeps, each as long as the parameters: at most PN_MAX_SLOTS of kernels.h. */
size_t pn_n_slots(const pn_optimizer *optimizer);

/* Whether a step is p = (1 - rate weight_decay) p - rate g, which the products add to the parameters as they compute g. */
int pn_is_plain(const pn_optimizer *optimizer);

/* What the sum of the losses of rows is divided by, whose number, or the sum of whose weights, is `rows`. */
double pn_loss_denominator(const pn_network *network, double rows);

#endif
