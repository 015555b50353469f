/*
 * Opens a region of kernels. In it, whatever flags the file is compiled with, loops may be vectorised, and contraction
 * is off: a multiply-add is fused where FN(fma) is written and nowhere else. GCC's level 3 would add a fifth to the code,
 * and is no faster. Kernels for x86-64 processors without AVX2, which are from before 2013, are compiled for size: they
 * take a quarter less, and a tenth longer on small networks.
 */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpass-failed" /* a loop to be vectorised may have been unrolled */
#elif defined(__GNUC__)
#pragma GCC push_options
#if PN_HAVE_X86_ISAS && PN_VECTOR_BYTES == 16
#pragma GCC optimize("Os", "tree-vectorize", "vect-cost-model=dynamic")
#else
#pragma GCC optimize("O2", "tree-vectorize", "vect-cost-model=dynamic")
#endif
#pragma GCC optimize("fp-contract=off", "no-trapping-math", "no-math-errno")
#endif
