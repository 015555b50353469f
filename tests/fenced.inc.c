/*
 * For the programs that check kernels and networks: random numbers, and memory of exactly n bytes, at any alignment. An
 * access before or after it ends the program. With AddressSanitizer this is left to the sanitizer.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char under_way[300]; /* what is being checked */

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

#if defined(__SANITIZE_ADDRESS__)

static void raise_fences(void) {}

static void *fenced(size_t n_bytes) { return malloc(n_bytes); }

static void release(void *array, size_t n_bytes)
{
    (void)n_bytes;
    free(array);
}

#else

static size_t page_bytes;

static void say_where(int number)
{
    (void)number;
    static const char text[] = ": touches memory that it was not given\n";
    ssize_t written = write(STDOUT_FILENO, under_way, strlen(under_way));
    written += write(STDOUT_FILENO, text, sizeof text - 1);
    _exit(written > 0 ? 1 : 3);
}

static void raise_fences(void)
{
    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    signal(SIGSEGV, say_where);
    signal(SIGBUS, say_where);
}

static size_t in_pages(size_t n_bytes) { return (n_bytes + page_bytes - 1) / page_bytes * page_bytes; }

/* Two thirds end where a fence begins, the others begin where one ends. */
static void *fenced(size_t n_bytes)
{
    size_t room = in_pages(n_bytes);
    char *pages = mmap(NULL, room + 2 * page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || (room > 0 && mprotect(pages + page_bytes, room, PROT_READ | PROT_WRITE) != 0)) {
        printf("no memory\n");
        exit(2);
    }
    return pages + page_bytes + (random_bits() % 3 > 0 ? room - n_bytes : 0);
}

static void release(void *array, size_t n_bytes)
{
    char *first = (char *)((uintptr_t)array / page_bytes * page_bytes);
    munmap(first - page_bytes, in_pages(n_bytes) + 2 * page_bytes);
}

#endif
