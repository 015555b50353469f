/*
 * The constants of the matrix product C[m][n] = A[m][k] B[k][n]: the shape of the micro-kernel, the sizes of blocks,
 * and the crossovers between the paths of select.inc.c. All of them are measured with benchmarks/matmul.c. They decide
 * how long a product takes and never what its result is.
 */

/* ---- The micro-kernel: one table for each size of the register file ---------------------------------------------- */

#if PN_VECTOR_BYTES == 64 || defined(__aarch64__) /* AVX-512 and AArch64: 32 vector registers */
#define PN_MR 12
#define PN_MR_4_VECTORS 4
#define PN_MR_8_VECTORS 2
#else /* SSE2 and AVX2: 16 vector registers */
#define PN_MR 6
#define PN_MR_4_VECTORS 2
#define PN_MR_8_VECTORS 1
#endif
/*
 * PN_MR            MR, the rows of the largest micro-tile. MR x 2 accumulators, two vectors of B and a broadcast number
 *                  of A are in registers.
 * PN_MR_4_VECTORS  A micro-tile of at most this many rows may be 4 vectors wide. So it has enough chains of
 *                  multiply-adds to keep the arithmetic units busy.
 * PN_MR_8_VECTORS  A micro-tile of at most this many rows may be 8 vectors wide.
 */

/* NR, the columns of a panel of B. Micro-tiles of MR rows are one panel wide, or one vector. */
#define PN_NR (2 * PN_LANES)

/* The width of the widest micro-tile, in vectors. */
#define PN_MAX_VECTORS 8

/* MR rounded up to whole vectors. Packing a strip of A stores whole vectors. */
#define PN_MR_PADDED ((PN_MR + PN_LANES - 1) / PN_LANES * PN_LANES)

/* ---- The sizes of blocks ----------------------------------------------------------------------------------------- */

/*
 * KC, the terms of a sum between two visits to C. A sum of k terms is cut into ceil(k / KC) blocks of equal size. MC,
 * the rows of a packed block of A, is as large as the scratch memory allows: see multiply_packed.
 */
#define PN_KC (3072 / sizeof(real))

/* KC where A is column-major and not packed as a block: each term of a sum is then in another cache line, or page. */
#define PN_KC_COLUMN_MAJOR (1408 / sizeof(real))

/*
 * Where a large B is not packed, KC is m, rounded up to a multiple of this: so many rows of B are read side by side.
 * Hardware prefetchers follow this many streams.
 */
#define PN_B_STREAMS 8

/* NC, the columns of B that are packed at a time where A is not packed. Where A is packed, it is NR. */
#define PN_NC 512

/* So many finished sums are still in the first-level cache when the epilogue goes over them. */
#define PN_EPILOGUE_ELEMENTS 1024

/* ---- The crossovers between paths -------------------------------------------------------------------------------- */

/* A row-major B is not packed if it has at most this many bytes, for any m. */
#define PN_UNPACKED_B_BYTES 40960

/* B is not packed if A has at most this many rows and no sum is cut into blocks. */
#define PN_UNPACKED_B_M 128

/* B is not packed if A has at most this many rows, even if sums are cut into blocks. For updates of C, it is MR. */
#define PN_UNPACKED_B_BLOCKED_M (4 * PN_MR)

/* A is not packed as a block if C has at most this many columns. */
#define PN_NARROW_N 512

/* A B of at most this many bytes stays in the second-level cache. If it is not packed, no sum is cut into blocks. */
#define PN_CACHED_B_BYTES (1 << 20)

/* An A of at least this many bytes does not stay in the second-level cache: it is prefetched, or packed in strips. */
#define PN_CACHED_A_BYTES 262144

/* A column-major A of any size is packed in strips if C has at least this many panels, for which each strip is read. */
#define PN_PACK_STRIP_PANELS 8

/* With a prepacked B, A is not packed if a row has at most this many bytes. Longer rows share sets of the cache. */
#define PN_UNPACKED_A_ROW_BYTES 4032

/* Rows of A that lie a multiple of 4096 bytes apart share a set of the first-level cache, which holds this many. */
#define PN_L1_WAYS 8

/* backward_x may be computed transposed if the batch has at most this many rows. */
#define PN_TRANSPOSED_M 64

/* backward_x is computed transposed if the weights have this many times the elements of the batch and the result. */
#define PN_TRANSPOSE_RATIO 3

/* backward_x is not computed transposed if the weights have more bytes than this. */
#define PN_TRANSPOSED_WEIGHT_BYTES (1 << 22)

/* A Gram matrix is computed by about so many columns at a time: below the diagonal, half of them are computed in vain. */
#define PN_GRAM_COLUMNS 96

/* Training keeps weights packed from step to step if a batch has at least this many rows. */
#define PN_KEEP_PACKED_M 8

/* ---- The model of costs that decides about threads --------------------------------------------------------------- */

/* What one core computes in a microsecond. */
#define PN_FLOPS_PER_MICROSECOND (1.6e4 * PN_LANES)

/* What one core reads in a microsecond of weights that are larger than PN_CACHED_B_BYTES. */
#define PN_BYTES_PER_MICROSECOND 2e4

/* The work of a thread takes at least this many microseconds. */
#define PN_THREAD_MICROSECONDS 32

/* If m, n or k is less than this, cores fetch most of their data from each other's caches. */
#define PN_SHORT_SIDE 64

/* The work of a thread takes at least this many microseconds if m, n or k is less than PN_SHORT_SIDE. */
#define PN_SHORT_SIDE_MICROSECONDS 65

/* ---- Sizes that follow from these -------------------------------------------------------------------------------- */

/* The scratch memory of a thread, in elements. 64 bytes of it are left for alignment. */
#define PN_SCRATCH_ELEMENTS ((PN_SCRATCH_BYTES - 64) / sizeof(real))

/* The longest sum of a transposed product: the scratch memory must hold its panel of B. */
#define PN_TRANSPOSED_MAX_K (PN_SCRATCH_ELEMENTS / PN_NR)

/* The elements of a packed strip of A, at most. */
#define PN_STRIP_ELEMENTS (PN_KC_COLUMN_MAJOR * PN_MR_PADDED)

/* The elements of a row of A that are prefetched at a time, while the micro-kernel adds as many terms. */
#define PN_PREFETCH_ELEMENTS (4 * PN_NR)
