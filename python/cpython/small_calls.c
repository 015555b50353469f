/*
 * SmallCalls has predict, train_on_batch and fit of the C backend for arrays so small that checks in Python and a call
 * by way of cffi would take longer than the arithmetic.
 *
 * It only calls the library, which is in the extension that cffi builds, and whose functions come as addresses. It raises
 * no errors for arguments: if a call is not eligible, or the library refuses it, the result is None, which requests the
 * general path. That finds out what is wrong and says so.
 *
 * The GIL is held throughout, so only short calls are eligible. As no Python code runs while a call uses the workspace,
 * all calls of a network share one, whatever thread they come from.
 */
#include "module.h"

#include "plainnet.h"

typedef struct SmallCalls {
    PyObject_HEAD
    TrainingState *state;      /* of the network, with its parameters */
    int type_number;           /* NumPy's, of their dtype */
    const pn_network *network;
    PyObject *owner;           /* of what network points to */
    function forward, forward_workspace, train_on_batch, train, train_workspace; /* the library's, for the dtype */
    npy_intp n_in, n_out;      /* of the network */
    npy_intp row_cost;         /* see below */
    void *workspace;           /* NULL until a call needs one */
    size_t workspace_bytes;
} SmallCalls;

/* The library's function for the dtype at hand, as plainnet.h declares it. */
#define CALL(self, name, ...)                                                                                        \
    ((self)->type_number == NPY_FLOAT32 ? ((__typeof__(&pn_##name##_f32))(self)->name)(__VA_ARGS__)                  \
                                        : ((__typeof__(&pn_##name##_f64))(self)->name)(__VA_ARGS__))

/* ---- Which calls are eligible ------------------------------------------------------------------------- */

/*
 * Costs are those of forward passes, in multiply-adds; a step of training costs a few times as much. A row costs
 * n_out (n_in + ACTIVATION_COST) in each layer.
 */
enum {
    ACTIVATION_COST = 16,
    MAX_ROWS = 128,
    MAX_COST = 1 << 18,               /* of the rows of a call of predict or train_on_batch: 10 us or so */
    MAX_ROW_COST_TO_TRAIN = 1 << 15,  /* however few rows there are, a step passes over all parameters */
    MAX_RUN_COST = 1 << 20            /* of the rows of all epochs of a call of fit: 0.1 ms to 1 ms */
};

static npy_intp row_cost(const pn_network *network)
{
    npy_intp cost = 0;
    for (size_t k = 0; k < network->n_layers; k++)
        cost += (npy_intp)(network->layers[k].n_out * (network->layers[k].n_in + ACTIVATION_COST));
    return cost;
}

/* The rows of an array (n_rows, n_columns) that the library can use as it is; 0 if it is no such array, or not small. */
static size_t eligible_rows(const SmallCalls *self, PyObject *object, npy_intp n_columns)
{
    PyArrayObject *array = (PyArrayObject *)object;
    if (!PyArray_CheckExact(object) || PyArray_NDIM(array) != 2 || PyArray_TYPE(array) != self->type_number ||
        !PyArray_ISCARRAY_RO(array) || PyArray_DIM(array, 1) != n_columns || PyArray_DIM(array, 0) > MAX_ROWS ||
        PyArray_DIM(array, 0) > MAX_COST / self->row_cost)
        return 0;
    return (size_t)PyArray_DIM(array, 0);
}

/*
 * The rows to train with, and the learning rate; 0 if an argument or the optimizer is not eligible, or if another call
 * trains already. This is the one place that decides.
 */
static size_t eligible_batch(const SmallCalls *self, PyObject *x, PyObject *y, PyObject *rate, double *learning_rate)
{
    size_t n_rows = eligible_rows(self, x, self->n_in);
    if (n_rows == 0 || eligible_rows(self, y, self->n_out) != n_rows || self->row_cost > MAX_ROW_COST_TO_TRAIN ||
        !(rate == Py_None || PyFloat_CheckExact(rate)) || !self->state->is_plain || self->state->thread != 0 ||
        !are_writeable(self->state))
        return 0;
    *learning_rate = rate == Py_None ? self->state->rate : PyFloat_AsDouble(rate);
    return 1e-30 < *learning_rate && *learning_rate < 1e30 ? n_rows : 0; /* well within float32 */
}

/* The value of an int; -1 if it is something else, or does not fit. */
static npy_intp integer(PyObject *object)
{
    npy_intp value = PyLong_CheckExact(object) ? PyLong_AsSsize_t(object) : -1;
    PyErr_Clear();
    return value;
}

/* The epochs of a run of full batches of n_rows; 0 if it is another kind of run, or not small. */
static npy_intp eligible_epochs(const SmallCalls *self, size_t n_rows, PyObject *epochs, PyObject *batch_size,
                                PyObject *shuffle)
{
    PyObject *begun = self->state->begun; /* an epoch to be finished first */
    if ((begun != NULL && begun != Py_None) || !PyBool_Check(shuffle) ||
        (batch_size != Py_None && integer(batch_size) != (npy_intp)n_rows))
        return 0;
    npy_intp n_epochs = integer(epochs);
    return n_epochs < 1 || n_epochs > MAX_RUN_COST / self->row_cost / (npy_intp)n_rows ? 0 : n_epochs;
}

/* ---- The calls ---------------------------------------------------------------------------------------- */

/* 1 if the workspace is larger now. Without memory for it the general path will say so. */
static int make_workspace(SmallCalls *self, pn_status status, size_t n_bytes)
{
    if (status != PN_OK || n_bytes <= self->workspace_bytes)
        return 0;
    PyMem_Free(self->workspace);
    self->workspace = PyMem_Malloc(n_bytes);
    self->workspace_bytes = self->workspace == NULL ? 0 : n_bytes;
    return self->workspace != NULL;
}

static int make_forward_workspace(SmallCalls *self, size_t n_rows)
{
    size_t n_bytes = 0;
    pn_status status = CALL(self, forward_workspace, n_rows, self->network, &n_bytes);
    return make_workspace(self, status, n_bytes);
}

static int make_train_workspace(SmallCalls *self, size_t n_rows, const pn_training *training)
{
    size_t n_bytes = 0;
    pn_status status = CALL(self, train_workspace, n_rows, self->network, training, &n_bytes);
    return make_workspace(self, status, n_bytes);
}

static PyObject *predict(PyObject *object, PyObject *x_object)
{
    SmallCalls *self = (SmallCalls *)object;
    size_t n_rows = eligible_rows(self, x_object, self->n_in);
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
        status = CALL(self, forward, n_rows, self->network, self->state->parameters, x, out, self->workspace,
                      self->workspace_bytes);
    while (status == PN_WORKSPACE_TOO_SMALL && make_forward_workspace(self, n_rows));
    if (status == PN_OK)
        return out_object;
    Py_DECREF(out_object);
    Py_RETURN_NONE;
}

static PyObject *train_on_batch(PyObject *object, PyObject *const *arguments, Py_ssize_t n_arguments)
{
    SmallCalls *self = (SmallCalls *)object;
    if (n_arguments != 3)
        return PyErr_Format(PyExc_TypeError, "train_on_batch takes 3 arguments, not %zd", n_arguments);
    double learning_rate, loss;
    size_t n_rows = eligible_batch(self, arguments[0], arguments[1], arguments[2], &learning_rate);
    if (n_rows == 0)
        Py_RETURN_NONE;
    const void *x = PyArray_DATA((PyArrayObject *)arguments[0]), *y = PyArray_DATA((PyArrayObject *)arguments[1]);
    const pn_training step = {.epochs = 1, .learning_rate = learning_rate};
    pn_status status;
    do
        status = CALL(self, train_on_batch, n_rows, self->network, &step, self->state->parameters, NULL, x, y, NULL,
                      &loss, self->workspace, self->workspace_bytes);
    while (status == PN_WORKSPACE_TOO_SMALL && make_train_workspace(self, n_rows, &step));
    if (status == PN_OK) {
        self->state->steps++;
        return PyFloat_FromDouble(loss);
    }
    Py_RETURN_NONE; /* on error nothing has changed: the call may be repeated */
}

/* Full-batch training; 1 if it succeeds, 0 if nothing has happened, -1 with an exception set. */
static int train(SmallCalls *self, size_t n_rows, const pn_training *training, const void *x, const void *y,
                 double *losses)
{
    TrainingState *state = self->state;
    void *before = PyMem_Malloc(state->parameters_bytes);
    if (before == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(before, state->parameters, state->parameters_bytes);
    pn_progress progress = {0};
    pn_status status;
    do
        status = CALL(self, train, n_rows, self->network, training, state->parameters, NULL, x, y, NULL, 0, losses,
                      &progress, self->workspace, self->workspace_bytes);
    while (status == PN_WORKSPACE_TOO_SMALL && make_train_workspace(self, n_rows, training));
    if (status == PN_OK) {
        state->epochs_trained += (npy_intp)training->epochs;
        state->steps += (npy_intp)training->epochs;
    } else
        memcpy(state->parameters, before, state->parameters_bytes); /* a run that diverges has changed them */
    PyMem_Free(before);
    return status == PN_OK;
}

static PyObject *fit(PyObject *object, PyObject *const *arguments, Py_ssize_t n_arguments)
{
    SmallCalls *self = (SmallCalls *)object;
    if (n_arguments != 6)
        return PyErr_Format(PyExc_TypeError, "fit takes 6 arguments, not %zd", n_arguments);
    PyObject *x = arguments[0], *y = arguments[1];
    double learning_rate;
    size_t n_rows = eligible_batch(self, x, y, arguments[3], &learning_rate);
    npy_intp epochs = n_rows == 0 ? 0 : eligible_epochs(self, n_rows, arguments[2], arguments[4], arguments[5]);
    if (epochs == 0)
        Py_RETURN_NONE;
    PyObject *losses = PyArray_SimpleNew(1, &epochs, NPY_DOUBLE);
    if (losses == NULL)
        return NULL;
    const pn_training training = {.epochs = (size_t)epochs, .learning_rate = learning_rate};
    int result = train(self, n_rows, &training, PyArray_DATA((PyArrayObject *)x), PyArray_DATA((PyArrayObject *)y),
                       PyArray_DATA((PyArrayObject *)losses));
    if (result == 1)
        return losses;
    Py_DECREF(losses);
    if (result < 0)
        return NULL;
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

static PyObject *new_small_calls(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"state", "owner", "network", "forward", "forward_workspace", "train_on_batch", "train",
                            "train_workspace", NULL};
    PyObject *state, *owner;
    uintptr_t network, forward, forward_workspace, train_on_batch, train, train_workspace;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!OO&O&O&O&O&O&:SmallCalls", names, training_state_type,
                                     &state, &owner, as_address, &network, as_address, &forward, as_address,
                                     &forward_workspace, as_address, &train_on_batch, as_address, &train, as_address,
                                     &train_workspace))
        return NULL;
    SmallCalls *self = PyObject_New(SmallCalls, type);
    if (self == NULL)
        return NULL;
    self->state = (TrainingState *)Py_NewRef(state);
    self->type_number = PyArray_TYPE(self->state->arrays[0]);
    self->network = (const pn_network *)network;
    self->owner = Py_NewRef(owner);
    self->forward = (function)forward;
    self->forward_workspace = (function)forward_workspace;
    self->train_on_batch = (function)train_on_batch;
    self->train = (function)train;
    self->train_workspace = (function)train_workspace;
    self->n_in = (npy_intp)self->network->layers[0].n_in;
    self->n_out = (npy_intp)self->network->layers[self->network->n_layers - 1].n_out;
    self->row_cost = row_cost(self->network);
    self->workspace = NULL;
    self->workspace_bytes = 0;
    return (PyObject *)self;
}

/* Nothing that an object owns can refer back to it, so the type needs no garbage collection. */
static void dealloc_small_calls(PyObject *object)
{
    SmallCalls *self = (SmallCalls *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyMem_Free(self->workspace);
    Py_DECREF(self->state);
    Py_DECREF(self->owner);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyMethodDef small_calls_methods[] = {
    {"predict", predict, METH_O,
     "predict($self, x, /)\n--\n\nA new array, the network's output for `x`; or None."},
    {"train_on_batch", METHOD(train_on_batch), METH_FASTCALL,
     "train_on_batch($self, x, y, learning_rate, /)\n--\n\n"
     "One step, the loss from before it; or None, and no step."},
    {"fit", METHOD(fit), METH_FASTCALL,
     "fit($self, x, y, epochs, learning_rate, batch_size, shuffle, /)\n--\n\n"
     "Full-batch training, the loss from before each epoch's step; or None, and no step."},
    {NULL, NULL, 0, NULL},
};

static const char small_calls_doc[] =
    "SmallCalls(state, owner, network, forward, forward_workspace, train_on_batch, train, train_workspace)\n"
    "--\n\n"
    "The calls of one network for small arrays; see plainnet.backend.SmallCalls.\n\n"
    "`state` is the network's TrainingState; `owner` keeps alive what `network` points to. All others are addresses: of a\n"
    "pn_network, and of functions of the library for the dtype of the parameters.";

static PyType_Slot small_calls_slots[] = {
    {Py_tp_doc, (void *)small_calls_doc},
    {Py_tp_new, SLOT(new_small_calls)},
    {Py_tp_dealloc, SLOT(dealloc_small_calls)},
    {Py_tp_methods, small_calls_methods},
    {0, NULL},
};

static PyType_Spec small_calls_spec = {
    "plainnet._cpython.SmallCalls", sizeof(SmallCalls), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    small_calls_slots,
};

int add_small_calls(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &small_calls_spec, NULL);
    int result = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
    Py_XDECREF(type);
    return result;
}
