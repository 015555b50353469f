/* Products whose A and B are packed. */

/* What tiles of mr packed rows of A and a whole panel of B have in common; as many parts as there are rows to fetch. */
static FN(tile_job) FN(panel_job)(const FN(product) *s, size_t mr, size_t j, size_t p, size_t depth, const FN(strip) *b)
{
    return (FN(tile_job)){
        .a_step = mr, .b = b->data, .b_step = b->step, .b_panel = b->panel,
        .parts = mr, .depth = depth / mr, .last_depth = depth % mr,
        .init = s->bias ? s->bias + j : FN(zeros), .init_step = p > 0 ? s->c_step : 0,
        .c_step = s->c_step, .rate = s->rate,
        .next_step = s->b.step, .next_square = s->b.by_column ? s->b.panel : PN_PANEL * s->b.step,
    };
}

/*
 * A block of A is packed; panels of B pass by. Tiles fetch the next panel piece by piece while they compute; if B is
 * not packed already, each piece is packed then.
 */
static void FN(multiply_packed)(const FN(product) *s, const FN(part) *part, size_t kc, real *scratch, size_t room)
{
    size_t i_end = part->i + part->rows, j_end = part->j + part->columns;
    size_t mr = FN(even)(part->rows, PN_MR), tiles = FN(pieces)(part->rows, mr);
    real *panel = scratch, *next_panel = scratch + PN_PANEL * kc, *block = scratch + 2 * PN_PANEL * kc;
    size_t mc = mr * FN(even)(tiles, (room - 2 * PN_PANEL * kc - PN_LANES) / (mr * kc));
    int ready = FN(is_ready)(&s->b);
    for (size_t p = 0; p < s->k; p += kc) {
        size_t depth = FN(least)(kc, s->k - p);
        for (size_t i_block = part->i; i_block < i_end; i_block += mc) {
            size_t i_block_end = FN(least)(i_block + mc, i_end);
            real *to = block;
            for (size_t i = i_block, rows; i < i_block_end; i += rows, to += depth * mr) {
                rows = FN(tile_rows)(i_block_end - i, mr);
                FN(pack_a)(&s->a, i, rows, p, depth, to, mr);
            }
            size_t piece = FN(whole)(FN(pieces)(depth, FN(pieces)(i_block_end - i_block, mr)), PN_PANEL);
            if (!ready)
                FN(pack_b)(&s->b, p, depth, part->j, FN(least)(PN_PANEL, part->columns), panel);
            for (size_t j = part->j; j < j_end; j += PN_PANEL) {
                size_t columns = FN(least)(PN_PANEL, j_end - j), next = j + columns;
                size_t next_columns = FN(least)(PN_PANEL, j_end - next), done = next < j_end ? 0 : depth;
                FN(strip) a = {block, mr, 0, 1, NULL}, b = {panel, PN_PANEL, 0, 0, NULL};
                if (ready)
                    b = FN(strip_of_b)(&s->b, p, j);
                FN(tile_job) job = FN(panel_job)(s, mr, j, p, depth, &b);
                job.rows_a_part = FN(pieces)(piece, mr);
                real *after_panel = FN(c_at)(s, i_block, next < j_end ? next : j);
                for (size_t i = i_block, rows; i < i_block_end; i += rows, a.data += depth * mr) {
                    size_t some = FN(least)(piece, depth - done);
                    rows = FN(tile_rows)(i_block_end - i, mr);
                    if (columns < PN_PANEL)
                        FN(add_terms)(s, i, rows, j, columns, columns > PN_LANES, p, depth, &a, &b);
                    else {
                        job.a = a.data;
                        job.c = FN(c_at)(s, i, j);
                        job.init = p > 0 ? job.c : job.init;
                        job.next_c = i + rows < i_block_end ? FN(c_at)(s, i + rows, j) : after_panel;
                        job.a_prev = s->a_prev && p + depth == s->k ? s->a_prev + (job.c - s->c) : NULL;
                        job.next_b = FN(b_at)(&s->b, p + done, next);
                        job.next_rows = some;
                        FN(tiles)[1][1][rows - 1](&job);
                    }
                    if (some > 0 && !ready)
                        FN(pack_b)(&s->b, p + done, some, next, next_columns, next_panel + done * PN_PANEL);
                    done += some;
                    if (p + depth == s->k)
                        FN(finish)(s, i, rows, j, columns);
                }
                real *used = panel;
                panel = next_panel;
                next_panel = used;
            }
        }
    }
}
