/* The part of the standard header that csrc/ uses: instructions of WebAssembly. */
#ifndef PLAYGROUND_MATH_H
#define PLAYGROUND_MATH_H

#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define isfinite(x) __builtin_isfinite(x)
#define isnan(x) __builtin_isnan(x)
#define fabs(x) __builtin_fabs(x)
#define sqrt(x) __builtin_sqrt(x)

#endif
