/* The macro-kernel: products of which A and B are packed. */

/*
 * The arguments that the micro-kernels of a panel of B share. The sum has as many chunks as a micro-tile has rows: with
 * each chunk, one row of the next micro-tile of C is prefetched.
 */
static FN(microkernel_args) FN(panel_args)(const FN(product) *s, size_t mr, size_t j, size_t p, size_t depth,
                                           const FN(matrix) *b)
{
    return (FN(microkernel_args)){
        .a_stride = mr, .b = b->data, .b_stride = b->stride, .b_panel_stride = b->panel_stride,
        .n_chunks = mr, .chunk_depth = depth / mr, .tail_depth = depth % mr,
        .init = s->bias ? s->bias + j : FN(zeros), .init_stride = p > 0 ? s->c_stride : 0,
        .c_stride = s->c_stride, .alpha = s->alpha, .beta = s->beta,
        .next_b_stride = s->b.stride,
        .next_b_square_stride = s->b.column_major ? s->b.panel_stride : PN_NR * s->b.stride,
    };
}

/*
 * A block of A, MC x KC, is packed and stays in the second-level cache, while one panel of B after the other, KC x NR,
 * is multiplied by it. Each micro-kernel prefetches a slice of the next panel; a B that is not prepacked is packed
 * right after that, slice by slice.
 */
static void FN(multiply_packed)(const FN(product) *s, const FN(c_range) *range, size_t kc, real *scratch,
                                size_t scratch_elements)
{
    size_t i_end = range->i + range->rows, j_end = range->j + range->columns;
    size_t mr = FN(balanced_chunk)(range->rows, PN_MR), tiles = FN(ceil_div)(range->rows, mr);
    real *panel = scratch, *next_panel = scratch + PN_NR * kc, *block = scratch + 2 * PN_NR * kc;
    size_t mc = mr * FN(balanced_chunk)(tiles, (scratch_elements - 2 * PN_NR * kc - PN_LANES) / (mr * kc));
    int prepacked = FN(is_prepacked)(&s->b);
    for (size_t p = 0; p < s->k; p += kc) {
        size_t depth = FN(min)(kc, s->k - p);
        for (size_t i_block = range->i; i_block < i_end; i_block += mc) {
            size_t i_block_end = FN(min)(i_block + mc, i_end);
            real *to = block;
            for (size_t i = i_block, rows; i < i_block_end; i += rows, to += depth * mr) {
                rows = FN(tile_rows)(i_block_end - i, mr);
                FN(pack_a)(&s->a, i, rows, p, depth, to, mr);
            }
            size_t slice = FN(round_up)(FN(ceil_div)(depth, FN(ceil_div)(i_block_end - i_block, mr)), PN_NR);
            if (!prepacked)
                FN(pack_b)(&s->b, p, depth, range->j, FN(min)(PN_NR, range->columns), panel);
            for (size_t j = range->j; j < j_end; j += PN_NR) {
                size_t columns = FN(min)(PN_NR, j_end - j), next = j + columns;
                size_t next_columns = FN(min)(PN_NR, j_end - next), done = next < j_end ? 0 : depth;
                FN(matrix) a = {block, mr, 0, 1, NULL}, b = {panel, PN_NR, 0, 0, NULL};
                if (prepacked)
                    b = FN(b_from)(&s->b, p, j);
                FN(microkernel_args) args = FN(panel_args)(s, mr, j, p, depth, &b);
                args.next_b_rows_per_chunk = FN(ceil_div)(slice, mr);
                real *after_panel = FN(c_at)(s, i_block, next < j_end ? next : j);
                for (size_t i = i_block, rows; i < i_block_end; i += rows, a.data += depth * mr) {
                    size_t some = FN(min)(slice, depth - done);
                    rows = FN(tile_rows)(i_block_end - i, mr);
                    if (columns < PN_NR)
                        FN(accumulate)(s, i, rows, j, columns, columns > PN_LANES, p, depth, &a, &b);
                    else {
                        args.a = a.data;
                        args.c = FN(c_at)(s, i, j);
                        args.init = p > 0 ? args.c : args.init;
                        args.next_c = i + rows < i_block_end ? FN(c_at)(s, i + rows, j) : after_panel;
                        args.next_a_prev = s->a_prev && p + depth == s->k ? s->a_prev + (args.c - s->c) : NULL;
                        args.next_b = FN(b_at)(&s->b, p + done, next);
                        args.next_b_rows = some;
                        FN(microkernels)[1][1][rows - 1](&args);
                    }
                    if (some > 0 && !prepacked)
                        FN(pack_b)(&s->b, p + done, some, next, next_columns, next_panel + done * PN_NR);
                    done += some;
                    if (p + depth == s->k)
                        FN(epilogue)(s, i, rows, j, columns);
                }
                real *used = panel;
                panel = next_panel;
                next_panel = used;
            }
        }
    }
}
