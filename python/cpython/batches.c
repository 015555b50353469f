/*
 * take_batches takes mini-batches from an iterator: those that are contiguous arrays of the network's dtype and of the
 * shapes that are expected, as nearly all are. Whatever else comes is for Python code, which converts it or says what is
 * wrong. addresses says where arrays lie, for the library.
 */
#include "module.h"

#include <float.h>

/* The arrays that are expected. */
typedef struct Expected {
    int type;           /* NumPy's, of all of them */
    npy_intp n_rows;
    npy_intp n_in, n_out;
    npy_intp n_classes; /* 0: targets are (n_rows, n_out); else they are labels below it */
    int has_weight;
    PyArrayObject *rooms[3]; /* to which arrays are copied, from this row on; NULL: they are taken as they are */
    npy_intp row;
} Expected;

/* A copy of an array: some rows of `room`, from `row` on. */
static PyObject *copy(PyArrayObject *array, PyArrayObject *room, npy_intp row)
{
    char *to = PyArray_BYTES(room) + row * PyArray_STRIDE(room, 0);
    PyObject *result = PyArray_New(&PyArray_Type, PyArray_NDIM(array), PyArray_DIMS(array), PyArray_TYPE(array), NULL, to,
                                   0, NPY_ARRAY_CARRAY, NULL);
    if (result == NULL || PyArray_SetBaseObject((PyArrayObject *)result, Py_NewRef((PyObject *)room)) < 0) {
        Py_XDECREF(result);
        return NULL;
    }
    memcpy(to, PyArray_DATA(array), (size_t)PyArray_NBYTES(array));
    return result;
}

/*
 * `object`, or a copy of it, if it is an array (n_rows, n_columns), or (n_rows,) if n_columns is 0; else NULL, maybe
 * without an error. It is number k of its mini-batch.
 */
static PyObject *rows(PyObject *object, const Expected *expected, npy_intp n_columns, int k)
{
    PyArrayObject *array = (PyArrayObject *)object;
    if (!PyArray_CheckExact(object) || PyArray_TYPE(array) != expected->type || !PyArray_ISCARRAY_RO(array) ||
        PyArray_NDIM(array) != (n_columns == 0 ? 1 : 2) || PyArray_DIM(array, 0) != expected->n_rows ||
        (n_columns != 0 && PyArray_DIM(array, 1) != n_columns))
        return NULL;
    PyArrayObject *room = expected->rooms[k];
    return room != NULL ? copy(array, room, expected->row) : Py_NewRef(object);
}

/* Likewise, with the targets of a single output, which may be (n_rows,), as (n_rows, 1). */
static PyObject *targets(PyObject *object, const Expected *expected)
{
    PyObject *array = rows(object, expected, expected->n_out, 1);
    if (array != NULL || PyErr_Occurred() || expected->n_out != 1 || (array = rows(object, expected, 0, 1)) == NULL)
        return array;
    npy_intp sizes[2] = {expected->n_rows, 1};
    PyArray_Dims shape = {sizes, 2};
    PyObject *column = PyArray_Newshape((PyArrayObject *)array, &shape, NPY_CORDER);
    Py_DECREF(array);
    return column;
}

static int is_known(int type)
{
    return type == NPY_FLOAT32 || type == NPY_FLOAT64 || type == NPY_INT64 || type == NPY_INT32 || type == NPY_UINT8;
}

/* An entry of a vector of a type that is_known. */
static double entry(PyArrayObject *vector, npy_intp i)
{
    const void *at = PyArray_BYTES(vector) + i * PyArray_STRIDE(vector, 0);
    switch (PyArray_TYPE(vector)) {
    case NPY_FLOAT32: return *(const npy_float32 *)at;
    case NPY_FLOAT64: return *(const npy_float64 *)at;
    case NPY_INT64: return (double)*(const npy_int64 *)at;
    case NPY_INT32: return *(const npy_int32 *)at;
    default: return *(const npy_uint8 *)at;
    }
}

/* The labels as a new array of the network's dtype, in which they are exact; NULL, maybe without error, if these are none. */
static PyObject *labels(PyObject *object, const Expected *expected)
{
    PyArrayObject *given = (PyArrayObject *)object;
    npy_intp n_rows = expected->n_rows;
    if (!PyArray_CheckExact(object) || PyArray_NDIM(given) != 1 || !is_known(PyArray_TYPE(given)) ||
        !PyArray_ISBEHAVED_RO(given) || PyArray_DIM(given, 0) != n_rows)
        return NULL;
    PyObject *result = PyArray_SimpleNew(1, &n_rows, expected->type);
    if (result == NULL)
        return NULL;
    void *to = PyArray_DATA((PyArrayObject *)result);
    for (npy_intp i = 0; i < n_rows; i++) {
        double label = entry(given, i);
        if (!(label >= 0 && label < (double)expected->n_classes && label == (double)(npy_intp)label)) {
            Py_DECREF(result);
            return NULL;
        }
        if (expected->type == NPY_FLOAT32)
            ((npy_float32 *)to)[i] = (npy_float32)label;
        else
            ((npy_float64 *)to)[i] = label;
    }
    return result;
}

/* As `rows`, with weights: finite, at least 0, and not all 0. */
static PyObject *weights(PyObject *object, const Expected *expected)
{
    PyObject *array = rows(object, expected, 0, 2);
    double total = 0, value = 0;
    if (array == NULL)
        return NULL;
    for (npy_intp i = 0; i < expected->n_rows && value >= 0; i++)
        total += value = entry((PyArrayObject *)array, i);
    if (value >= 0 && 0 < total && total <= DBL_MAX)
        return array;
    Py_DECREF(array);
    return NULL;
}

/* Appends the arrays of `item`, a tuple or list, to `lists`; 0 if they are not as expected; -1 with an exception set. */
static int take(PyObject *item, const Expected *expected, PyObject *const *lists)
{
    PyObject *given[3] = {NULL}, *taken[3] = {NULL};
    Py_ssize_t n = expected->has_weight ? 3 : 2;
    int is_tuple = PyTuple_CheckExact(item);
    if ((!is_tuple && !PyList_CheckExact(item)) || (is_tuple ? PyTuple_Size(item) : PyList_Size(item)) != n)
        return 0;
    for (Py_ssize_t k = 0; k < n; k++) /* references of our own, as other threads may change a list */
        given[k] = Py_NewRef(is_tuple ? PyTuple_GetItem(item, k) : PyList_GetItem(item, k));
    int is_good = (taken[0] = rows(given[0], expected, expected->n_in, 0)) != NULL &&
                  (taken[1] = expected->n_classes > 0 ? labels(given[1], expected) : targets(given[1], expected)) != NULL &&
                  (n == 2 || (taken[2] = weights(given[2], expected)) != NULL);
    int result = is_good ? 1 : PyErr_Occurred() ? -1 : 0;
    for (Py_ssize_t k = 0; k < n; k++) {
        if (result == 1 && PyList_Append(lists[k], taken[k]) < 0)
            result = -1;
        Py_DECREF(given[k]);
        Py_XDECREF(taken[k]);
    }
    return result;
}

/* What to expect, from a mini-batch: a tuple of arrays; 0 with an exception set if it is none. */
static int expect(Expected *expected, PyObject *like)
{
    Py_ssize_t n = PyTuple_Check(like) ? PyTuple_Size(like) : 0;
    PyArrayObject *arrays[3] = {NULL};
    for (Py_ssize_t k = 0; k < n && k < 3; k++)
        if (PyArray_Check(PyTuple_GetItem(like, k)))
            arrays[k] = (PyArrayObject *)PyTuple_GetItem(like, k);
    PyArrayObject *x = arrays[0], *y = arrays[1];
    if (n < 2 || n > 3 || x == NULL || y == NULL || (n == 3 && arrays[2] == NULL) || PyArray_NDIM(x) != 2 ||
        PyArray_NDIM(y) != (expected->n_classes > 0 ? 1 : 2) ||
        (PyArray_TYPE(x) != NPY_FLOAT32 && PyArray_TYPE(x) != NPY_FLOAT64)) {
        PyErr_SetString(PyExc_TypeError, "a mini-batch must be a tuple of arrays (x, y) or (x, y, weight)");
        return 0;
    }
    expected->type = PyArray_TYPE(x);
    expected->n_rows = PyArray_DIM(x, 0);
    expected->n_in = PyArray_DIM(x, 1);
    expected->n_out = expected->n_classes > 0 ? 0 : PyArray_DIM(y, 1);
    expected->has_weight = n == 3;
    return 1;
}

/* The items of the tuple `object`, as many as arrays are expected; 0 with an exception set if it is none. */
static int unpack(PyObject *object, const Expected *expected, PyObject **items)
{
    Py_ssize_t n = expected->has_weight ? 3 : 2;
    if (!PyTuple_Check(object) || PyTuple_Size(object) < n) {
        PyErr_SetString(PyExc_TypeError, "lists and rooms must be tuples, of as many as arrays");
        return 0;
    }
    for (Py_ssize_t k = 0; k < n; k++)
        items[k] = PyTuple_GetItem(object, k);
    return 1;
}

/* Finds the rooms, with rows for `n` more mini-batches; 0 with an exception set if they are not there. */
static int find_rooms(PyObject *object, Expected *expected, npy_intp n)
{
    PyObject *rooms[3] = {NULL};
    if (object == Py_None)
        return 1;
    if (!unpack(object, expected, rooms))
        return 0;
    for (int k = 0; k < (expected->has_weight ? 3 : 2); k++) {
        PyArrayObject *room = (PyArrayObject *)rooms[k];
        npy_intp n_columns = k == 0 ? expected->n_in : k == 1 && expected->n_classes == 0 ? expected->n_out : 0;
        if (!PyArray_Check(rooms[k]) || PyArray_TYPE(room) != expected->type || !PyArray_ISCARRAY(room) ||
            PyArray_NDIM(room) != (n_columns == 0 ? 1 : 2) || (n_columns != 0 && PyArray_DIM(room, 1) != n_columns) ||
            PyArray_DIM(room, 0) - expected->row < n * expected->n_rows) {
            PyErr_SetString(PyExc_TypeError, "a room must be an array for the rows of all mini-batches");
            return 0;
        }
        expected->rooms[k] = room;
    }
    return 1;
}

PyObject *take_batches(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t n_arguments)
{
    PyObject *lists[3] = {NULL}, *item = NULL;
    Expected expected = {0};
    if (n_arguments != 6 || !PyIter_Check(arguments[0]))
        return PyErr_Format(PyExc_TypeError, "take_batches takes an iterator, and 6 arguments altogether");
    expected.n_classes = PyLong_AsSsize_t(arguments[4]);
    Py_ssize_t left = PyErr_Occurred() ? -1 : PyLong_AsSsize_t(arguments[5]);
    if (PyErr_Occurred() || !expect(&expected, arguments[3]) || !unpack(arguments[1], &expected, lists))
        return NULL;
    for (int k = 0; k < (expected.has_weight ? 3 : 2); k++)
        if (!PyList_Check(lists[k]))
            return PyErr_Format(PyExc_TypeError, "lists must be a tuple of lists");
    expected.row = PyList_Size(lists[0]) * expected.n_rows;
    if (!find_rooms(arguments[2], &expected, left))
        return NULL;
    for (; left > 0 && (item = PyIter_Next(arguments[0])) != NULL; left--, expected.row += expected.n_rows) {
        int status = take(item, &expected, lists);
        if (status == 0)
            return Py_BuildValue("(N)", item);
        Py_DECREF(item);
        if (status < 0)
            return NULL;
    }
    if (PyErr_Occurred())
        return NULL;
    return left > 0 ? PyTuple_New(0) : Py_NewRef(Py_None);
}

PyObject *addresses(PyObject *Py_UNUSED(module), PyObject *list)
{
    if (!PyList_Check(list))
        return PyErr_Format(PyExc_TypeError, "addresses takes a list of arrays");
    Py_ssize_t n = PyList_Size(list);
    PyObject *result = PyBytes_FromStringAndSize(NULL, n * (Py_ssize_t)sizeof(void *));
    for (Py_ssize_t k = 0; result != NULL && k < n; k++) {
        PyObject *object = PyList_GetItem(list, k);
        if (!PyArray_Check(object) || !PyArray_ISCARRAY_RO((PyArrayObject *)object)) {
            Py_DECREF(result);
            return PyErr_Format(PyExc_TypeError, "addresses takes a list of contiguous arrays");
        }
        const void *address = PyArray_DATA((PyArrayObject *)object);
        memcpy(PyBytes_AsString(result) + k * (Py_ssize_t)sizeof address, &address, sizeof address);
    }
    return result;
}
