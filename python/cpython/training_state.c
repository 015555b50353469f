/*
 * TrainingState has how far a network has been trained, and guards its training: only one call trains it at a time, and
 * what is to be done after a run is done, whatever exceptions signal handlers raise. Handlers run between any two
 * instructions of Python code, but never within a function written in C.
 */
#include "module.h"

/* ---- Runs, one at a time ------------------------------------------------------------------------------ */

/* The states of the networks that are being trained, by any thread; a list that the GIL protects. */
static TrainingState *running;

static void remove_from_running(TrainingState *self)
{
    TrainingState **link = &running;
    while (*link != NULL && *link != self)
        link = &(*link)->next;
    if (*link != NULL)
        *link = self->next;
    self->thread = 0;
}

/* Clears the exception that is set and returns it as an object; NULL if there is none. */
static PyObject *fetch_error(void)
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

/* Sets the exception `error`, with `earlier` (or NULL) as its context if it has none. Steals both references. */
static void set_error(PyObject *error, PyObject *earlier)
{
    PyObject *context = PyException_GetContext(error);
    if (context == NULL && earlier != NULL && earlier != error)
        PyException_SetContext(error, Py_NewRef(earlier));
    Py_XDECREF(context);
    Py_XDECREF(earlier);
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), error, PyException_GetTraceback(error));
}

/* How often `finish` is called if exceptions interrupt it, as those of signal handlers may. */
enum { MAX_TRIES = 20 };

/*
 * Calls `finish`, with or without an exception set, until it returns. The exception that is set afterwards is the last
 * one that was raised; those before it, and the one that `finish` returns, are its context. 0 if there is one.
 */
static int finish_whatever_happens(PyObject *finish)
{
    PyObject *error = fetch_error(), *found = NULL;
    for (int tries = 0; found == NULL && tries < MAX_TRIES; tries++) {
        found = PyObject_CallNoArgs(finish);
        if (found == NULL) {
            set_error(fetch_error(), error);
            error = fetch_error();
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

/* The room for `before`; 0 with an exception set if there is no memory for it. */
static int make_room(TrainingState *self)
{
    size_t n_bytes = self->parameters_bytes + self->slots_bytes;
    if (self->before != NULL && self->before_bytes == n_bytes)
        return 1;
    PyMem_Free(self->before);
    self->before = PyMem_Malloc(n_bytes);
    self->before_bytes = n_bytes;
    if (self->before == NULL)
        PyErr_NoMemory();
    return self->before != NULL;
}

/* Copies what a run updates to `before`, or back. */
static void save(TrainingState *self)
{
    memcpy(self->before, self->parameters, self->parameters_bytes);
    if (self->slots != NULL)
        memcpy((char *)self->before + self->parameters_bytes, self->slots, self->slots_bytes);
}

static void restore(TrainingState *self)
{
    memcpy(self->parameters, self->before, self->parameters_bytes);
    if (self->slots != NULL)
        memcpy(self->slots, (char *)self->before + self->parameters_bytes, self->slots_bytes);
}

/* Takes the optimizer's arrays for a run, `object` being an array or None; 0 with an exception set if it is neither. */
static int take_slots(TrainingState *self, PyObject *object)
{
    PyArrayObject *array = (PyArrayObject *)object;
    int is_array = PyArray_Check(object) && PyArray_ISCARRAY(array);
    if (!is_array && object != Py_None) {
        PyErr_SetString(PyExc_TypeError, "slots must be a plain array or None");
        return 0;
    }
    self->slots = is_array ? PyArray_DATA(array) : NULL;
    self->slots_bytes = is_array ? (size_t)PyArray_NBYTES(array) : 0;
    return 1;
}

static PyObject *run(PyObject *object, PyObject *const *arguments, Py_ssize_t n_arguments)
{
    TrainingState *self = (TrainingState *)object;
    if (n_arguments != 5)
        return PyErr_Format(PyExc_TypeError, "run takes 5 arguments, not %zd", n_arguments);
    int has_before = PyObject_IsTrue(arguments[4]);
    if (has_before < 0)
        return NULL;
    unsigned long thread = PyThread_get_thread_ident();
    if (self->thread != 0) {
        PyErr_SetString(PyExc_RuntimeError, self->thread != thread ?
                        "the network is being trained by another thread" :
                        "this thread is training the network already: neither a callback of fit nor a signal "
                        "handler that comes amid fit or train_on_batch can train the same network");
        return NULL;
    }
    if (!take_slots(self, arguments[3]) || (has_before && !make_room(self)))
        return NULL;
    if (has_before)
        save(self);
    self->has_before = has_before;
    self->thread = thread;
    self->next = running;
    running = self;
    PyObject *slots = Py_NewRef(arguments[3]);
    Py_INCREF(object);
    PyObject *result = PyObject_Call(arguments[0], arguments[1], NULL);
    if (arguments[2] != Py_None && !finish_whatever_happens(arguments[2]))
        Py_CLEAR(result);
    remove_from_running(self);
    self->slots = NULL;
    Py_DECREF(slots);
    Py_DECREF(object);
    return result;
}

/*
 * In a process that another thread has forked, the threads that train are missing, and their runs would never end. Their
 * parameters may be in the middle of a step, so those from before the run are restored, and the optimizer's arrays.
 */
PyObject *end_runs_of_other_threads(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    unsigned long thread = PyThread_get_thread_ident();
    for (TrainingState *state = running, *next; state != NULL; state = next) {
        next = state->next;
        if (state->thread != thread) {
            if (state->has_before)
                restore(state);
            remove_from_running(state);
        }
    }
    Py_RETURN_NONE;
}

int are_writeable(const TrainingState *self)
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
    self->steps = 0;
    self->is_plain = 0;
    self->rate = 0;
    self->slots = NULL;
    self->slots_bytes = 0;
    self->before_bytes = 0;
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

/* Nothing that an object owns can refer back to it, so the type needs no garbage collection. */
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

/* ---- The type ----------------------------------------------------------------------------------------- */

static PyMethodDef training_state_methods[] = {
    {"run", METHOD(run), METH_FASTCALL,
     "run($self, function, arguments, finish, slots, is_shared, /)\n--\n\n"
     "Returns ``function(*arguments)``, which may train the network; RuntimeError if another call trains it already.\n\n"
     "Unless `finish` is None, it is called afterwards, and again if an exception from a signal handler interrupts it.\n"
     "It returns None, or an exception to be raised if there is no other. `slots` is the array that the optimizer\n"
     "keeps, or None. If the network `is_shared`, a process that another thread forks meanwhile has the parameters and\n"
     "the slots from before the run."},
    {"is_writeable", is_writeable, METH_NOARGS,
     "is_writeable($self, /)\n--\n\nWhether no array is protected from being written to."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef training_state_members[] = {
    {"epochs_trained", T_PYSSIZET, offsetof(TrainingState, epochs_trained), 0,
     "Epochs that the network has finished."},
    {"steps", T_PYSSIZET, offsetof(TrainingState, steps), 0, "Steps that the optimizer has made."},
    {"is_plain", T_BOOL, offsetof(TrainingState, is_plain), 0,
     "Whether the optimizer is gradient descent without any option, so that small calls may train."},
    {"rate", T_DOUBLE, offsetof(TrainingState, rate), 0,
     "The optimizer's learning rate for small calls that are given none; 0: they may not train then."},
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
    "plainnet._cpython.TrainingState", sizeof(TrainingState), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    training_state_slots,
};

PyTypeObject *training_state_type;

int add_training_state(PyObject *module)
{
    training_state_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &training_state_spec, NULL);
    return training_state_type == NULL ? -1 : PyModule_AddType(module, training_state_type);
}
