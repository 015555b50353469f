/*
 * Opens a region of kernels. Whatever flags the file is compiled with, contraction is off in it, so that a multiply-add
 * is fused where fma is written and nowhere else, and loops may be vectorised. None of this changes a result.
 */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpass-failed" /* a loop asked to vectorise may have unrolled into nothing */
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("O3", "fp-contract=off", "no-trapping-math", "no-math-errno")
#endif
