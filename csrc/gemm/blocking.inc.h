/* Block sizes, and where one path of a product takes over from another. */

/* Crossovers, measured with benchmarks/matmul.c. */
#ifndef PN_KC
#define PN_KC (3072 / sizeof(real)) /* terms of the sum between two visits to C */
#define PN_B_STREAMS 8            /* the same for up to so many rows where B is read in place: as many streams */
#define PN_SMALL_M 96          /* rows of A up to which packing B is much of the work, */
#define PN_KC_SMALL_M (REAL_IS_DOUBLE ? PN_KC : 256) /* and the same for them: float64 gains nothing from fewer */
#define PN_UNPACKED_B_BYTES 40960     /* B up to this size is not packed */
#define PN_UNPACKED_B_M 128      /* nor any B for so many rows of A, if it is read in one go; */
#define PN_UNPACKED_B_BLOCKED_M (4 * PN_MR) /* otherwise for so many */
#define PN_NARROW_N 512               /* columns: up to this width of C, A is not packed as a whole, */
#define PN_CACHED_B_BYTES (1 << 20)   /* and a B up to this size is read in one go, though it lies in place */
#define PN_UNPACKED_A_ROW_BYTES 4032       /* bytes: nor if rows are no longer, B packed; from 4096 on rows collide */
#define PN_L1_WAYS 8                   /* rows of A that may have the same places in the nearest cache */
#define PN_NC 512                   /* columns of B packed at a time where A is not */
#define PN_PREFETCH_A_BYTES 262144       /* from this size on A is fetched ahead where it is not packed; but where it lies */
#define PN_PACK_STRIP_PANELS 8           /* by columns it is packed in strips, as also for so many panels of B: each term */
#define PN_KC_COLUMN_MAJOR (1408 / sizeof(real)) /* is in another page, or line of the cache; a sum has at most so many */
#define PN_TRANSPOSED_M 64          /* rows of a batch up to which backward_x may be computed transposed */
#define PN_TRANSPOSE_COST 3        /* transposing the weights costs so many times what transposing the others does */
#define PN_KEEP_PACKED_M 8       /* rows of a batch from which on weights are better kept packed */
#define PN_BYTES_PER_MICROSECOND 2e4  /* of weights that are larger than PN_CACHED_B_BYTES, from memory */
#define PN_THREAD_MICROSECONDS 32    /* of work, at least, for every thread; */
#define PN_SHORT_SIDE 64            /* if the shortest side is less than this, */
#define PN_SHORT_SIDE_MICROSECONDS 65            /* so many microseconds: cores then fetch most of what they use from each other */
#endif

#if PN_VECTOR_BYTES == 64 || defined(__aarch64__) /* 32 registers */
#define PN_MR 12
#else
#define PN_MR 6
#endif
#define PN_MAX_VECTORS 8 /* vectors in the widest tile */
#define PN_MR_PADDED ((PN_MR + PN_LANES - 1) / PN_LANES * PN_LANES)

#define PN_TRANSPOSED_MAX_K (PN_SCRATCH_ELEMENTS / PN_NR) /* longest sum of a transposed product: what a panel holds */
#define PN_SCRATCH_ELEMENTS ((PN_SCRATCH_BYTES - 64) / sizeof(real))

#define PN_NR (2 * PN_LANES) /* columns of a packed panel of B */
#define PN_PREFETCH_ELEMENTS (4 * PN_NR) /* numbers of a row of A that are fetched at a time, with as many terms of a sum */
#define PN_STRIP_ELEMENTS (PN_KC_COLUMN_MAJOR * PN_MR_PADDED) /* elements of a packed strip of A, at most */
