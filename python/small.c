/*
 * plainnet._small: what Python code cannot do, or not fast enough.
 *
 * TrainingState keeps a network from being trained twice at once, and its books right whatever exceptions signal
 * handlers raise: these come between any two instructions of Python code, but never within a function written in C.
 *
 * SmallCalls has predict, train_on_batch and fit for arrays so small that what happens around the arithmetic counts.
 * It has no arithmetic of its own: the library is in the extension that cffi builds, and three functions of it come as
 * addresses. Nor has a call errors of its own: where it is not plain, or the library refuses it, the result is None,
 * and the caller goes the general way, through cffi, which finds out what is wrong and says so.
 * The GIL is held throughout. So a call has to be short (max_rows, max_row_steps); and as no Python code runs between a
 * call's first use of the workspace and its last, the calls of a network may share one, whatever thread they come from.
 *
 * checksum tells data sets apart.
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

typedef struct TrainingState {
    PyObject_HEAD
    npy_intp epochs_trained;
    PyObject *begun;           /* what is known of an epoch that was begun and not finished; NULL or None: there is none */
    unsigned long thread;      /* the one that is inside of run; 0: none */
    void *parameters;
    size_t parameters_bytes;
    void *before;              /* room for a copy of them from before the run; NULL until a run needs it */
    int has_before;            /* whether there is one */
    struct TrainingState *next; /* the next one in `running` */
    PyObject *owner;           /* a tuple of the arrays */
    PyArrayObject **arrays;    /* the parameters, then the layers' views of them */
    Py_ssize_t n_arrays;
} TrainingState;

typedef struct SmallCalls {
    PyObject_HEAD
    const pn_network *network;
    npy_intp n_in, n_out;      /* of the network */
    TrainingState *state;
    void *parameters;          /* the state's */
    int type_number;           /* NumPy's, of their dtype */
    function forward, train_on_batch, train;
    npy_intp max_rows, max_train_rows; /* the most that predict, and that train_on_batch and fit take */
    npy_intp max_row_steps;    /* the most rows times epochs that fit takes */
    void *workspace;           /* NULL until a call needs one */
    size_t workspace_bytes;    /* its size, and the one that so many rows need */
    size_t max_workspace_bytes;
    PyObject *owner;           /* of what network points to */
} SmallCalls;

/* ---- Runs, one at a time ------------------------------------------------------------------------------ */

/* The states that some thread trains. Whoever reads or changes it holds the GIL. */
static TrainingState *running;

static void remove_from_running(TrainingState *self)
{
    TrainingState **place = &running;
    while (*place != NULL && *place != self)
        place = &(*place)->next;
    if (*place != NULL)
        *place = self->next;
    self->thread = 0;
}

/* The exception that is set, as an object; NULL if there is none. It is cleared. */
static PyObject *take_error(void)
{
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    if (type == NULL)
        return NULL;
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL)
        PyException_SetTraceback(error, trace);
    Py_DECREF(type);
    Py_XDECREF(trace);
    return error;
}

/* Sets the exception `error`, with `earlier` (or NULL) as its context if it has none. Takes both references. */
static void set_error(PyObject *error, PyObject *earlier)
{
    PyObject *context = PyException_GetContext(error);
    if (context == NULL && earlier != NULL && earlier != error)
        PyException_SetContext(error, Py_NewRef(earlier));
    Py_XDECREF(context);
    Py_XDECREF(earlier);
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), error, PyException_GetTraceback(error));
}

/* `finish` is repeated when an exception keeps it from its end, as a signal handler's may: so many times at most. */
enum { MAX_TRIES = 20 };

/*
 * Calls `finish` until it comes to its end, with or without an exception set. The exception that is set afterwards is
 * the last one that was raised, with those before, and that which `finish` returns, as its context. 0 if there is one.
 */
static int finish_whatever_happens(PyObject *finish)
{
    PyObject *error = take_error(), *found = NULL;
    for (int tries = 0; found == NULL && tries < MAX_TRIES; tries++) {
        found = PyObject_CallNoArgs(finish);
        if (found == NULL) {
            set_error(take_error(), error);
            error = take_error();
        }
    }
    if (found == Py_None)
        Py_CLEAR(found);
    if (error == NULL && found == NULL)
        return 1;
    if (error == NULL)
        set_error(found, NULL);
    else
        set_error(error, found);
    return 0;
}

static PyObject *run(PyObject *object, PyObject *const *arguments, Py_ssize_t n_arguments)
{
    TrainingState *self = (TrainingState *)object;
    if (n_arguments != 4)
        return PyErr_Format(PyExc_TypeError, "run takes 4 arguments, not %zd", n_arguments);
    int has_before = PyObject_IsTrue(arguments[3]);
    if (has_before < 0)
        return NULL;
    unsigned long thread = PyThread_get_thread_ident();
    if (self->thread != 0) {
        PyErr_SetString(PyExc_RuntimeError, self->thread != thread ?
                        "the network is being trained by another thread" :
                        "this thread is training the network already: a signal handler that comes amid fit or "
                        "train_on_batch cannot train the same network");
        return NULL;
    }
    if (has_before) {
        if (self->before == NULL)
            self->before = PyMem_Malloc(self->parameters_bytes);
        if (self->before == NULL)
            return PyErr_NoMemory();
        memcpy(self->before, self->parameters, self->parameters_bytes);
    }
    self->has_before = has_before;
    self->thread = thread;
    self->next = running;
    running = self;
    Py_INCREF(object);
    PyObject *result = PyObject_Call(arguments[0], arguments[1], NULL);
    if (arguments[2] != Py_None && !finish_whatever_happens(arguments[2]))
        Py_CLEAR(result);
    remove_from_running(self);
    Py_DECREF(object);
    return result;
}

/*
 * In a process that another thread has forked, runs never end: their threads are not there. The parameters may be
 * those in the midst of a step, so they go back to where they were before the run.
 */
static PyObject *end_runs_of_other_threads(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    unsigned long thread = PyThread_get_thread_ident();
    for (TrainingState *state = running, *next; state != NULL; state = next) {
        next = state->next;
        if (state->thread != thread) {
            if (state->has_before)
                memcpy(state->parameters, state->before, state->parameters_bytes);
            remove_from_running(state);
        }
    }
    Py_RETURN_NONE;
}

/* Whether nobody protects the parameters, nor a layer's view of them, from being written to. */
static int are_writeable(const TrainingState *self)
{
    for (Py_ssize_t i = 0; i < self->n_arrays; i++)
        if (!PyArray_ISWRITEABLE(self->arrays[i]))
            return 0;
    return 1;
}

static PyObject *is_writeable(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(are_writeable((TrainingState *)self));
}

static PyObject *new_training_state(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *tuple;
    if (keywords != NULL && PyDict_Size(keywords) > 0)
        return PyErr_Format(PyExc_TypeError, "TrainingState takes no keyword arguments");
    if (!PyArg_ParseTuple(arguments, "O!:TrainingState", &PyTuple_Type, &tuple))
        return NULL;
    Py_ssize_t n_arrays = PyTuple_Size(tuple);
    for (Py_ssize_t i = 0; i < n_arrays; i++)
        if (!PyArray_Check(PyTuple_GetItem(tuple, i)))
            return PyErr_Format(PyExc_TypeError, "arrays must be a tuple of arrays");
    PyArrayObject *parameters = n_arrays == 0 ? NULL : (PyArrayObject *)PyTuple_GetItem(tuple, 0);
    int type_number = parameters == NULL ? NPY_NOTYPE : PyArray_TYPE(parameters);
    if ((type_number != NPY_FLOAT64 && type_number != NPY_FLOAT32) || !PyArray_ISCARRAY(parameters))
        return PyErr_Format(PyExc_TypeError, "parameters must be a plain array of float64 or float32");
    PyArrayObject **arrays = PyMem_Malloc((size_t)n_arrays * sizeof *arrays);
    TrainingState *self = arrays == NULL ? NULL : PyObject_New(TrainingState, type);
    if (self == NULL) {
        PyMem_Free(arrays);
        return PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < n_arrays; i++)
        arrays[i] = (PyArrayObject *)PyTuple_GetItem(tuple, i);
    self->epochs_trained = 0;
    self->begun = NULL;
    self->thread = 0;
    self->parameters = PyArray_DATA(parameters);
    self->parameters_bytes = (size_t)PyArray_NBYTES(parameters);
    self->before = NULL;
    self->has_before = 0;
    self->next = NULL;
    self->owner = Py_NewRef(tuple);
    self->arrays = arrays;
    self->n_arrays = n_arrays;
    return (PyObject *)self;
}

/* Of what an object owns, nothing can refer back to it: neither type needs garbage collection. */
static void dealloc_training_state(PyObject *object)
{
    TrainingState *self = (TrainingState *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyMem_Free(self->before);
    PyMem_Free(self->arrays);
    Py_XDECREF(self->begun);
    Py_DECREF(self->owner);
    PyObject_Free(object);
    Py_DECREF(type);
}

/* ---- Small calls -------------------------------------------------------------------------------------- */

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
    size_t n_rows = self->state->thread != 0 ? 0 : plain_rows(self, x, self->n_in, self->max_train_rows);
    if (n_rows == 0 || plain_rows(self, y, self->n_out, self->max_train_rows) != n_rows || !PyFloat_CheckExact(rate) ||
        !are_writeable(self->state))
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

/* The value of a plain integer; -1 if it is something else, or does not fit. */
static npy_intp plain_integer(PyObject *object)
{
    npy_intp value = PyLong_CheckExact(object) ? PyLong_AsSsize_t(object) : -1;
    PyErr_Clear();
    return value;
}

static PyObject *fit(PyObject *object, PyObject *const *arguments, Py_ssize_t n_arguments)
{
    SmallCalls *self = (SmallCalls *)object;
    if (n_arguments != 6)
        return PyErr_Format(PyExc_TypeError, "fit takes 6 arguments, not %zd", n_arguments);
    double learning_rate;
    size_t n_rows = rows_to_train(self, arguments[0], arguments[1], arguments[3], &learning_rate);
    npy_intp epochs = plain_integer(arguments[2]);
    int has_begun = self->state->begun != NULL && self->state->begun != Py_None;
    int is_full_batch = arguments[4] == Py_None || plain_integer(arguments[4]) == (npy_intp)n_rows;
    if (n_rows == 0 || has_begun || !is_full_batch || !PyBool_Check(arguments[5]) || epochs < 1 ||
        epochs > self->max_row_steps / (npy_intp)n_rows)
        Py_RETURN_NONE;
    PyObject *losses_object = PyArray_SimpleNew(1, &epochs, NPY_DOUBLE);
    void *before = losses_object == NULL ? NULL : PyMem_Malloc(self->state->parameters_bytes);
    if (before == NULL) {
        Py_XDECREF(losses_object);
        return losses_object == NULL ? NULL : PyErr_NoMemory();
    }
    memcpy(before, self->parameters, self->state->parameters_bytes);
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
        memcpy(self->parameters, before, self->state->parameters_bytes); /* a run that diverges has come some way */
    PyMem_Free(before);
    if (status == PN_OK) {
        self->state->epochs_trained += epochs;
        return losses_object;
    }
    Py_DECREF(losses_object);
    Py_RETURN_NONE;
}

/* ---- A checksum --------------------------------------------------------------------------------------- */

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

static PyObject *checksum(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t n_arguments)
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

/* ---- The types ---------------------------------------------------------------------------------------- */

static int as_address(PyObject *number, void *address)
{
    size_t value = PyLong_AsSize_t(number);
    if (value == 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "an address is 0");
    *(uintptr_t *)address = value;
    return !PyErr_Occurred();
}

static PyObject *training_state_type; /* set once, when the module is loaded */

static PyObject *new_small_calls(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *state_object, *owner;
    uintptr_t network_address, forward, train_on_batch, train;
    Py_ssize_t max_rows, max_train_rows, max_row_steps, max_workspace_bytes;
    if (keywords != NULL && PyDict_Size(keywords) > 0)
        return PyErr_Format(PyExc_TypeError, "SmallCalls takes no keyword arguments");
    if (!PyArg_ParseTuple(arguments, "O!O&O&O&O&nnnnO:SmallCalls", training_state_type, &state_object, as_address,
                          &network_address, as_address, &forward, as_address, &train_on_batch, as_address, &train,
                          &max_rows, &max_train_rows, &max_row_steps, &max_workspace_bytes, &owner))
        return NULL;
    TrainingState *state = (TrainingState *)state_object;
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
    self->state = (TrainingState *)Py_NewRef(state_object);
    self->parameters = state->parameters;
    self->type_number = PyArray_TYPE(state->arrays[0]);
    self->forward = (function)forward;
    self->train_on_batch = (function)train_on_batch;
    self->train = (function)train;
    self->max_rows = max_rows;
    self->max_train_rows = max_train_rows;
    self->max_row_steps = max_row_steps;
    self->workspace = NULL;
    self->workspace_bytes = 0;
    self->max_workspace_bytes = (size_t)max_workspace_bytes;
    self->owner = Py_NewRef(owner);
    return (PyObject *)self;
}

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

/* ISO C has no conversion from a function to void *, which the tables below want, but by way of an integer. */
#define SLOT(function) ((void *)(uintptr_t)(function))

static PyMethodDef training_state_methods[] = {
    {"run", (PyCFunction)(function)run, METH_FASTCALL,
     "run($self, function, arguments, finish, is_shared, /)\n--\n\n"
     "``function(*arguments)``, which may train the network: RuntimeError if that is under way already.\n\n"
     "Unless `finish` is None, it is called afterwards, and again if an exception from a signal handler comes in its\n"
     "midst. It returns None, or an exception to be raised if there is no other. If the network `is_shared`, a process\n"
     "that another thread forks meanwhile has the parameters from before the run."},
    {"is_writeable", is_writeable, METH_NOARGS,
     "is_writeable($self, /)\n--\n\nWhether no array is protected from being written to."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef training_state_members[] = {
    {"epochs_trained", T_PYSSIZET, offsetof(TrainingState, epochs_trained), 0,
     "Epochs that the network has finished."},
    {"begun", T_OBJECT, offsetof(TrainingState, begun), 0,
     "An epoch that was begun and not finished (plainnet.training.Interrupted), or None."},
    {"thread", T_ULONG, offsetof(TrainingState, thread), READONLY,
     "The identifier of the thread that is inside of `run`; 0: none."},
    {NULL, 0, 0, 0, NULL},
};

static const char training_state_doc[] =
    "TrainingState(arrays)\n"
    "--\n\n"
    "Who trains a network, and how far it has been trained.\n\n"
    "`arrays` is a tuple: the network's parameters, and the layers' views of them.";

static PyType_Slot training_state_slots[] = {
    {Py_tp_doc, (void *)training_state_doc},
    {Py_tp_new, SLOT(new_training_state)},
    {Py_tp_dealloc, SLOT(dealloc_training_state)},
    {Py_tp_methods, training_state_methods},
    {Py_tp_members, training_state_members},
    {0, NULL},
};

static PyType_Spec training_state_spec = {
    "plainnet._small.TrainingState", sizeof(TrainingState), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    training_state_slots,
};

static PyMethodDef small_calls_methods[] = {
    {"predict", predict, METH_O,
     "predict($self, x, /)\n--\n\nA new array, the network's output for `x`; or None."},
    {"train_on_batch", (PyCFunction)(function)train_on_batch, METH_FASTCALL,
     "train_on_batch($self, x, y, learning_rate, /)\n--\n\n"
     "One step of gradient descent, the loss from before it; or None, and no step."},
    {"fit", (PyCFunction)(function)fit, METH_FASTCALL,
     "fit($self, x, y, epochs, learning_rate, batch_size, shuffle, /)\n--\n\n"
     "Full-batch training, the loss from before each epoch's step; or None, and no step."},
    {NULL, NULL, 0, NULL},
};

static const char small_calls_doc[] =
    "SmallCalls(state, network, forward, train_on_batch, train, max_rows, max_train_rows, max_row_steps, "
    "max_workspace_bytes, owner)\n"
    "--\n\n"
    "The calls of one network for small arrays; see plainnet.backend.SmallCalls.\n\n"
    "`state` is the network's TrainingState; `network` (pn_network), `forward`, `train_on_batch` and `train` (for the\n"
    "dtype of its parameters) are addresses; `max_workspace_bytes` is what so many rows need; `owner` keeps alive\n"
    "what `network` points to.";

static PyType_Slot small_calls_slots[] = {
    {Py_tp_doc, (void *)small_calls_doc},
    {Py_tp_new, SLOT(new_small_calls)},
    {Py_tp_dealloc, SLOT(dealloc_small_calls)},
    {Py_tp_methods, small_calls_methods},
    {0, NULL},
};

static PyType_Spec small_calls_spec = {
    "plainnet._small.SmallCalls", sizeof(SmallCalls), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    small_calls_slots,
};

/* ---- The module --------------------------------------------------------------------------------------- */

static PyObject *add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, (PyTypeObject *)type) < 0)
        Py_CLEAR(type);
    return type;
}

static int execute(PyObject *module)
{
    if (PyArray_ImportNumPyAPI() < 0)
        return -1;
    training_state_type = add_type(module, &training_state_spec);
    PyObject *type = training_state_type == NULL ? NULL : add_type(module, &small_calls_spec);
    Py_XDECREF(type);
    return type == NULL ? -1 : 0;
}

static PyMethodDef functions[] = {
    {"checksum", (PyCFunction)(function)checksum, METH_FASTCALL,
     "checksum($module, /, *arrays)\n--\n\nA number of 64 bits that tells contiguous arrays from others."},
    {"end_runs_of_other_threads", end_runs_of_other_threads, METH_NOARGS,
     "end_runs_of_other_threads($module, /)\n--\n\n"
     "For a process that has just been forked: networks that another thread was training are as before its run."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, SLOT(execute)}, {0, NULL}};

static PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_small", .m_methods = functions, .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__small(void);
PyMODINIT_FUNC PyInit__small(void)
{
    return PyModuleDef_Init(&module);
}
