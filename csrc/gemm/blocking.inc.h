/*
 * The constants of the matrix product C[m][n] = A[m][k] B[k][n]: the shape of the micro-kernel, the sizes of blocks,
 * and the crossovers between the paths of select.inc.c. All of them are measured with benchmarks/matmul.c. They decide
 * how long a product takes and never what its result is.
 */

/* ---- The micro-kernel, which is as large as the registers of the target allow ------------------------------------ */

#if PN_VECTOR_BYTES == 64 || defined(__aarch64__) /* AVX-512 and AArch64: 32 vector registers */
/* MR: rows of C in the largest micro-tile. 12 x 2 accumulators, 2 vectors of B and 1 broadcast number of A are used. */
#define PN_MR 12
/* A micro-tile of up to so many rows may be 4 vectors wide, so that enough chains of multiply-adds are in flight. */
#define PN_MR_4_VECTORS 4
/* A micro-tile of up to so many rows may be 8 vectors wide. */
#define PN_MR_8_VECTORS 2
#else /* SSE2 and AVX2: 16 vector registers */
#define PN_MR 6
#define PN_MR_4_VECTORS 2
#define PN_MR_8_VECTORS 1
#endif

/* NR: columns of a panel of B. A micro-tile of more than PN_MR_4_VECTORS rows is a panel wide, or a vector. */
#define PN_NR (2 * PN_LANES)
/* Vectors of the widest micro-tile. */
#define PN_MAX_VECTORS 8
/* MR rounded up to whole vectors, which packing stores. */
#define PN_MR_PADDED ((PN_MR + PN_LANES - 1) / PN_LANES * PN_LANES)

/* ---- The sizes of blocks ----------------------------------------------------------------------------------------- */

/* KC: terms of the sum between two visits to C. A product of k terms takes them in ceil(k / KC) even blocks. */
#define PN_KC (3072 / sizeof(real))
/* KC where A and B are packed and m is at most PN_SMALL_M: packing B is much of the work then. double gains nothing. */
#define PN_KC_SMALL_M (REAL_IS_DOUBLE ? PN_KC : 256)
#define PN_SMALL_M 96
/* KC where A is column-major and not packed as a whole: each of its terms lies in another cache line, or page. */
#define PN_KC_COLUMN_MAJOR (1408 / sizeof(real))
/*
 * Rows of B that are read side by side where a large B is not packed: hardware prefetchers follow so many streams.
 * KC is m rounded up to a multiple of it.
 */
#define PN_B_STREAMS 8
/* NC: columns of B that are packed at a time where A is not packed. With A packed, one panel at a time is. */
#define PN_NC 512
/* MC, the rows of a block of packed A, is what the scratch memory has room for: see multiply_packed. */

/* ---- Crossovers between paths ------------------------------------------------------------------------------------ */

/* B is not packed if it is at most so large, whatever m is. */
#define PN_UNPACKED_B_BYTES 40960
/* Otherwise B is not packed if m is at most so large and each sum runs over all of k at once, */
#define PN_UNPACKED_B_M 128
/* or if m is at most so large and sums are taken in blocks. */
#define PN_UNPACKED_B_BLOCKED_M (4 * PN_MR)
/* A is not packed as a whole if n is at most so large. */
#define PN_NARROW_N 512
/* A B of at most this size stays in the second-level cache. Where it is not packed, no sum is cut into blocks then. */
#define PN_CACHED_B_BYTES (1 << 20)
/* An A of less than this size stays in the second-level cache. A larger one is prefetched, or packed in strips. */
#define PN_CACHED_A_BYTES 262144
/* With a prepacked B, A is not packed if its rows are at most so long: from 4096 bytes on, rows share cache sets. */
#define PN_UNPACKED_A_ROW_BYTES 4032
/* Rows that are a multiple of 4096 bytes apart share a set of the first-level cache, which holds so many of them. */
#define PN_L1_WAYS 8
/* A column-major A is packed in strips if it is far away, or if each strip is read for at least so many panels of B. */
#define PN_PACK_STRIP_PANELS 8
/* backward_x may be computed transposed for batches of at most so many rows, */
#define PN_TRANSPOSED_M 64
/* if the weights have at least so many times the elements of the batch and the result, which are transposed instead. */
#define PN_TRANSPOSE_RATIO 3
/* Weights are kept packed between the steps of a training run for batches of at least so many rows. */
#define PN_KEEP_PACKED_M 8

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

/* What one core computes, and what it reads of weights that are larger than PN_CACHED_B_BYTES: a model of costs. */
#define PN_FLOPS_PER_MICROSECOND (1.6e4 * PN_LANES)
#define PN_BYTES_PER_MICROSECOND 2e4
/* A thread gets at least so many microseconds of work, */
#define PN_THREAD_MICROSECONDS 32
/* or so many if the shortest of m, n and k is less than PN_SHORT_SIDE: cores then fetch most data from each other. */
#define PN_SHORT_SIDE_MICROSECONDS 65
#define PN_SHORT_SIDE 64

/* ---- Sizes that follow from these -------------------------------------------------------------------------------- */

/* The scratch memory of a thread, in elements; 64 bytes of it are for alignment. */
#define PN_SCRATCH_ELEMENTS ((PN_SCRATCH_BYTES - 64) / sizeof(real))
/* The longest sum of a transposed product, whose panel of B must fit into the scratch memory. */
#define PN_TRANSPOSED_MAX_K (PN_SCRATCH_ELEMENTS / PN_NR)
/* Elements of a packed strip of A, at most. */
#define PN_STRIP_ELEMENTS (PN_KC_COLUMN_MAJOR * PN_MR_PADDED)
/* Elements of a row of A that are prefetched at a time, while as many terms of a sum are added. */
#define PN_PREFETCH_ELEMENTS (4 * PN_NR)
