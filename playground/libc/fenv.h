/* WebAssembly rounds to nearest and keeps subnormal numbers: there is no mode to save or to set. */
#ifndef PLAYGROUND_FENV_H
#define PLAYGROUND_FENV_H

typedef struct { char none; } fenv_t;
#define FE_DFL_ENV ((const fenv_t *)0)

static inline int fegetenv(fenv_t *mode)
{
    mode->none = 0;
    return 0;
}

static inline int fesetenv(const fenv_t *mode)
{
    (void)mode;
    return 0;
}

#endif
