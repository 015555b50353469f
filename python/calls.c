/* calls.h: the public functions, with their arguments from a struct. */
#include "calls.h"

#define PN_DEFINE_CALLS(suffix)                                                                                      \
    pn_status pn_call_forward_##suffix(const pn_call *call, const void *x)                                           \
    {                                                                                                                \
        return pn_forward_##suffix(call->n_rows, call->network, call->parameters, x, call->out, call->workspace,     \
                                   call->workspace_bytes);                                                           \
    }                                                                                                                \
    pn_status pn_call_train_on_batch_##suffix(pn_call *call, double learning_rate, const void *x, const void *y)     \
    {                                                                                                                \
        return pn_train_on_batch_##suffix(call->n_rows, call->network, learning_rate, call->parameters, x, y,        \
                                          &call->loss, call->workspace, call->workspace_bytes);                      \
    }

PN_DEFINE_CALLS(f64)
PN_DEFINE_CALLS(f32)
