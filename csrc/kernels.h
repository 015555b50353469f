/*
 * Private: the table of kernels that every instruction set fills in, once for each dtype.
 *
 * Kernels compute: they do not check, allocate or print. Every sum but that of the losses runs in index order, one
 * fused multiply-add a term, starting from what each comment names; nothing else is ever contracted.
 */
#ifndef PLAINNET_KERNELS_H
#define PLAINNET_KERNELS_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "arithmetic.h"
#include "plainnet.h"

#define PN_JOIN_(a, b, c) a##_##b##_##c
#define PN_JOIN(a, b, c) PN_JOIN_(a, b, c)

/* x86-64 with a compiler that can switch instruction sets on for a part of a file. */
#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>
#define PN_HAVE_X86_ISAS 1
#else
#define PN_HAVE_X86_ISAS 0
#endif

/*
 * all_finite            whether none of n numbers is NaN or infinite
 * activate              a = f(z); n elements; in place allowed
 * activate_backward     grad_z = grad_a * f'(z) from a = f(z); in place allowed on either input
 *
 * loss                  z[n] pre-activations of the last layer, f its activation, y[n] targets; writes
 *                       grad_z[n] = scale * dl/dz (grad_z may be z) and returns the sum of the n unscaled losses in
 *                       double: number i goes into partial sum i % 8, and these are added in pairs
 *
 * Sums over more than PN_BLOCK_ROWS rows are made of blocks, whose totals are added with these; n elements each:
 *
 * add_block             total += block, and what the rounding of each addition has lost is added to error
 * settle                sum = total + error, or total where it is not finite
 * descend               parameters = fma(-rate, sum, parameters)
 *
 * dense_forward         a[m][n] = f(bias[n] + sum_k x[m][k] weight[k][n]), the sum starting from bias (NULL: 0)
 * dense_backward_x      grad_z_prev[m][k] = (0 + sum_n grad_z[m][n] weight[k][n]) * f'(a_prev[m][k])
 * dense_backward_weight with G[k][n] = 0 + sum_m x[m][k] grad_z[m][n]:  target[k][n] = G if rate is 0,
 *                       else fma(-rate, G, target)
 * dense_backward_bias   with G[n] = 0 + sum_m grad_z[m][n] (plain adds): target[n] likewise
 * dense_workspace       elements of workspace that each of the products needs for these sizes, whatever the number of
 *                       threads; any alignment
 * dense_forward_workspace  the same for dense_forward alone; where it is 0, workspace may be anything
 *
 * Weights may be kept in the kernels' own order between the steps of a training run. The bits of every result are
 * those of the kernels above. Packed weights belong to this table: another instruction set or dtype packs otherwise.
 *
 * packed_size           elements of weight[k][n] when packed; 0: leave this layer as it is, for batches of about m rows
 *                       packing does not pay. Best aligned to 64 bytes
 * pack, unpack          packed[packed_size] from weight[k][n], and back
 * packed_finite         whether none of these weights is NaN or infinite
 * dense_forward_packed, dense_backward_x_packed
 *                       as above; m may be any number of rows, and the workspace is that of dense_workspace
 * dense_backward_weight_packed
 *                       as above, with rate > 0: the packed weights are the target
 *
 * tiny_fits             whether tiny_train can take a network with m rows; it has at most PN_TINY_PARAMETERS parameters
 * tiny_train            full-batch gradient descent: n_steps steps, losses[n_steps] (or NULL) the summed losses over
 *                       denominator from before each; stops before a step whose loss is not finite and returns how
 *                       many it made. Nothing but the time it takes differs from the steps above.
 * thin_fits             whether thin_forward should take a network with m rows, as all its layers are narrow
 * thin_forward          out[m][n_out] of the last layer from x[m][n_in]: all dense_forward in one, with the same bits
 */
#define PN_TINY_PARAMETERS 288
#define PN_DEFINE_KERNELS(real, suffix)                                                                              \
    typedef struct pn_kernels_##suffix {                                                                             \
        int (*all_finite)(size_t n, const real *values);                                                             \
        void (*activate)(size_t n, pn_activation f, const real *z, real *a);                                         \
        void (*activate_backward)(size_t n, pn_activation f, const real *a, const real *grad_a, real *grad_z);       \
        double (*loss)(pn_loss loss, size_t n, pn_activation f, const real *z, const real *y, real scale,            \
                       real *grad_z);                                                                                \
        void (*add_block)(size_t n, const real *block, real *total, real *error);                                    \
        void (*settle)(size_t n, const real *total, const real *error, real *sum);                                   \
        void (*descend)(size_t n, const real *total, const real *error, real rate, real *parameters);                \
        int (*tiny_fits)(size_t m, const pn_network *network);                                                       \
        size_t (*tiny_train)(size_t m, const pn_network *network, size_t n_steps, real *parameters, const real *x,   \
                             const real *y, real rate, double denominator, double *losses);                          \
        int (*thin_fits)(size_t m, const pn_network *network);                                                       \
        void (*thin_forward)(size_t m, const pn_network *network, const real *parameters, const real *x, real *out); \
        size_t (*dense_workspace)(size_t m, size_t k, size_t n);                                                     \
        size_t (*dense_forward_workspace)(size_t m, size_t k, size_t n);                                             \
        void (*dense_forward)(size_t m, size_t k, size_t n, const real *x, const real *weight, const real *bias,     \
                              pn_activation f, real *a, real *workspace);                                            \
        void (*dense_backward_x)(size_t m, size_t k, size_t n, const real *grad_z, const real *weight,               \
                                 pn_activation f_prev, const real *a_prev, real *grad_z_prev, real *workspace);      \
        void (*dense_backward_weight)(size_t m, size_t k, size_t n, const real *x, const real *grad_z, real rate,    \
                                      real *target, real *workspace);                                                \
        void (*dense_backward_bias)(size_t m, size_t n, const real *grad_z, real rate, real *target);                \
        size_t (*packed_size)(size_t m, size_t k, size_t n);                                                         \
        void (*pack)(size_t k, size_t n, const real *weight, real *packed);                                          \
        void (*unpack)(size_t k, size_t n, const real *packed, real *weight);                                        \
        int (*packed_finite)(size_t k, size_t n, const real *packed);                                                \
        void (*dense_forward_packed)(size_t m, size_t k, size_t n, const real *x, const real *packed,                \
                                     const real *bias, pn_activation f, real *a, real *workspace);                   \
        void (*dense_backward_x_packed)(size_t m, size_t k, size_t n, const real *grad_z, const real *packed,        \
                                        pn_activation f_prev, const real *a_prev, real *grad_z_prev,                 \
                                        real *workspace);                                                            \
        void (*dense_backward_weight_packed)(size_t m, size_t k, size_t n, const real *x, const real *grad_z,        \
                                             real rate, real *packed, real *workspace);                              \
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

#endif
