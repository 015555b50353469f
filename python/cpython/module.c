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
