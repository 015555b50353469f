/* The module plainnet._cpython; see module.h. */
#define IMPORTS_NUMPY
#include "module.h"

static int execute(PyObject *module)
{
    return PyArray_ImportNumPyAPI() < 0 || add_training_state(module) < 0 || add_small_calls(module) < 0 ? -1 : 0;
}

static PyMethodDef functions[] = {
    {"checksum", METHOD(checksum), METH_FASTCALL,
     "checksum($module, /, *arrays)\n--\n\nA number of 64 bits that tells contiguous arrays from others."},
    {"take_batches", METHOD(take_batches), METH_FASTCALL,
     "take_batches($module, iterator, lists, rooms, like, n_classes, n, /)\n--\n\n"
     "Appends the arrays of the next `n` mini-batches to as many `lists`: of tuples or lists of contiguous arrays of the\n"
     "shapes and the dtype of those of `like`. Unless `rooms` is None, they are copied to as many arrays, each behind the\n"
     "last one. `n_classes` is 0 if targets have two axes; those of a single output may then lack the second one. Else\n"
     "they are labels below it, which are converted.\n\n"
     "Returns None; or () if the iterator has come to its end; or (item,) if that is another kind of mini-batch, which is\n"
     "left to the caller."},
    {"addresses", addresses, METH_O,
     "addresses($module, arrays, /)\n--\n\nWhere the contiguous arrays of a list lie in memory: pointers, as bytes."},
    {"end_runs_of_other_threads", end_runs_of_other_threads, METH_NOARGS,
     "end_runs_of_other_threads($module, /)\n--\n\n"
     "For a process that has just been forked: networks that another thread was training are as before its run."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_exec, SLOT(execute)}, {0, NULL}};

static PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_cpython", .m_methods = functions, .m_slots = slots,
};

PyMODINIT_FUNC PyInit__cpython(void);
PyMODINIT_FUNC PyInit__cpython(void)
{
    return PyModuleDef_Init(&module);
}
