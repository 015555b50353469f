/*
 * The room of shortcuts: whole networks in one kernel. Sums keep their order, so the results are those of dense/, bit
 * for bit. Each shortcut is asked with a description of the work, and refuses what it does not know.
 */

/*
 * Whether the shortcuts can compute the activations: f(z) of each element alone, which softmax is not, and, if the network
 * `trains`, f' from f(z), as they do not keep z.
 */
static int FN(has_known_activations)(const pn_network *network, int trains)
{
    for (size_t l = 0; l < network->n_layers; l++) {
        const pn_activation f = network->layers[l].activation;
        if (f == PN_SOFTMAX || (trains && pn_activations[f].backward_needs_z))
            return 0;
    }
    return 1;
}

#include "narrow_forward.inc.c"
#include "tiny_train.inc.c"
