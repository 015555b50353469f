/* All kernels for one instruction set: the same bodies, once a dtype. Included by isa_*.c alone. */
#include "kernels.h"
#include "threads.h"

#ifdef PN_ISA

#if PN_HAVE_F32
#define real float
#define REAL_IS_DOUBLE 0
#define FN(name) PN_JOIN(name, PN_ISA, f32)
typedef pn_dense_layer_f32 FN(dense_layer);
typedef pn_update_f32 FN(update_constants);
#include "rooms.inc.c"
#endif

#define real double
#define REAL_IS_DOUBLE 1
#define FN(name) PN_JOIN(name, PN_ISA, f64)
typedef pn_dense_layer_f64 FN(dense_layer);
typedef pn_update_f64 FN(update_constants);
#include "rooms.inc.c"

#define PN_TABLE(suffix)                                                                                             \
    {                                                                                                                \
        .all_finite = PN_JOIN(all_finite, PN_ISA, suffix),                                                           \
        .activate = PN_JOIN(activate, PN_ISA, suffix),                                                               \
        .activate_backward = PN_JOIN(activate_backward, PN_ISA, suffix),                                             \
        .softmax = PN_JOIN(softmax, PN_ISA, suffix),                                                                 \
        .softmax_backward = PN_JOIN(softmax_backward, PN_ISA, suffix),                                               \
        .loss = PN_JOIN(loss, PN_ISA, suffix),                                                                       \
        .add_block = PN_JOIN(add_block, PN_ISA, suffix),                                                             \
        .settle = PN_JOIN(settle, PN_ISA, suffix),                                                                   \
        .axpby = PN_JOIN(axpby, PN_ISA, suffix),                                                                     \
        .prepare_update = PN_JOIN(prepare_update, PN_ISA, suffix),                                                   \
        .update = PN_JOIN(update, PN_ISA, suffix),                                                                   \
        .clip = PN_JOIN(clip, PN_ISA, suffix),                                                                       \
        .add_norms = PN_JOIN(add_norms, PN_ISA, suffix),                                                             \
        .limit_norms = PN_JOIN(limit_norms, PN_ISA, suffix),                                                         \
        .add_penalty = PN_JOIN(add_penalty, PN_ISA, suffix),                                                         \
        .dropout = PN_JOIN(dropout, PN_ISA, suffix),                                                                 \
        .tiny_fits = PN_JOIN(tiny_fits, PN_ISA, suffix),                                                             \
        .tiny_train = PN_JOIN(tiny_train, PN_ISA, suffix),                                                           \
        .narrow_fits = PN_JOIN(narrow_fits, PN_ISA, suffix),                                                         \
        .narrow_forward = PN_JOIN(narrow_forward, PN_ISA, suffix),                                                   \
        .dense_workspace = PN_JOIN(dense_workspace, PN_ISA, suffix),                                                 \
        .dense_forward_workspace = PN_JOIN(dense_forward_workspace, PN_ISA, suffix),                                 \
        .dense_forward = PN_JOIN(dense_forward, PN_ISA, suffix),                                                     \
        .dense_backward_x = PN_JOIN(dense_backward_x, PN_ISA, suffix),                                               \
        .dense_backward_weight = PN_JOIN(dense_backward_weight, PN_ISA, suffix),                                     \
        .dense_backward_bias = PN_JOIN(dense_backward_bias, PN_ISA, suffix),                                         \
        .add_gram = PN_JOIN(add_gram, PN_ISA, suffix),                                                               \
        .gram_workspace = PN_JOIN(gram_workspace, PN_ISA, suffix),                                                   \
        .packed_size = PN_JOIN(packed_size, PN_ISA, suffix),                                                         \
        .pack = PN_JOIN(pack_weight, PN_ISA, suffix),                                                                \
        .unpack = PN_JOIN(unpack_weight, PN_ISA, suffix),                                                            \
    }

#define PN_STRING_(name) #name
#define PN_STRING(name) PN_STRING_(name)

const pn_isa_kernels PN_JOIN(pn, isa, PN_ISA) = {
    .name = PN_STRING(PN_ISA),
#if PN_HAVE_F32
    .f32 = PN_TABLE(f32),
#endif
    .f64 = PN_TABLE(f64),
};

#endif
