/*
 * plainnet._cpython: what is written with CPython's own interface, because Python code cannot do it, or not fast enough.
 *
 *     training_state.c   TrainingState, which guards the training of a network
 *     small_calls.c      SmallCalls, the calls of the C backend for small arrays
 *     batches.c          take_batches and addresses, for the C backend's training with mini-batches
 *     checksum.c         checksum, which tells data sets apart
 *     module.c           the module
 *
 * The library itself, csrc/, is in the other extension, plainnet._plainnet, which cffi builds.
 */
#ifndef MODULE_H
#define MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#define NPY_NO_DEPRECATED_API NPY_1_25_API_VERSION
#define NPY_TARGET_VERSION NPY_1_25_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL plainnet_numpy_api
#ifndef IMPORTS_NUMPY /* as module.c does, once for all */
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

typedef struct TrainingState {
    PyObject_HEAD
    npy_intp epochs_trained;
    npy_intp steps;             /* that the optimizer has made */
    char is_plain;              /* whether the optimizer is gradient descent without any option... */
    double rate;                /* ... and its learning rate; 0 if that is no number */
    PyObject *begun;            /* an epoch that was begun and not finished; NULL or None: there is none */
    unsigned long thread;       /* the one that is inside of run; 0: none */
    void *parameters;
    size_t parameters_bytes;
    void *slots;                /* the optimizer's arrays, while a run updates them; NULL: there are none */
    size_t slots_bytes;
    void *before;               /* room for a copy of all from before the run; NULL until a run needs it */
    size_t before_bytes;
    int has_before;             /* whether there is one */
    struct TrainingState *next; /* the next one in `running` */
    PyObject *owner;            /* a tuple of the arrays */
    PyArrayObject **arrays;     /* the parameters, then the layers' views of them */
    Py_ssize_t n_arrays;
} TrainingState;

/* Whether nobody protects the parameters, nor a layer's view of them, from being written to. */
int are_writeable(const TrainingState *state);

extern PyTypeObject *training_state_type; /* set once, when the module is loaded */

/* Each adds a type to the module; -1 with an exception set if that fails. */
int add_training_state(PyObject *module);
int add_small_calls(PyObject *module);

/* Functions of the module. */
PyObject *end_runs_of_other_threads(PyObject *module, PyObject *unused);
PyObject *take_batches(PyObject *module, PyObject *const *arguments, Py_ssize_t n_arguments);
PyObject *addresses(PyObject *module, PyObject *list);
PyObject *checksum(PyObject *module, PyObject *const *arguments, Py_ssize_t n_arguments);

/* Casts of functions for the tables of CPython; in ISO C, one to void * takes an integer in between. */
typedef void (*function)(void);
#define METHOD(name) ((PyCFunction)(function)(name))
#define SLOT(name) ((void *)(uintptr_t)(name))

#endif
