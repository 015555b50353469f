/* The public single kernels, for both dtypes. */
#include "arguments.h"
#include "descriptions.h"
#include "kernels.h"
#include "threads.h"

#if PN_HAVE_F32
#define real float
#define MEMBER f32
#define FN(name) name##_f32
#include "single/single.inc.c"
#undef real
#undef MEMBER
#undef FN
#endif

#define real double
#define MEMBER f64
#define FN(name) name##_f64
#include "single/single.inc.c"
