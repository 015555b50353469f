/*
 * Private: the table of kernels that every instruction set fills in, once for each dtype.
 *
 * Kernels compute: they do not check, allocate or print. Every sum but that of the losses runs in index order, one
 * fused multiply-add (or, where one factor is 1, an addition) a term, starting from what each comment names; nothing
 * else is ever contracted.
 */
#ifndef PLAINNET_KERNELS_H
#define PLAINNET_KERNELS_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "arithmetic.h"
#include "descriptions.h"
#include "plainnet.h"
#include "random.h"

/* -DPN_NO_F32 leaves single precision out, where size counts: then no function that ends in _f32 is there. */
#ifdef PN_NO_F32
#define PN_HAVE_F32 0
#else
#define PN_HAVE_F32 1
#endif

#define PN_JOIN_(a, b, c) a##_##b##_##c
#define PN_JOIN(a, b, c) PN_JOIN_(a, b, c)

/* x86-64 with a compiler that can switch instruction sets on for a part of a file. */
#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>
#define PN_HAVE_X86_ISAS 1
#else
#define PN_HAVE_X86_ISAS 0
#endif
#if defined(__GNUC__) && defined(__aarch64__)
#include <arm_neon.h>
#endif

/*
 * A dense layer, applied to m rows:
 *
 *   weight[k][n]  row-major or, if `packed`, as `pack` has made it. Packed weights belong to a table: another
 *                 instruction set or dtype packs otherwise. The bits of every result are the same
 *   bias[n]       NULL: none
 *   workspace     dense_workspace elements, with any alignment; for dense_forward alone, dense_forward_workspace
 *
 * all_finite            whether none of n numbers is NaN or infinite
 * activate              a = f(z); n elements; in place allowed
 * activate_backward     grad_z = grad_a * f'(z) from a = f(z), and from z if the activation's description asks for it
 *                       (else z may be NULL); in place allowed on any input
 *
 * softmax               a[m][n] = exp(z) / (sum of exp(z) over the row); in place allowed
 * softmax_backward      grad_z[m][n] = a (grad_a - (sum of a grad_a over the row)); in place allowed on any input. In both
 *                       sums, number j of a row goes into partial sum j % 16, and these are added in pairs
 *
 * loss                  the network's, for m rows: z[m][n] pre-activations of its last layer, y[m][n] targets, or y[m]
 *                       if these are labels; weight[m] of the rows, or NULL: 1. Writes
 *                       grad_z[m][n] = weight dl/dz / denominator (grad_z may be z), and returns the sum of the m n losses
 *                       (cross entropy: m losses, of rows) times weight in double: number i goes into partial sum i % 8,
 *                       and these are added in pairs. A row of weight 0 adds 0, whatever its loss and gradient are
 *
 * Sums over more than PN_BLOCK_ROWS rows are made of blocks, whose totals are added with these; n elements each:
 *
 * add_block             total += block, and what the rounding of each addition has lost is added to error
 * settle                sum = total + error, or total where it is not finite; sum may be total
 *
 * axpby                 y = fma(alpha, x, beta y), n elements: a step of gradient descent for a stretch of parameters y
 *                       and their gradient x, in whatever order these lie
 *
 * prepare_update        the constants of a step of the optimizer; `step` counts those before it, and `rate` is its rate
 * update                that step for a stretch of n parameters, in whatever order these, their gradient and the slots
 *                       (the arrays that the optimizer keeps) lie
 * clip                  values[n] within -limit and limit; NaN stays
 * add_norms             sums[j % 8] += |v| (a + b |v|) for v in row i and column j of values[k][n], which may be packed as
 *                       `pack` does it: in the order of the rows and columns, each sum one chain in double, every
 *                       operation rounded
 * limit_norms           scales each column of weight[k][n], plain or packed, whose norm is finite and above max_norm, down
 *                       to it; the squares are added in the order of the rows, in double, every operation rounded
 * add_penalty           gradient = fma(l2, weight, gradient) + l1 sign(weight), n elements
 * dropout               out[m][n] = values / (1 - rate) where kept, else 0; in place allowed. What is kept is a function of
 *                       key, the row, counted from first_row on, and the column; see dropout.inc.c
 *
 * dense_forward         z[m][n] = bias[n] + sum_k x[m][k] weight[k][n], the sum starting from bias (NULL: 0), and
 *                       a[m][n] = f(z). z may be NULL: it is not kept then
 * dense_backward_x      grad_z_prev[m][k] = (0 + sum_n grad_z[m][n] weight[k][n]) * f_prev'(z_prev[m][k]); z_prev and
 *                       a_prev as for activate_backward
 * dense_backward_weight with G[k][n] = 0 + sum_m x[m][k] grad_z[m][n]: target[k][n] = G if beta is 0, else
 *                       fma(alpha, G, beta target): a gradient, or a step of gradient descent. target lies as the
 *                       layer's weight does, plain or packed, and may be that weight
 * dense_backward_bias   with G[n] = 0 + sum_m grad_z[m][n] (plain additions): target[n] likewise
 * dense_workspace       elements of workspace that each of the products needs for these sizes, whatever the number of
 *                       threads
 * dense_forward_workspace  the same for dense_forward alone; where it is 0, workspace may be anything
 *
 * add_gram              gram[p][p] = beta gram + j^T j for j[m][p], beta 0 or 1: the upper triangle, with the diagonal, of
 *                       sums that run in the order of the rows. Some of the elements below are written as well
 * gram_workspace        elements of workspace that it needs
 *
 * packed_size           elements of weight[k][n] when packed; 0: leave this layer as it is, for batches of about m rows
 *                       packing does not pay. Best aligned to 64 bytes; what lies between its panels is neither read
 *                       nor written
 * pack, unpack          packed[packed_size] from weight[k][n], and back
 *
 * tiny_fits             whether tiny_train trains this network with m rows in the way described; if so, it has at most
 *                       PN_TINY_PARAMETERS parameters
 * tiny_train            full-batch gradient descent: n_steps steps, losses[n_steps] (or NULL) the summed losses over
 *                       denominator from before each; stops before a step whose loss is not finite and returns how
 *                       many it made. Nothing but the time it takes differs from the steps above.
 * narrow_fits           whether narrow_forward computes this network with m rows, because all its layers are narrow
 * narrow_forward        out[m][n_out] of the last layer from x[m][n_in]: all dense_forward in one, with the same bits
 */
#define PN_TINY_PARAMETERS 288
#define PN_NORM_SUMS 8
#define PN_MAX_SLOTS 3
#define PN_DEFINE_KERNELS(real, suffix)                                                                              \
    typedef struct pn_update_##suffix {                                                                              \
        const pn_optimizer *optimizer;                                                                               \
        size_t n_slots;                                                                                              \
        real gradient_scale, weight_decay, kept; /* kept: what is left of a parameter that decays by itself */       \
        real rate, momentum, eps, root_scale;                                                                        \
        real decay1, decay2, rest1, rest2; /* of moving averages: what is kept, and 1 less that */                   \
        real eta_minus, eta_plus, step_min, step_max;                                                                \
    } pn_update_##suffix;                                                                                            \
    typedef struct pn_dense_layer_##suffix {                                                                         \
        size_t m, k, n;                                                                                              \
        const real *weight;                                                                                          \
        int packed;                                                                                                  \
        const real *bias;                                                                                            \
        pn_activation f;                                                                                             \
        real *workspace;                                                                                             \
    } pn_dense_layer_##suffix;                                                                                       \
    typedef struct pn_kernels_##suffix {                                                                             \
        int (*all_finite)(size_t n, const real *values);                                                             \
        void (*activate)(size_t n, pn_activation f, const real *z, real *a);                                         \
        void (*activate_backward)(size_t n, pn_activation f, const real *z, const real *a, const real *grad_a,       \
                                  real *grad_z);                                                                     \
        void (*softmax)(size_t m, size_t n, const real *z, real *a);                                                 \
        void (*softmax_backward)(size_t m, size_t n, const real *a, const real *grad_a, real *grad_z);               \
        double (*loss)(const pn_network *network, size_t m, const real *z, const real *y, const real *weight,        \
                       double denominator, real *grad_z);                                                            \
        void (*add_block)(size_t n, const real *block, real *total, real *error);                                    \
        void (*settle)(size_t n, const real *total, const real *error, real *sum);                                   \
        void (*axpby)(size_t n, real alpha, const real *x, real beta, real *y);                                      \
        pn_update_##suffix (*prepare_update)(const pn_optimizer *optimizer, double rate, uint64_t step);             \
        void (*update)(const pn_update_##suffix *update, size_t n, const real *gradient, real *parameters,           \
                       real *const *slots);                                                                          \
        void (*clip)(size_t n, real limit, real *values);                                                            \
        void (*add_norms)(size_t k, size_t n, int packed, double a, double b, const real *values, double *sums);     \
        void (*limit_norms)(size_t k, size_t n, int packed, double max_norm, real *weight);                          \
        void (*add_penalty)(size_t n, real l1, real l2, const real *weight, real *gradient);                         \
        void (*dropout)(uint64_t key, size_t first_row, size_t m, size_t n, double rate, const real *values,         \
                        real *out);                                                                                  \
        int (*tiny_fits)(size_t m, const pn_network *network, const pn_training *training);                          \
        size_t (*tiny_train)(size_t m, const pn_network *network, size_t n_steps, real *parameters, const real *x,   \
                             const real *y, real rate, double denominator, double *losses);                          \
        int (*narrow_fits)(size_t m, const pn_network *network);                                                     \
        void (*narrow_forward)(size_t m, const pn_network *network, const real *parameters, const real *x,           \
                               real *out);                                                                           \
        size_t (*dense_workspace)(size_t m, size_t k, size_t n);                                                     \
        size_t (*dense_forward_workspace)(size_t m, size_t k, size_t n);                                             \
        void (*dense_forward)(const pn_dense_layer_##suffix *layer, const real *x, real *z, real *a);                \
        void (*dense_backward_x)(const pn_dense_layer_##suffix *layer, const real *grad_z, pn_activation f_prev,     \
                                 const real *z_prev, const real *a_prev, real *grad_z_prev);                         \
        void (*dense_backward_weight)(const pn_dense_layer_##suffix *layer, const real *x, const real *grad_z,       \
                                      real alpha, real beta, real *target);                                          \
        void (*dense_backward_bias)(size_t m, size_t n, const real *grad_z, real alpha, real beta, real *target);    \
        void (*add_gram)(size_t m, size_t p, const real *j, real beta, real *gram, real *workspace);                 \
        size_t (*gram_workspace)(size_t m, size_t p);                                                                \
        size_t (*packed_size)(size_t m, size_t k, size_t n);                                                         \
        void (*pack)(size_t k, size_t n, const real *weight, real *packed);                                          \
        void (*unpack)(size_t k, size_t n, const real *packed, real *weight);                                        \
    } pn_kernels_##suffix

PN_DEFINE_KERNELS(float, f32);
PN_DEFINE_KERNELS(double, f64);

/* One instruction set: its name and its kernels. */
typedef struct pn_isa_kernels {
    const char *name;
    pn_kernels_f32 f32;
    pn_kernels_f64 f64;
} pn_isa_kernels;

extern const pn_isa_kernels pn_isa_baseline, pn_isa_avx2, pn_isa_avx512, pn_isa_neon;

/* The kernels in use, chosen at the first call; NULL if PLAINNET_ISA names none that works here. */
const pn_isa_kernels *pn_kernels_in_use(void);

/*
 * The same with a status: PN_UNKNOWN_ISA or PN_BAD_THREADS if the environment asks for nonsense, PN_INEXACT_BUILD if
 * the library was compiled with options that break its arithmetic.
 */
pn_status pn_ready(const pn_isa_kernels **kernels);

/* Whether isa points to a table that this machine can run. */
int pn_is_isa(const pn_isa_kernels *isa);

/*
 * The tables that this machine can run, from index 0 on; NULL behind the last one. A workspace is large enough for all of
 * them: another thread may choose another instruction set between the call that asks for its size and the one that uses it.
 */
const pn_isa_kernels *pn_usable_isa(size_t index);

/* *n_bytes = the largest value of `bytes` with `kernels` for each of these tables. MEMBER and FN are the dtype's. */
#define PN_MAX_OVER_ISAS(n_bytes, kernels, bytes)                                                                    \
    do {                                                                                                             \
        const pn_isa_kernels *isa_;                                                                                  \
        *(n_bytes) = 0;                                                                                              \
        for (size_t index_ = 0; (isa_ = pn_usable_isa(index_)) != NULL; index_++) {                                  \
            const FN(pn_kernels) *kernels = &isa_->MEMBER;                                                           \
            size_t bytes_ = (bytes);                                                                                 \
            *(n_bytes) = bytes_ > *(n_bytes) ? bytes_ : *(n_bytes);                                                  \
        }                                                                                                            \
    } while (0)

#endif
