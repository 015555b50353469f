/* Argument checks, and the sentences for what they find. */
#include "arguments.h"

#include "descriptions.h"

const char *pn_status_message(pn_status status)
{
    switch (status) {
    case PN_OK: return "success";
    case PN_NULL_POINTER: return "a required pointer is NULL";
    case PN_MISALIGNED: return "an array does not start at a multiple of its element's size";
    case PN_OVERLAP: return "an output overlaps an input or another output";
    case PN_NO_ROWS: return "there are no rows: n_rows must be at least 1";
    case PN_NO_LAYERS: return "a network needs at least one layer";
    case PN_NO_NEURONS: return "a layer's n_in and n_out must be at least 1";
    case PN_SIZES_DO_NOT_CHAIN: return "a layer's n_in must be the n_out of the layer before it";
    case PN_SIZE_OVERFLOW: return "the sizes are too large";
    case PN_UNKNOWN_ACTIVATION: return "unknown activation";
    case PN_UNKNOWN_LOSS: return "unknown loss";
    case PN_LOG_LOSS_NEEDS_SIGMOID: return "log loss needs a sigmoid as the last layer's activation";
    case PN_BAD_LEARNING_RATE: return "the learning rate must be finite and above 0 in the network's type";
    case PN_DATA_NOT_FINITE: return "x or y holds NaN or infinity";
    case PN_TARGET_OUT_OF_RANGE: return "log loss needs targets within [0, 1]";
    case PN_BAD_PROGRESS: return "the row to go on from must be below n_rows";
    case PN_WORKSPACE_TOO_SMALL: return "the workspace is smaller than the workspace function asks for";
    case PN_DIVERGED: return "training diverged: the loss or a parameter became NaN or infinite";
    case PN_UNKNOWN_ISA: return "no such instruction set here (names: baseline, avx2, avx512, neon)";
    case PN_BAD_THREADS: return "the number of threads is out of range";
    case PN_INEXACT_BUILD: return "the library was compiled with options that break its arithmetic, such as -ffast-math";
    case PN_BAD_LOSS_PARAMETER: 
        return "the parameter of the loss is outside of what that loss allows, or loss_limit is below 0 or not finite";
    case PN_NEGATIVE_TARGET: return "the Poisson loss needs targets of at least 0";
    case PN_SOFTMAX_NOT_LAST: return "softmax is for the last layer only";
    case PN_SOFTMAX_NEEDS_CROSS_ENTROPY: return "softmax as the last layer's activation needs cross entropy as the loss";
    case PN_CROSS_ENTROPY_NEEDS_SOFTMAX: return "cross entropy needs softmax as the last layer's activation";
    case PN_BAD_PROBABILITY: return "cross entropy needs targets within [0, 1] that sum to 1 in each row";
    case PN_BAD_LABEL: return "cross entropy needs whole numbers from 0 to n_out - 1 as labels";
    case PN_BAD_SAMPLE_WEIGHT: return "sample weights must be finite, at least 0, and not all 0";
    case PN_UNKNOWN_OPTIMIZER: return "unknown optimizer";
    case PN_BAD_OPTIMIZER: return "an option of the optimizer is out of range";
    case PN_BAD_LAYER_OPTION: return "an option of a layer is out of range";
    case PN_DROPOUT_ON_LAST_LAYER: return "dropout is for hidden layers: on the last layer it would drop outputs";
    case PN_BAD_ORDER: return "pn_training.order holds a number that is not below n_rows";
    case PN_NEEDS_SQUARES: return "Gauss-Newton needs the sum of squares or the mean squared error as the loss";
    }
    return "unknown status";
}

pn_status pn_check_array(pn_array array)
{
    if (array.bytes == 0)
        return PN_OK;
    PN_REQUIRE(array.data != NULL, PN_NULL_POINTER);
    PN_REQUIRE(((uintptr_t)array.data & (array.alignment - 1)) == 0, PN_MISALIGNED);
    return PN_OK;
}

pn_status pn_check_no_overlap(pn_array output, pn_array other)
{
    uintptr_t a = (uintptr_t)output.data, b = (uintptr_t)other.data;
    if (output.data == NULL || other.data == NULL || output.bytes == 0 || other.bytes == 0)
        return PN_OK;
    return a < b + other.bytes && b < a + output.bytes ? PN_OVERLAP : PN_OK;
}

pn_status pn_check_arrays(const pn_array *inputs, size_t n_inputs, const pn_array *outputs, size_t n_outputs)
{
    for (size_t i = 0; i < n_inputs; i++)
        PN_TRY(pn_check_array(inputs[i]));
    for (size_t o = 0; o < n_outputs; o++) {
        PN_TRY(pn_check_array(outputs[o]));
        for (size_t i = 0; i < n_inputs; i++)
            PN_TRY(pn_check_no_overlap(outputs[o], inputs[i]));
        for (size_t p = 0; p < o; p++)
            PN_TRY(pn_check_no_overlap(outputs[o], outputs[p]));
    }
    return PN_OK;
}

pn_status pn_check_network(const pn_network *network, size_t *n_parameters)
{
    size_t count = 0;
    PN_REQUIRE(network != NULL, PN_NULL_POINTER);
    PN_REQUIRE(network->n_layers > 0, PN_NO_LAYERS);
    PN_REQUIRE(network->layers != NULL, PN_NULL_POINTER);
    for (size_t l = 0; l < network->n_layers; l++) {
        const pn_layer *layer = &network->layers[l];
        PN_REQUIRE(layer->n_in > 0 && layer->n_out > 0, PN_NO_NEURONS);
        PN_REQUIRE(l == 0 || layer->n_in == layer[-1].n_out, PN_SIZES_DO_NOT_CHAIN);
        PN_REQUIRE((unsigned)layer->activation < PN_N_ACTIVATIONS, PN_UNKNOWN_ACTIVATION);
        PN_TRY(pn_add_product(&count, layer->n_in, layer->n_out, 1));
        PN_TRY(pn_add_product(&count, layer->has_bias ? layer->n_out : 0, 1, 1));
    }
    PN_REQUIRE((unsigned)network->loss < PN_N_LOSSES, PN_UNKNOWN_LOSS);
    const pn_loss_description *loss = &pn_losses[network->loss];
    PN_REQUIRE(loss->activation < 0 || loss->activation == (int)network->layers[network->n_layers - 1].activation,
               loss->bad_activation);
    for (size_t l = 0; l + 1 < network->n_layers; l++)
        PN_REQUIRE(network->layers[l].activation != PN_SOFTMAX, PN_SOFTMAX_NOT_LAST);
    const pn_layer *last = &network->layers[network->n_layers - 1];
    PN_REQUIRE(last->activation != PN_SOFTMAX || loss->activation == PN_SOFTMAX, PN_SOFTMAX_NEEDS_CROSS_ENTROPY);
    PN_REQUIRE(last->activation != PN_SOFTMAX || last->n_out <= PN_MOST_CLASSES, PN_SIZE_OVERFLOW);
    *n_parameters = count;
    return PN_OK;
}

pn_status pn_n_parameters(const pn_network *network, size_t *n_parameters)
{
    PN_REQUIRE(n_parameters != NULL, PN_NULL_POINTER);
    return pn_check_network(network, n_parameters);
}

pn_status pn_optimizer_state(const pn_network *network, const pn_optimizer *optimizer, size_t *n_elements)
{
    size_t n_parameters;
    PN_REQUIRE(optimizer != NULL && n_elements != NULL, PN_NULL_POINTER);
    PN_TRY(pn_check_network(network, &n_parameters));
    PN_REQUIRE((unsigned)optimizer->kind < PN_N_OPTIMIZERS, PN_UNKNOWN_OPTIMIZER);
    PN_REQUIRE(n_parameters <= PTRDIFF_MAX / 128, PN_SIZE_OVERFLOW);
    *n_elements = pn_n_slots(optimizer) * n_parameters;
    return PN_OK;
}
