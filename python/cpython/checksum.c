/* A checksum that tells data sets apart, at the speed of memory. */
#include "module.h"

/* Both are bijective in the sum and in the word: no single change goes unseen, whatever the words around it. */
static uint64_t mix(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return sum << 31 | sum >> 33;
}

/* In lanes, so that it keeps pace with the memory. */
enum { LANES = 4 };

static uint64_t sum_of_bytes(uint64_t sum, const char *bytes, size_t n)
{
    uint64_t lanes[LANES], words[LANES];
    for (int k = 0; k < LANES; k++)
        lanes[k] = mix(sum, (uint64_t)k);
    for (; n >= sizeof words; n -= sizeof words, bytes += sizeof words) {
        memcpy(words, bytes, sizeof words);
        for (int k = 0; k < LANES; k++)
            lanes[k] = mix(lanes[k], words[k]);
    }
    memset(words, 0, sizeof words);
    memcpy(words, bytes, n);
    for (int k = 0; k < LANES; k++)
        sum = mix(sum, mix(lanes[k], words[k]));
    return sum;
}

PyObject *checksum(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t n_arguments)
{
    uint64_t sum = 0;
    for (Py_ssize_t i = 0; i < n_arguments; i++) {
        PyArrayObject *array = (PyArrayObject *)arguments[i];
        if (!PyArray_Check(arguments[i]) || !PyArray_ISCARRAY_RO(array))
            return PyErr_Format(PyExc_TypeError, "checksum takes contiguous arrays");
        const char *bytes = PyArray_DATA(array);
        size_t n = (size_t)PyArray_NBYTES(array);
        Py_BEGIN_ALLOW_THREADS
        sum = sum_of_bytes(mix(sum, n), bytes, n);
        Py_END_ALLOW_THREADS
    }
    return PyLong_FromUnsignedLongLong(sum);
}
