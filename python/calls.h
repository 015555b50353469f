/*
 * Ways into the library for the Python package alone. What stays from call to call stands in a struct, since every
 * argument of a call from Python takes some 20 ns; and x and y, for which Python has bytes, are untyped.
 */
#ifndef PLAINNET_CALLS_H
#define PLAINNET_CALLS_H

#include "plainnet.h"

typedef struct pn_call {
    const pn_network *network;
    void *parameters;
    size_t n_rows;
    void *out;              /* of forward */
    double loss;            /* of train_on_batch, from before the step */
    void *workspace;
    size_t workspace_bytes;
} pn_call;

pn_status pn_call_forward_f64(const pn_call *call, const void *x);
pn_status pn_call_forward_f32(const pn_call *call, const void *x);
pn_status pn_call_train_on_batch_f64(pn_call *call, double learning_rate, const void *x, const void *y);
pn_status pn_call_train_on_batch_f32(pn_call *call, double learning_rate, const void *x, const void *y);

#endif
