/*
 * plainnet._small: predict, train_on_batch and fit for arrays so small that what happens around the arithmetic counts.
 *
 * It has no arithmetic of its own: the library is in the extension that cffi builds, and three functions of it come as
 * addresses. Nor has a call errors of its own: where it is not plain, or the library refuses it, the result is None,
 * and the caller goes the general way, through cffi, which finds out what is wrong and says so.
 *
 * The GIL is held throughout. So a call has to be short (max_rows, max_row_steps); and as no Python code runs between a
 * call's first use of the workspace and its last, the calls of a network may share one, whatever thread they come from.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#define NPY_NO_DEPRECATED_API NPY_1_25_API_VERSION
#define NPY_TARGET_VERSION NPY_1_25_API_VERSION
#include <numpy/arrayobject.h>

#include "plainnet.h"

typedef void (*function)(void); /* any of the six below */

#define DEFINE_FUNCTION_TYPES(real, suffix)                                                                          \
    typedef pn_status (*forward_##suffix)(size_t n_rows, const pn_network *, const real *parameters, const real *x,  \
                                          real *out, void *workspace, size_t workspace_bytes);                       \
    typedef pn_status (*train_on_batch_##suffix)(size_t n_rows, const pn_network *, double learning_rate,            \
                                                 real *parameters, const real *x, const real *y, double *loss,       \
                                                 void *workspace, size_t workspace_bytes);                           \
    typedef pn_status (*train_##suffix)(size_t n_rows, const pn_network *, const pn_training *, real *parameters,    \
                                        const real *x, const real *y, size_t max_steps, double *losses,              \
                                        pn_progress *, void *workspace, size_t workspace_bytes);                     \
    _Static_assert(_Generic(pn_forward_##suffix, forward_##suffix: 1, default: 0), "as in plainnet.h");              \
    _Static_assert(_Generic(pn_train_on_batch_##suffix, train_on_batch_##suffix: 1, default: 0), "as in plainnet.h"); \
    _Static_assert(_Generic(pn_train_##suffix, train_##suffix: 1, default: 0), "as in plainnet.h");

DEFINE_FUNCTION_TYPES(double, f64)
DEFINE_FUNCTION_TYPES(float, f32)

typedef struct SmallCalls {
    PyObject_HEAD
    const pn_network *network;
    npy_intp n_in, n_out;      /* of the network */
    void *parameters;
    size_t parameters_bytes;
    int type_number;           /* NumPy's, of their dtype */
    char busy;                 /* they are being trained by a call that releases the GIL */
    npy_intp epochs_trained;
    function forward, train_on_batch, train;
    npy_intp max_rows, max_train_rows; /* the most that predict, and that train_on_batch and fit take */
    npy_intp max_row_steps;    /* the most rows times epochs that fit takes */
    void *workspace;           /* NULL until a call needs one */
    size_t workspace_bytes;    /* its size, and the one that so many rows need */
    size_t max_workspace_bytes;
    PyObject *owners[2];       /* of the parameters, and of what network points to */
} SmallCalls;

/* ---- Calls -------------------------------------------------------------------------------------------- */

/* The library's function for the dtype at hand. */
#define CALL(name, ...)                                                                                              \
    (self->type_number == NPY_FLOAT32 ? ((name##_f32)self->name)(__VA_ARGS__)                                        \
                                      : ((name##_f64)self->name)(__VA_ARGS__))

/* How many rows a plain array (n_rows, n_columns) has; 0 if it is something else, or has too many. */
static size_t plain_rows(const SmallCalls *self, PyObject *object, npy_intp n_columns, npy_intp max_rows)
{
    PyArrayObject *array = (PyArrayObject *)object;
    if (!PyArray_CheckExact(object) || PyArray_NDIM(array) != 2 || PyArray_TYPE(array) != self->type_number ||
        !PyArray_ISCARRAY_RO(array) || PyArray_DIM(array, 1) != n_columns || PyArray_DIM(array, 0) > max_rows)
        return 0;
    return (size_t)PyArray_DIM(array, 0);
}

/* 1 if there is a workspace now and was none before. Without memory the general way will say so. */
static int make_workspace(SmallCalls *self)
{
    if (self->workspace != NULL)
        return 0;
    self->workspace = PyMem_Malloc(self->max_workspace_bytes);
    self->workspace_bytes = self->workspace == NULL ? 0 : self->max_workspace_bytes;
    return self->workspace != NULL;
}

static PyObject *predict(PyObject *object, PyObject *x_object)
{
    SmallCalls *self = (SmallCalls *)object;
    size_t n_rows = plain_rows(self, x_object, self->n_in, self->max_rows);
    if (n_rows == 0)
        Py_RETURN_NONE;
    npy_intp shape[2] = {(npy_intp)n_rows, self->n_out};
    PyObject *out_object = PyArray_SimpleNew(2, shape, self->type_number);
    if (out_object == NULL)
        return NULL;
    const void *x = PyArray_DATA((PyArrayObject *)x_object);
    void *out = PyArray_DATA((PyArrayObject *)out_object);
    pn_status status;
    do
        status = CALL(forward, n_rows, self->network, self->parameters, x, out, self->workspace, self->workspace_bytes);
    while (status == PN_WORKSPACE_TOO_SMALL && make_workspace(self));
    if (status == PN_OK)
        return out_object;
    Py_DECREF(out_object);
    Py_RETURN_NONE;
}

/* The rows of plain x and y to train with at a plain rate; 0 if one is not plain, or another call trains already. */
static size_t rows_to_train(const SmallCalls *self, PyObject *x, PyObject *y, PyObject *rate, double *learning_rate)
{
    size_t n_rows = self->busy ? 0 : plain_rows(self, x, self->n_in, self->max_train_rows);
    if (n_rows == 0 || plain_rows(self, y, self->n_out, self->max_train_rows) != n_rows || !PyFloat_CheckExact(rate))
        return 0;
    *learning_rate = PyFloat_AsDouble(rate);
    return 1e-30 < *learning_rate && *learning_rate < 1e30 ? n_rows : 0; /* well within float32 */
}

static PyObject *train_on_batch(PyObject *object, PyObject *const *arguments, Py_ssize_t n_arguments)
{
    SmallCalls *self = (SmallCalls *)object;
    if (n_arguments != 3)
        return PyErr_Format(PyExc_TypeError, "train_on_batch takes 3 arguments, not %zd", n_arguments);
    double learning_rate, loss;
    size_t n_rows = rows_to_train(self, arguments[0], arguments[1], arguments[2], &learning_rate);
    if (n_rows == 0)
        Py_RETURN_NONE;
    const void *x = PyArray_DATA((PyArrayObject *)arguments[0]), *y = PyArray_DATA((PyArrayObject *)arguments[1]);
    pn_status status;
    do
        status = CALL(train_on_batch, n_rows, self->network, learning_rate, self->parameters, x, y, &loss,
                      self->workspace, self->workspace_bytes);
    while (status == PN_WORKSPACE_TOO_SMALL && make_workspace(self));
    if (status == PN_OK)
        return PyFloat_FromDouble(loss);
    Py_RETURN_NONE; /* on error nothing has changed: the call may be repeated */
}

static PyObject *fit(PyObject *object, PyObject *const *arguments, Py_ssize_t n_arguments)
{
    SmallCalls *self = (SmallCalls *)object;
    if (n_arguments != 4)
        return PyErr_Format(PyExc_TypeError, "fit takes 4 arguments, not %zd", n_arguments);
    double learning_rate;
    size_t n_rows = rows_to_train(self, arguments[0], arguments[1], arguments[3], &learning_rate);
    if (n_rows == 0 || !PyLong_CheckExact(arguments[2]))
        Py_RETURN_NONE;
    npy_intp epochs = PyLong_AsSsize_t(arguments[2]);
    if (epochs < 1 || epochs > self->max_row_steps / (npy_intp)n_rows) {
        PyErr_Clear(); /* of a number too large for the type */
        Py_RETURN_NONE;
    }
    PyObject *losses_object = PyArray_SimpleNew(1, &epochs, NPY_DOUBLE);
    void *before = losses_object == NULL ? NULL : PyMem_Malloc(self->parameters_bytes);
    if (before == NULL) {
        Py_XDECREF(losses_object);
        return losses_object == NULL ? NULL : PyErr_NoMemory();
    }
    memcpy(before, self->parameters, self->parameters_bytes);
    const void *x = PyArray_DATA((PyArrayObject *)arguments[0]), *y = PyArray_DATA((PyArrayObject *)arguments[1]);
    double *losses = PyArray_DATA((PyArrayObject *)losses_object);
    const pn_training training = {.epochs = (size_t)epochs, .learning_rate = learning_rate};
    pn_progress progress = {0};
    pn_status status;
    do
        status = CALL(train, n_rows, self->network, &training, self->parameters, x, y, 0, losses, &progress,
                      self->workspace, self->workspace_bytes);
    while (status == PN_WORKSPACE_TOO_SMALL && make_workspace(self));
    if (status != PN_OK)
        memcpy(self->parameters, before, self->parameters_bytes); /* a run that diverges has come some way */
    PyMem_Free(before);
    if (status == PN_OK) {
        self->epochs_trained += epochs;
        return losses_object;
    }
    Py_DECREF(losses_object);
    Py_RETURN_NONE;
}

/* ---- The type ----------------------------------------------------------------------------------------- */

static int as_address(PyObject *number, void *address)
{
    size_t value = PyLong_AsSize_t(number);
    if (value == 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "an address is 0");
    *(uintptr_t *)address = value;
    return !PyErr_Occurred();
}

static PyObject *new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *array, *owner;
    uintptr_t network_address, forward, train_on_batch, train;
    Py_ssize_t max_rows, max_train_rows, max_row_steps, max_workspace_bytes;
    if (keywords != NULL && PyDict_Size(keywords) > 0)
        return PyErr_Format(PyExc_TypeError, "SmallCalls takes no keyword arguments");
    if (!PyArg_ParseTuple(arguments, "O!O&O&O&O&nnnnO:SmallCalls", &PyArray_Type, &array, as_address, &network_address,
                          as_address, &forward, as_address, &train_on_batch, as_address, &train, &max_rows,
                          &max_train_rows, &max_row_steps, &max_workspace_bytes, &owner))
        return NULL;
    PyArrayObject *parameters = (PyArrayObject *)array;
    int type_number = PyArray_TYPE(parameters);
    if ((type_number != NPY_FLOAT64 && type_number != NPY_FLOAT32) || !PyArray_ISCARRAY(parameters))
        return PyErr_Format(PyExc_TypeError, "parameters must be a plain array of float64 or float32");
    if (max_rows < 0 || max_train_rows < 0 || max_row_steps < 0 || max_workspace_bytes < 0)
        return PyErr_Format(PyExc_ValueError,
                            "max_rows, max_train_rows, max_row_steps or max_workspace_bytes is below 0");

    SmallCalls *self = PyObject_New(SmallCalls, type);
    if (self == NULL)
        return NULL;
    const pn_network *network = (const pn_network *)network_address;
    self->network = network;
    self->n_in = (npy_intp)network->layers[0].n_in;
    self->n_out = (npy_intp)network->layers[network->n_layers - 1].n_out;
    self->parameters = PyArray_DATA(parameters);
    self->parameters_bytes = (size_t)PyArray_NBYTES(parameters);
    self->type_number = type_number;
    self->busy = 0;
    self->epochs_trained = 0;
    self->forward = (function)forward;
    self->train_on_batch = (function)train_on_batch;
    self->train = (function)train;
    self->max_rows = max_rows;
    self->max_train_rows = max_train_rows;
    self->max_row_steps = max_row_steps;
    self->workspace = NULL;
    self->workspace_bytes = 0;
    self->max_workspace_bytes = (size_t)max_workspace_bytes;
    self->owners[0] = Py_NewRef(array);
    self->owners[1] = Py_NewRef(owner);
    return (PyObject *)self;
}

/* Of what an object owns, nothing can refer back to it: it needs no garbage collection. */
static void dealloc(PyObject *object)
{
    SmallCalls *self = (SmallCalls *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyMem_Free(self->workspace);
    Py_DECREF(self->owners[0]);
    Py_DECREF(self->owners[1]);
    PyObject_Free(object);
    Py_DECREF(type);
}

/* ISO C has no conversion from a function to void *, which the tables below want, but by way of an integer. */
#define SLOT(function) ((void *)(uintptr_t)(function))

static PyMethodDef methods[] = {
    {"predict", predict, METH_O,
     "predict($self, x, /)\n--\n\nA new array, the network's output for `x`; or None."},
    {"train_on_batch", (PyCFunction)(function)train_on_batch, METH_FASTCALL,
     "train_on_batch($self, x, y, learning_rate, /)\n--\n\n"
     "One step of gradient descent, the loss from before it; or None, and no step."},
    {"fit", (PyCFunction)(function)fit, METH_FASTCALL,
     "fit($self, x, y, epochs, learning_rate, /)\n--\n\n"
     "So many steps with all rows, each of which is an epoch, the losses from before them; or None, and no step."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"busy", T_BOOL, offsetof(SmallCalls, busy), 0, "Whether train_on_batch and fit have to keep out of the way."},
    {"epochs_trained", T_PYSSIZET, offsetof(SmallCalls, epochs_trained), 0, "Epochs that the network has finished."},
    {NULL, 0, 0, 0, NULL},
};

static const char type_doc[] =
    "SmallCalls(parameters, network, forward, train_on_batch, train, max_rows, max_train_rows, max_row_steps, "
    "max_workspace_bytes, owner)\n"
    "--\n\n"
    "The calls of one network for small arrays; see plainnet.backend.SmallCalls.\n\n"
    "`network` (pn_network), `forward`, `train_on_batch` and `train` (for the dtype of `parameters`) are addresses;\n"
    "`max_workspace_bytes` is what so many rows need; `owner` keeps alive what `network` points to.";

static PyType_Slot type_slots[] = {
    {Py_tp_doc, (void *)type_doc},
    {Py_tp_new, SLOT(new)},
    {Py_tp_dealloc, SLOT(dealloc)},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec type_spec = {
    "plainnet._small.SmallCalls", sizeof(SmallCalls), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, type_slots,
};

static int execute(PyObject *module)
{
    if (PyArray_ImportNumPyAPI() < 0)
        return -1;
    PyObject *type = PyType_FromModuleAndSpec(module, &type_spec, NULL);
    int status = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
    Py_XDECREF(type);
    return status;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, SLOT(execute)}, {0, NULL}};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_small", .m_slots = module_slots};

PyMODINIT_FUNC PyInit__small(void);
PyMODINIT_FUNC PyInit__small(void)
{
    return PyModuleDef_Init(&module);
}
