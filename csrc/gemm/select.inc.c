/* Which path a product takes. */

static void FN(descend_by_blocks)(const FN(product) *s, const FN(part) *part, real *scratch);

/* Chooses the way, by what was measured. room: elements of scratch, at least half of PN_SCRATCH. */
static void FN(multiply_part)(const FN(product) *s, const FN(part) *part, real *scratch, size_t room)
{
    if (s->transposed) {
        FN(multiply_transposed)(s, part, scratch);
        return;
    }
    if (s->k == 1 && s->b.panel == PN_PANEL && s->c_panel == PN_PANEL && (!s->b.by_column || s->b.step == 1)) {
        FN(multiply_one_term)(s, part);
        return;
    }
    int few_rows = part->rows <= PN_MR;
    int short_rows = s->k * sizeof(real) <= PN_ROWS_IN_PLACE;
    int aliased = s->a.step * sizeof(real) % 4096 == 0 && (s->a.by_column || part->rows > PN_WAYS);
    int narrow = part->columns <= PN_NARROW && !aliased;
    size_t b_bytes = s->k * part->columns * sizeof(real);
    int small_b = b_bytes <= PN_IN_PLACE_BYTES, ready = FN(is_ready)(&s->b);
    int in_one_go = narrow && b_bytes <= (few_rows ? 2 : 1) * PN_NARROW_BYTES;
    size_t most_rows = in_one_go ? PN_ROWS_B_IN_PLACE : s->rate > 0 ? PN_MR : PN_ROWS_B_BY_BLOCKS;
    int b_in_place = !s->b.by_column && (part->rows <= most_rows || small_b || (ready && (narrow || short_rows)));
    int packed = !b_in_place && !few_rows && !narrow;

    size_t kc = PN_KC;
    if (b_in_place && (small_b || ready || s->rate > 0 || in_one_go))
        kc = s->k;
    else if (b_in_place)
        kc = FN(whole)(part->rows, PN_KC_FEW_ROWS);
    else if (packed && !ready && part->rows <= PN_ROWS_TO_PACK && s->rate == 0)
        kc = PN_KC_TO_PACK;
    else if (!packed)
        kc = FN(least)(kc, (PN_SCRATCH / 2 - PN_STRIP) / FN(whole)(part->columns, PN_PANEL));
    if (s->a.by_column && !packed && !b_in_place)
        kc = FN(least)(kc, PN_KC_BY_COLUMN);
    kc = FN(even)(s->k, kc);
    if (kc < s->k && !b_in_place)
        kc = FN(whole)(kc, PN_PANEL);

    if (s->rate > 0 && kc < s->k)
        FN(descend_by_blocks)(s, part, scratch);
    else if (part->rows == 1 && !s->a.by_column && b_in_place && kc < s->k)
        FN(multiply_streaming)(s, part);
    else if (packed)
        FN(multiply_packed)(s, part, kc, scratch, room);
    else {
        int pack_strips = s->a.by_column && kc <= PN_KC_BY_COLUMN &&
                          (FN(is_far)(s, part) || part->columns >= PN_STRIP_PANELS * PN_PANEL);
        FN(multiply_by_strips)(s, part, pack_strips, !b_in_place, kc, scratch);
    }
}

/* c -= rate * sum where the sum takes several blocks: those of a part of C meet in half of the scratch memory. */
static void FN(descend_by_blocks)(const FN(product) *s, const FN(part) *part, real *scratch)
{
    FN(product) sums = *s;
    sums.rate = 0;
    sums.c = scratch;
    sums.c_panel = PN_PANEL;
    size_t columns = FN(whole)(FN(even)(part->columns, PN_NARROW), PN_PANEL);
    sums.c_step = (columns / PN_PANEL | 1) * PN_PANEL; /* odd, as rows would else share cache lines */
    size_t most_rows = (PN_SCRATCH / 2 - 64) / sums.c_step / PN_MR * PN_MR;
    size_t rows = FN(whole)(FN(even)(part->rows, most_rows), PN_MR);
    real *rest = scratch + FN(whole)(rows * sums.c_step, 64);
    for (size_t i = 0; i < part->rows; i += rows)
        for (size_t j = 0; j < part->columns; j += columns) {
            FN(part) block = {0, FN(least)(part->rows - i, rows), 0, FN(least)(part->columns - j, columns)};
            sums.a.data = s->a.data + (part->i + i) * (s->a.by_column ? 1 : s->a.step);
            sums.b.data = s->b.data + (part->j + j) * (s->b.by_column ? s->b.step : 1);
            FN(multiply_part)(&sums, &block, rest, (size_t)(scratch + PN_SCRATCH - rest));
            for (size_t r = 0; r < block.rows; r++)
                for (size_t l = 0; l < block.columns; l += PN_PANEL)
                    FN(put)(s->rate, FN(least)(PN_PANEL, block.columns - l), sums.c + r * sums.c_step + l,
                            FN(c_at)(s, part->i + i + r, part->j + j + l));
        }
}
