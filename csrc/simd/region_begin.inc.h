/*
 * Opens a region of kernels. In it, whatever flags the file is compiled with, loops may be vectorised, and contraction
 * is off: a multiply-add is fused where FN(fma) is written and nowhere else. GCC's level 3 would
 * add a fifth to the code, and is no faster.
 */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpass-failed" /* a loop to be vectorised may have been unrolled */
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("O2", "tree-vectorize", "vect-cost-model=dynamic")
#pragma GCC optimize("fp-contract=off", "no-trapping-math", "no-math-errno")
#endif
