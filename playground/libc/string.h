/* The part of the standard header that csrc/ uses. */
#ifndef PLAYGROUND_STRING_H
#define PLAYGROUND_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int byte, size_t n);
int strcmp(const char *a, const char *b);
size_t strspn(const char *text, const char *accepted);
char *strchr(const char *text, int character);

#endif
