/* Private: what the public functions check before they write anything. */
#ifndef PLAINNET_ARGUMENTS_H
#define PLAINNET_ARGUMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "arithmetic.h"
#include "plainnet.h"

/* Leaves the function with a status that is not PN_OK. */
#define PN_TRY(call)                                                                                                 \
    do {                                                                                                             \
        pn_status status_ = (call);                                                                                  \
        if (status_ != PN_OK)                                                                                        \
            return status_;                                                                                          \
    } while (0)
#define PN_REQUIRE(condition, status)                                                                                \
    do {                                                                                                             \
        if (!(condition))                                                                                            \
            return (status);                                                                                         \
    } while (0)

/* One array argument. */
typedef struct pn_array {
    const void *data;
    size_t bytes;
    size_t alignment;  /* of an element: a power of two */
} pn_array;

#define PN_ARRAY(pointer, count) ((pn_array){(pointer), (count) * sizeof *(pointer), sizeof *(pointer)})

/* PN_NULL_POINTER, PN_MISALIGNED or PN_OK. Empty arrays may be NULL. */
pn_status pn_check_array(pn_array array);
pn_status pn_check_no_overlap(pn_array output, pn_array other);

/* The same for all of them: outputs, a workspace among them, apart from the inputs and from each other. */
pn_status pn_check_arrays(const pn_array *inputs, size_t n_inputs, const pn_array *outputs, size_t n_outputs);

/* *sum += a * b * c, or PN_SIZE_OVERFLOW beyond PTRDIFF_MAX / 16: whole arrays of that many elements can be indexed. */
static inline pn_status pn_add_product(size_t *sum, size_t a, size_t b, size_t c)
{
    const size_t most = PTRDIFF_MAX / 16;
    int small = (a | b | c) >> 20 == 0; /* spares the divisions */
    if (!small && a != 0 && b != 0 && c != 0)
        PN_REQUIRE(a <= most && b <= most / a && c <= most / a / b, PN_SIZE_OVERFLOW);
    PN_REQUIRE(a * b * c <= most - *sum, PN_SIZE_OVERFLOW);
    *sum += a * b * c;
    return PN_OK;
}

/* Layers, sizes and loss of a network; *n_parameters is written on success. */
pn_status pn_check_network(const pn_network *network, size_t *n_parameters);

#define PN_WORKSPACE_ALIGNMENT 64
static inline void *pn_align_workspace(void *workspace)
{
    uintptr_t address = (uintptr_t)workspace;
    return (char *)workspace + (-address & (PN_WORKSPACE_ALIGNMENT - 1));
}

#endif
