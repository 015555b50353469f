/* Closes what region_begin.inc.h opened. */
#if defined(__clang__)
#pragma clang diagnostic pop
#pragma STDC FP_CONTRACT DEFAULT
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
