/*
 * What a program on a Cortex-M needs before main, and how it ends in an emulator: there is no board's own code here.
 *
 * Memory below the stack is filled with a pattern before main, and the bytes of stack that the program has used are
 * written to the host's standard error, as "stack N". The exit status is that of main, which may `report` more.
 */
#include <stdint.h>

int main(void);
void report(const char *name, uint32_t number);
void reset(void);
extern uint32_t data_source[], data_start[], data_end[], bss_start[], bss_end[], stack_end[];

#define PATTERN 0xA5C3E187u

static void *semihosting(uintptr_t operation, const void *argument)
{
    register uintptr_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return (void *)r0;
}

static _Noreturn void leave(int status)
{
    const uintptr_t block[2] = {0x20026 /* the application has ended */, (uintptr_t)status};
    for (;;)
        semihosting(0x20, block);
}

void report(const char *name, uint32_t number)
{
    char text[13]; /* filled from its end */
    char *p = text + sizeof text;
    *--p = 0;
    *--p = '\n';
    do {
        *--p = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    *--p = ' ';
    semihosting(0x04 /* a text for the standard error */, name);
    semihosting(0x04, p);
}

static void fault(void)
{
    leave(254);
}

void reset(void)
{
    uint32_t *p, *source = data_source;
    uint32_t *const here = (uint32_t *)__builtin_frame_address(0) - 16;
    int status;
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: the floating-point unit is on */
    __asm__ volatile("dsb\n isb");
#endif
    for (p = data_start; p < data_end; p++)
        *(volatile uint32_t *)p = *source++;
    for (p = bss_start; p < bss_end; p++)
        *(volatile uint32_t *)p = 0;
    for (p = bss_end; p < here; p++)
        *(volatile uint32_t *)p = PATTERN;
    status = main();
    for (p = bss_end; p < here && *(volatile uint32_t *)p == PATTERN; p++)
        ;
    report("stack", (uint32_t)((char *)stack_end - (char *)p));
    leave(status);
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_end,     (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault,
};
