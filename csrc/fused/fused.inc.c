/*
 * The room of shortcuts: whole networks in one kernel. Sums keep their order, so the results are those of dense/, bit
 * for bit. Each shortcut is asked with a description of the work, and refuses what it does not know.
 */

/* The activations that the shortcuts know: f(z) of each element alone and, if the network `trains`, f' from f(z). */
static int FN(has_known_activations)(const pn_network *network, int trains)
{
    for (size_t l = 0; l < network->n_layers; l++)
        switch (network->layers[l].activation) {
        case PN_IDENTITY:
        case PN_SIGMOID:
        case PN_TANH:
        case PN_RELU:
        case PN_LEAKY_RELU:
        case PN_ELU:
        case PN_SELU:
        case PN_SOFTPLUS: break;
        case PN_GELU:
        case PN_GELU_TANH:
        case PN_SILU:
        case PN_MISH:
            if (trains)
                return 0;
            break;
        default: return 0;
        }
    return 1;
}

#include "narrow_forward.inc.c"
#include "tiny_train.inc.c"
