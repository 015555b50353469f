/*
 * plainnet: small and medium dense neural networks, trained and run on a CPU.
 *
 *     cc -O3 -Ipath/to/csrc app.c path/to/csrc/(every .c file) -lm -lpthread
 *
 * or, with the library that `make install` makes, cc app.c -lplainnet. No -ffast-math, which is refused.
 *
 * Conventions
 *   Shapes      are written as C indexing: x[n_rows][n_in] is a contiguous row-major block, one sample a row.
 *   A layer     computes z = x @ weight + bias and a = f(z), with weight[n_in][n_out] and bias[n_out].
 *   Parameters  of a whole network are one block: weight, then bias, of the first layer, then of the second, ...
 *   Names       end in _f64 (double) or _f32 (float); both do the same, and the comments stand with the first.
 *   Ownership   The caller owns every buffer. Nothing is allocated, kept, freed or printed here. Descriptions
 *               (pn_network, pn_training) are only read and may be shared by threads.
 *   Aliasing    Outputs overlap neither inputs nor each other, except where "in place" is said.
 *   Errors      come back as a pn_status. Arguments are checked before anything is written: on error no output
 *               has changed. (PN_DIVERGED, which training may return, says what it leaves behind.)
 *   Numbers     Every sum runs in a fixed order with fused multiply-adds, so results do not depend on the vector
 *               width, tiling, alignment or number of threads; only "baseline" on x86-64, which has no fused
 *               multiply-add, rounds differently. Gradients are sums over rows: each PN_BLOCK_ROWS rows are summed
 *               up from 0, and these totals are added with compensation for what rounding loses (see PN_BLOCK_ROWS).
 *               Nor do results depend on the calling thread's floating-point mode (rounding, flushing of subnormal
 *               numbers), which calls leave as it was.
 *
 * The declarations below are also what cffi parses for the Python package, so they use no macros.
 */
#ifndef PLAINNET_H
#define PLAINNET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(PN_EXPORT) && defined(__GNUC__)
#pragma GCC visibility push(default) /* the Makefile's shared library shows what is declared here, and hides the rest */
#endif

/* ---- Status ------------------------------------------------------------------------------------------- */

typedef enum pn_status {
    PN_OK = 0,
    PN_NULL_POINTER,         /* a pointer that must point to something is NULL */
    PN_MISALIGNED,           /* an array does not start at a multiple of its element's size */
    PN_OVERLAP,              /* an output overlaps an input or another output */
    PN_NO_ROWS,              /* n_rows is 0 */
    PN_NO_LAYERS,            /* a network without layers */
    PN_NO_NEURONS,           /* a layer with n_in or n_out of 0 */
    PN_SIZES_DO_NOT_CHAIN,   /* a layer's n_in is not the n_out of the layer before it */
    PN_SIZE_OVERFLOW,        /* a size in bytes does not fit into size_t, or too many rows to shuffle (2**32) */
    PN_UNKNOWN_ACTIVATION,
    PN_UNKNOWN_LOSS,
    PN_LOG_LOSS_NEEDS_SIGMOID, /* log loss is defined for outputs in (0,1): the last layer must be a sigmoid */
    PN_BAD_LEARNING_RATE,    /* not finite, or not above 0, in the network's type */
    PN_DATA_NOT_FINITE,      /* x or y holds NaN or infinity */
    PN_TARGET_OUT_OF_RANGE,  /* log loss with a target outside [0, 1] */
    PN_BAD_PROGRESS,         /* pn_progress.row is not below n_rows; see also pn_train_batches_f64 */
    PN_WORKSPACE_TOO_SMALL,
    PN_DIVERGED,             /* loss or parameters became NaN or infinite; see pn_train_f64 */
    PN_UNKNOWN_ISA,          /* no such instruction set, or not on this machine; also from PLAINNET_ISA */
    PN_BAD_THREADS,          /* number of threads not within 1...PN_MAX_THREADS; also from PLAINNET_NUM_THREADS */
    PN_INEXACT_BUILD,        /* the library was compiled with options such as -ffast-math: it finds no NaN, loses
                                subnormal numbers, or adds in another order */
    PN_BAD_LOSS_PARAMETER,   /* pn_network.loss_parameter is outside of what the loss allows, or loss_limit below 0 or
                                not finite, in the network's type */
    PN_NEGATIVE_TARGET,      /* the Poisson loss with a target below 0 */
    PN_SOFTMAX_NOT_LAST,     /* softmax on a hidden layer */
    PN_SOFTMAX_NEEDS_CROSS_ENTROPY, /* softmax on the last layer, with another loss */
    PN_CROSS_ENTROPY_NEEDS_SOFTMAX, /* the reverse */
    PN_BAD_PROBABILITY,      /* PN_CROSS_ENTROPY with a target outside [0, 1], or targets of a row that do not sum to 1 */
    PN_BAD_LABEL,            /* PN_CROSS_ENTROPY_LABELS with a target that is none of 0, 1, ... n_out - 1 */
    PN_BAD_SAMPLE_WEIGHT,    /* a weight that is not finite or below 0, or all are 0 (or their sum overflows) */
    PN_UNKNOWN_OPTIMIZER,
    PN_BAD_OPTIMIZER,        /* an option of the optimizer is out of range; see pn_optimizer */
    PN_BAD_LAYER_OPTION,     /* an option of a layer is out of range; see pn_layer_options */
    PN_DROPOUT_ON_LAST_LAYER, /* dropout is for hidden layers */
    PN_BAD_ORDER,            /* pn_training.order holds a number that is not below n_rows */
    PN_NEEDS_SQUARES         /* pn_gauss_newton_f64 with a loss other than PN_SUM_OF_SQUARES and PN_MEAN_SQUARED_ERROR */
} pn_status;

/* A sentence for a status; never NULL, static. */
const char *pn_status_message(pn_status status);

/* Whether the library works here: PN_OK, PN_UNKNOWN_ISA, PN_BAD_THREADS or PN_INEXACT_BUILD, as from any call below. */
pn_status pn_library_status(void);

/* ---- Instruction sets and threads --------------------------------------------------------------------- */

/*
 * The kernels are compiled for several instruction sets; the best that the machine has is chosen at the first
 * call, or the one that the environment variable PLAINNET_ISA names. Names: "baseline", "avx2", "avx512" on x86-64,
 * "neon" on arm64, "baseline" elsewhere.
 */
const char *pn_isa(void);                   /* the one in use; NULL if PLAINNET_ISA names none that works here */
pn_status pn_set_isa(const char *name);     /* for the whole process; a call, and a run of pn_train_f64, ends
                                               with the one that it began with */
int pn_isa_is_available(const char *name);  /* 1 or 0 */

/*
 * Large products, the rows of long forward passes, and the elements of large arrays are shared out over threads of the
 * library's own; results do not depend on how many. The number is that of PLAINNET_NUM_THREADS, else of
 * OMP_NUM_THREADS, else of the CPUs that the process may use, PN_MAX_THREADS at most. In both variables it is one from
 * 1 to PN_MAX_THREADS, in digits alone; white space around it is ignored, and in OMP_NUM_THREADS a comma and whatever
 * follows. An empty variable is as if it were not set. Anything else is an error in PLAINNET_NUM_THREADS, and in
 * OMP_NUM_THREADS ignored.
 *
 * The threads are made when first needed, in a forked child anew, and end when the process exits, or when the library is
 * unloaded (dlclose), which it may be while no call is under way.
 */
enum { PN_MAX_THREADS = 64 };
size_t pn_num_threads(void);                /* 0 if PLAINNET_NUM_THREADS is no number from 1 to PN_MAX_THREADS; the
                                               functions below then return PN_BAD_THREADS */
pn_status pn_set_num_threads(size_t n);     /* for the whole process; PN_BAD_THREADS */

/* ---- Networks ----------------------------------------------------------------------------------------- */

/*
 * f' is written in a = f(z) or, where "from z" is said, in z, which training keeps for such layers. Phi is the
 * distribution function of the normal distribution, phi its density, and s the sigmoid of z.
 */
typedef enum pn_activation {
    PN_IDENTITY = 0,   /* f(z) = z */
    PN_SIGMOID,        /* f(z) = 1 / (1 + exp(-z)),   f' = a (1 - a) */
    PN_TANH,           /* f(z) = tanh(z),             f' = 1 - a^2   */
    PN_RELU,           /* f(z) = 0 where z < 0, else z; grad_z = grad_a where a > 0, else 0 (NaN where a is NaN) */
    PN_LEAKY_RELU,     /* f(z) = 0.01 z where z < 0, else z;   f' = 1 where a > 0, else 0.01 */
    PN_ELU,            /* f(z) = exp(z) - 1 where z < 0, else z;   f' = 1 where a > 0, else a + 1 */
    PN_SELU,           /* f(z) = l c (exp(z) - 1) where z < 0, else l z;   f' = l where a > 0, else a + l c;
                          l = 1.0507009873554805, c = 1.6732632423543772 */
    PN_GELU,           /* f(z) = z Phi(z);   f' = Phi(z) + z phi(z), from z */
    PN_GELU_TANH,      /* f(z) = z/2 (1 + tanh(w)), w = sqrt(2/pi) (z + 0.044715 z^3);   f' from z:
                          (1 + tanh(w)) / 2 + z/2 (1 - tanh(w)^2) sqrt(2/pi) (1 + 0.134145 z^2) */
    PN_SILU,           /* f(z) = z s;   f' = s (1 + z (1 - s)), from z */
    PN_MISH,           /* f(z) = z t, t = tanh(log(1 + exp(z)));   f' = t + z s (1 - t^2), from z */
    PN_SOFTPLUS,       /* f(z) = log(1 + exp(z));   f' = 1 - exp(-a) */
    PN_SOFTMAX,        /* exp(z) / (sum of exp(z) over the row): the last layer only, and with cross entropy */
    PN_N_ACTIVATIONS
} pn_activation;

/* y[n_rows][n_out] are the targets (but see PN_CROSS_ENTROPY_LABELS), a[n_rows][n_out] the network's outputs. */
typedef enum pn_loss {
    PN_LOG_LOSS = 0,        /* 1/n_rows sum -[y ln a + (1-y) ln(1-a)]; computed from z, finite for every finite z */
    PN_SUM_OF_SQUARES,      /* sum (a - y)^2 */
    PN_MEAN_SQUARED_ERROR,  /* 1/(n_rows n_out) sum (a - y)^2 */
    /* The same mean over rows and outputs, with d = a - y, of: */
    PN_MEAN_ABSOLUTE_ERROR, /* |d|; the gradient is 0 where d is 0 */
    PN_HUBER,               /* d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2); the parameter is delta > 0 */
    PN_LOG_COSH,            /* ln cosh d */
    PN_QUANTILE,            /* -q d where d < 0, else (1 - q) d; the parameter is q, 0 < q < 1; no gradient at d = 0 */
    PN_POISSON,             /* exp(a) - y a, y >= 0: a is the logarithm of the rate */
    /*
     * 1/n_rows sum -t ln a with softmax, computed from z, finite for every finite z, where t = (1 - s) y + s / n_out.
     * The parameter is s, 0 <= s < 1, label smoothing. y holds probabilities: each within [0, 1], and those of a row sum
     * to 1, within 1e-6 or, in single precision, 1e-3.
     */
    PN_CROSS_ENTROPY,
    /* The same with y[n_rows], the classes' numbers from 0 to n_out - 1, as numbers of the network's type: their y is 1
       for that class and 0 for the others. The classes are at most 2^24. */
    PN_CROSS_ENTROPY_LABELS,
    PN_N_LOSSES
} pn_loss;

/*
 * Losses and gradients of more rows than this are added up in blocks of so many rows, the last block of those that are
 * left. Within a block, each element of a gradient is one chain over its rows. Totals of blocks are added in order, and
 * the rounding errors of these additions are added up as well and count in the end: in single precision, too, the sum
 * over millions of rows is as exact as that of one block. Workspaces do not grow with the rows beyond one block, but for
 * the order of shuffled rows.
 */
enum { PN_BLOCK_ROWS = 384 };

/*
 * What a layer adds to the loss, and what training does with it besides the optimizer's step. All numbers are finite, in
 * the network's type, too.
 */
typedef struct pn_layer_options {
    double l1, l2;             /* >= 0: the loss gets l1 sum |weight| + l2/2 sum weight^2 more, and so does its gradient,
                                  in which the derivative of |0| is 0 */
    double max_norm;           /* > 0: after each step, weights into a neuron (a column of weight) whose norm is larger
                                  are scaled down to it, if the norm is finite; 0: no limit */
    double weight_rate, bias_rate; /* >= 0: multipliers of the learning rate; 0: weight or bias, and the optimizer's
                                  state of them, stay as they are */
    double dropout;            /* 0 <= dropout < 1: in training, each of a hidden layer's outputs is 0 with this
                                  probability, else 1 / (1 - dropout) times as large. Which ones is a function of
                                  pn_training.seed, the numbers of the epoch and of the step, the layer, the row in the
                                  mini-batch, and the neuron alone */
} pn_layer_options;

typedef struct pn_layer {
    size_t n_in;               /* >= 1 */
    size_t n_out;              /* >= 1 */
    pn_activation activation;
    int has_bias;              /* 0: z = x @ weight, and the layer has no bias parameters */
    const pn_layer_options *options; /* NULL: none; both rates are 1 */
} pn_layer;

typedef struct pn_network {
    size_t n_layers;           /* >= 1 */
    const pn_layer *layers;    /* layers[n_layers]; each n_in is the n_out of the one before */
    pn_loss loss;
    double loss_parameter;     /* of a loss that has one, as stated there; not used by the others */
    double loss_limit;         /* > 0: the loss of an output or, with cross entropy, of a row, counts as this where it is
                                  larger, which its gradient does not know; 0: no limit */
    int divide_penalty;        /* 1: what l1 and l2 of the layers add to the loss and to its gradient is divided by the
                                  number of its rows, or by the sum of their weights */
} pn_network;

/* How many parameters the network has: the sum of n_in * n_out (+ n_out with bias). */
pn_status pn_n_parameters(const pn_network *network, size_t *n_parameters);

/*
 * Forward pass: out[n_rows][n_out of the last layer] from x[n_rows][n_in of the first].
 * workspace: at least pn_forward_workspace_f64 bytes, any alignment; may be NULL where that is 0.
 */
pn_status pn_forward_workspace_f64(size_t n_rows, const pn_network *network, size_t *n_bytes);
pn_status pn_forward_f64(size_t n_rows, const pn_network *network, const double *parameters, const double *x,
                         double *out, void *workspace, size_t workspace_bytes);

/*
 * The loss of the rows x, y and its gradient with respect to the parameters (gradient[n_parameters], laid out as
 * they are), by back-propagation. y[n_rows][n_out of the last layer], or as the loss says.
 *
 * Here and in training, sample_weight[n_rows] are the weights w of the rows, finite, at least 0 and not all 0; NULL: all
 * are 1. The loss l of a row is multiplied by its weight, and a mean over rows is sum w l / sum w. A row of weight 0 counts
 * no more than if it were not there, and a mini-batch of such rows has the gradient 0.
 * workspace: at least pn_gradient_workspace_f64 bytes, any alignment.
 */
pn_status pn_gradient_workspace_f64(size_t n_rows, const pn_network *network, size_t *n_bytes);
pn_status pn_loss_and_gradient_f64(size_t n_rows, const pn_network *network, const double *parameters,
                                   const double *x, const double *y, const double *sample_weight,
                                   double *loss, double *gradient, void *workspace, size_t workspace_bytes);

/*
 * The loss without its gradient, with the same bits, for the price of a forward pass; and the outputs, as
 * pn_forward_f64 computes them, in out[n_rows][n_out of the last layer], or NULL if they are not wanted.
 * workspace: as for pn_loss_and_gradient_f64.
 */
pn_status pn_loss_f64(size_t n_rows, const pn_network *network, const double *parameters, const double *x,
                      const double *y, const double *sample_weight, double *loss, double *out, void *workspace,
                      size_t workspace_bytes);

/*
 * How a step follows from the gradient g: the equations of torch.optim, elementwise, with rate for the learning rate and
 * t = 1, 2, ... for the number of the step. After each name, the arrays that are kept for each parameter from step to
 * step. Numbers in them that would be subnormal become 0, as averages of what has become 0 would stay subnormal, with
 * which steps take several times as long. All but PN_ADAMW begin with g += weight_decay p.
 */
typedef enum pn_optimizer_kind {
    PN_SGD = 0,   /* p -= rate g. With momentum > 0 it keeps [b]: b = momentum b + g, and g = b or, with nesterov,
                     g + momentum b */
    PN_RMSPROP,   /* [v]: v = alpha v + (1 - alpha) g^2, p -= rate g / (sqrt(v) + eps). With centered it keeps [v, m]:
                     m = alpha m + (1 - alpha) g, and v - m^2, or 0 if that is less, stands under the root. With
                     momentum > 0 it keeps a b at the end: b = momentum b + g / (sqrt(v) + eps), p -= rate b */
    PN_ADAGRAD,   /* [v]: v = v + g^2 from initial_accumulator_value on,
                     p -= rate / (1 + (t - 1) learning_rate_decay) g / (sqrt(v) + eps) */
    PN_ADAM,      /* [m, v]: m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
                     p -= rate / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps). With amsgrad it keeps [m, v, w]:
                     w = max(w, v), which stands under the root */
    PN_ADAMW,     /* p *= 1 - rate weight_decay, then PN_ADAM */
    PN_RPROP,     /* [h, s]: s, from rate of the first step on, is multiplied by eta_plus where g h > 0, and by eta_minus
                     where g h < 0, and is kept within step_min and step_max; where g h < 0, g becomes 0;
                     p -= s sign(g), h = g */
    PN_N_OPTIMIZERS
} pn_optimizer_kind;

/* An optimizer and its options; those that its equation has not are ignored. All zero: plain gradient descent. */
typedef struct pn_optimizer {
    pn_optimizer_kind kind;
    double weight_decay;       /* >= 0 */
    double momentum;           /* PN_SGD, PN_RMSPROP: >= 0 */
    int nesterov;              /* PN_SGD: 1 needs momentum > 0 */
    int centered;              /* PN_RMSPROP */
    int amsgrad;               /* PN_ADAM, PN_ADAMW */
    int eps_hat;               /* PN_ADAM, PN_ADAMW: 1: eps is the epsilon hat of the end of section 2 of Kingma and Ba
                                  (2015): eps / sqrt(1 - beta2^t) stands in its place in the equation */
    double alpha;              /* PN_RMSPROP: 0 <= alpha < 1 */
    double beta1, beta2;       /* PN_ADAM, PN_ADAMW: likewise */
    double eps;                /* all but PN_SGD and PN_RPROP: > 0 in the network's type */
    double learning_rate_decay, initial_accumulator_value; /* PN_ADAGRAD: >= 0 */
    double eta_minus, eta_plus; /* PN_RPROP: 0 < eta_minus < 1 < eta_plus */
    double step_min, step_max;  /* PN_RPROP: 0 < step_min <= step_max */
    double clip_value;         /* > 0: first of all, each element of g is brought within -clip_value and clip_value */
    double clip_norm;          /* > 0: then g *= min(1, clip_norm / (|g| + 1e-6)), with the norm |g| of all parameters' g */
} pn_optimizer;

/*
 * How to train: a step of the optimizer for each mini-batch. The arrays that an optimizer keeps are its state:
 * state[n_arrays][n_parameters], each laid out as the parameters are. It is the caller's; before the optimizer's first
 * step it holds anything finite, such as zeros, and what a run leaves there is for the next one, with first_step.
 */
typedef struct pn_training {
    size_t epochs;             /* passes over all rows; 0 does nothing */
    size_t batch_size;         /* rows a step; 0, or more than n_rows: all of them. The last batch may be smaller. */
    double learning_rate;      /* > 0; ignored if learning_rates is given */
    int shuffle;               /* 1: each epoch visits the rows in an order of its own */
    uint64_t seed;             /* the order depends on this and the epoch's number alone; the masks of dropout, too */
    uint64_t first_epoch;      /* number of the first epoch: how many the network has been trained for before */
    pn_optimizer optimizer;
    const double *learning_rates; /* NULL, or the rate of each step of the run: learning_rates[i] > 0 is that of step i,
                                  the one for which pn_progress.steps is i. A call reads those of the steps that it may
                                  make, and of all steps of the run before these */
    uint64_t first_step;       /* steps that the optimizer has made before this run */
    const size_t *order;       /* NULL, or order[n_rows]: each epoch visits the rows in this order, whatever `shuffle` says.
                                  Each of 0...n_rows-1 is there once, or results are those of the rows that are. */
    int is_checked;            /* 1: a run before has checked x, y and the weights, which are the same; this one does not */
} pn_training;

/* *n_elements = the size of the optimizer's state for this network; 0 for some. */
pn_status pn_optimizer_state(const pn_network *network, const pn_optimizer *optimizer, size_t *n_elements);

/*
 * order[n_rows] = the permutation of 0...n_rows-1 in which epoch number `epoch` (first_epoch and those after it) of a
 * shuffled run visits the rows, for callers that keep the rows elsewhere and hand them over batch by batch. n_rows is at
 * most 2^32, else PN_SIZE_OVERFLOW.
 */
pn_status pn_order(uint64_t seed, uint64_t epoch, size_t n_rows, size_t *order);

/*
 * Where a run stands. To begin one, all is 0; or row and loss_sum are those of an epoch that an earlier run has begun.
 */
typedef struct pn_progress {
    size_t epoch;              /* epochs of this run that are finished */
    size_t row;                /* rows of the next epoch that are already used */
    double loss_sum;           /* what they added to that epoch's loss */
    size_t steps;              /* steps of this run; 0 begins it */
    size_t diverged_epoch;     /* with PN_DIVERGED: the epoch whose loss would not be finite */
} pn_progress;

/*
 * Trains parameters in place until training->epochs are done, or for max_steps steps if that is not 0. In the
 * latter case call again, with the same arguments, to go on: the result has the same bits however a run is split.
 * (A call of several steps packs the weights of wide layers, and unpacks them at its end, which costs a fraction of a
 * step.)
 *
 *   state           the optimizer's, of as many elements as pn_optimizer_state tells; NULL where that is 0.
 *   losses[epochs]  losses[e] is written when epoch e ends: with PN_SUM_OF_SQUARES the sum, with the other losses the
 *                   mean, over the epoch's rows; each row's loss is from before the step that uses it, with the l1 and
 *                   l2 of the layers in it. NULL: not wanted.
 *   progress        in and out.
 *   workspace       pn_train_workspace_f64 bytes, any alignment; kept untouched between the calls of one run.
 *
 * x, y and the weights are checked (finite; targets) when the run begins, unless is_checked says that they are. If the loss, a parameter or the state becomes
 * NaN or infinite, the result is PN_DIVERGED: parameters, state and progress are those of the last step at which all of
 * them were finite, from before its update.
 */
pn_status pn_train_workspace_f64(size_t n_rows, const pn_network *network, const pn_training *training,
                                 size_t *n_bytes);
pn_status pn_train_f64(size_t n_rows, const pn_network *network, const pn_training *training, double *parameters,
                       double *state, const double *x, const double *y, const double *sample_weight, size_t max_steps,
                       double *losses, pn_progress *progress, void *workspace, size_t workspace_bytes);

/*
 * The same with mini-batches that may lie apart in memory: x[k], y[k] and sample_weight[k] (sample_weight may be NULL) are
 * those of mini-batch k, each of training->batch_size rows. All n_batches are used once, in order, whatever
 * training->epochs and shuffle say. They need not be a whole epoch: progress->loss_sum and row go on to grow, and epoch
 * stays 0. To begin, progress is all 0, but that loss_sum may be what mini-batches before these added; else PN_BAD_PROGRESS.
 * When row has come to the number of all rows, there is no more to do, and another call returns PN_BAD_PROGRESS.
 *
 * The numbers of a mini-batch are checked (finite; targets; weights, which may not all be 0) just before its step, each time.
 * If they are refused, the steps before it have been made: the parameters, the state and progress are those before its own.
 * workspace: as for pn_train_f64 with all these rows, one epoch and no shuffling.
 */
pn_status pn_train_batches_f64(size_t n_batches, const pn_network *network, const pn_training *training,
                               double *parameters, double *state, const double *const *x, const double *const *y,
                               const double *const *sample_weight, size_t max_steps, pn_progress *progress,
                               void *workspace, size_t workspace_bytes);

/*
 * One step with all rows: *loss is from before it. On error, PN_DIVERGED among them, nothing has changed. Of `training`
 * the optimizer, the learning rate (or the first of learning_rates), first_step and, for dropout, seed and first_epoch
 * count.
 * workspace: as for pn_train_f64 with all rows in a batch, unshuffled; it need not be kept.
 */
pn_status pn_train_on_batch_f64(size_t n_rows, const pn_network *network, const pn_training *training,
                                double *parameters, double *state, const double *x, const double *y,
                                const double *sample_weight, double *loss, void *workspace, size_t workspace_bytes);

/* The same in single precision. Losses are double. */
pn_status pn_forward_workspace_f32(size_t n_rows, const pn_network *network, size_t *n_bytes);
pn_status pn_forward_f32(size_t n_rows, const pn_network *network, const float *parameters, const float *x,
                         float *out, void *workspace, size_t workspace_bytes);
pn_status pn_gradient_workspace_f32(size_t n_rows, const pn_network *network, size_t *n_bytes);
pn_status pn_loss_and_gradient_f32(size_t n_rows, const pn_network *network, const float *parameters,
                                   const float *x, const float *y, const float *sample_weight,
                                   double *loss, float *gradient, void *workspace, size_t workspace_bytes);
pn_status pn_loss_f32(size_t n_rows, const pn_network *network, const float *parameters, const float *x,
                      const float *y, const float *sample_weight, double *loss, float *out, void *workspace,
                      size_t workspace_bytes);
pn_status pn_train_workspace_f32(size_t n_rows, const pn_network *network, const pn_training *training,
                                 size_t *n_bytes);
pn_status pn_train_f32(size_t n_rows, const pn_network *network, const pn_training *training, float *parameters,
                       float *state, const float *x, const float *y, const float *sample_weight, size_t max_steps,
                       double *losses, pn_progress *progress, void *workspace, size_t workspace_bytes);
pn_status pn_train_batches_f32(size_t n_batches, const pn_network *network, const pn_training *training,
                               float *parameters, float *state, const float *const *x, const float *const *y,
                               const float *const *sample_weight, size_t max_steps, pn_progress *progress,
                               void *workspace, size_t workspace_bytes);
pn_status pn_train_on_batch_f32(size_t n_rows, const pn_network *network, const pn_training *training,
                                float *parameters, float *state, const float *x, const float *y,
                                const float *sample_weight, double *loss, void *workspace, size_t workspace_bytes);

/*
 * Derivatives with respect to the input. grad_x[n_rows][n_in of the first layer] = dloss/dx, of the loss of the rows x,
 * y; its workspace is that of pn_loss_and_gradient_f64. jacobian[n_rows][n_out of the last layer][n_in of the first] =
 * the derivatives of each row's outputs with respect to its inputs.
 * workspace: at least so many bytes as the workspace function tells, any alignment.
 */
pn_status pn_input_gradient_f64(size_t n_rows, const pn_network *network, const double *parameters,
                                const double *x, const double *y, double *grad_x,
                                void *workspace, size_t workspace_bytes);
pn_status pn_jacobian_workspace_f64(size_t n_rows, const pn_network *network, size_t *n_bytes);
pn_status pn_jacobian_f64(size_t n_rows, const pn_network *network, const double *parameters, const double *x,
                          double *jacobian, void *workspace, size_t workspace_bytes);
pn_status pn_input_gradient_f32(size_t n_rows, const pn_network *network, const float *parameters,
                                const float *x, const float *y, float *grad_x,
                                void *workspace, size_t workspace_bytes);
pn_status pn_jacobian_workspace_f32(size_t n_rows, const pn_network *network, size_t *n_bytes);
pn_status pn_jacobian_f32(size_t n_rows, const pn_network *network, const float *parameters, const float *x,
                          float *jacobian, void *workspace, size_t workspace_bytes);

/*
 * Derivatives with respect to the parameters, for solvers of least squares: jacobian[n_rows][n_out][n_parameters], those
 * of each row's outputs, n_out of the last layer.
 *
 * pn_gauss_newton_f64 has the loss and the gradient of pn_loss_and_gradient_f64, to the last bit, and
 * hessian[n_parameters][n_parameters], the approximation of the second derivatives of the loss by Gauss and Newton. The
 * loss is PN_SUM_OF_SQUARES or PN_MEAN_SQUARED_ERROR, else PN_NEEDS_SQUARES: a sum of c (a - y)^2 over rows and outputs
 * (c = w, or w / (n_out sum w)), whose second derivatives are about the sum of 2 c (da/dp)(da/dp)^T, with l2 of the
 * layers on the diagonal. The Jacobian is computed for a block of rows at a time, in the workspace, whose size does not
 * grow with the rows beyond one block: PN_BLOCK_ROWS, or fewer where its Jacobian would have more than 16 MB. Sums over
 * rows run in order within a block, and blocks are added in order.
 * workspace: at least so many bytes as the workspace functions tell, any alignment.
 */
pn_status pn_jacobian_parameters_workspace_f64(size_t n_rows, const pn_network *network, size_t *n_bytes);
pn_status pn_jacobian_parameters_f64(size_t n_rows, const pn_network *network, const double *parameters,
                                     const double *x, double *jacobian, void *workspace, size_t workspace_bytes);
pn_status pn_gauss_newton_workspace_f64(size_t n_rows, const pn_network *network, size_t *n_bytes);
pn_status pn_gauss_newton_f64(size_t n_rows, const pn_network *network, const double *parameters, const double *x,
                              const double *y, const double *sample_weight, double *loss, double *gradient,
                              double *hessian, void *workspace, size_t workspace_bytes);
pn_status pn_jacobian_parameters_workspace_f32(size_t n_rows, const pn_network *network, size_t *n_bytes);
pn_status pn_jacobian_parameters_f32(size_t n_rows, const pn_network *network, const float *parameters,
                                     const float *x, float *jacobian, void *workspace, size_t workspace_bytes);
pn_status pn_gauss_newton_workspace_f32(size_t n_rows, const pn_network *network, size_t *n_bytes);
pn_status pn_gauss_newton_f32(size_t n_rows, const pn_network *network, const float *parameters, const float *x,
                              const float *y, const float *sample_weight, double *loss, float *gradient,
                              float *hessian, void *workspace, size_t workspace_bytes);

/* ---- Single kernels ----------------------------------------------------------------------------------- */

/* Elementwise over n elements, n >= 0; in place allowed. The other activations are computed as those of a layer. */
pn_status pn_sigmoid_f64(size_t n, const double *z, double *a);
pn_status pn_tanh_f64(size_t n, const double *z, double *a);
pn_status pn_relu_f64(size_t n, const double *z, double *a);

/* grad_z = grad_a * f'(z), the derivative written in a = f(z); grad_z may be a or grad_a. */
pn_status pn_sigmoid_backward_f64(size_t n, const double *a, const double *grad_a, double *grad_z);
pn_status pn_tanh_backward_f64(size_t n, const double *a, const double *grad_a, double *grad_z);
pn_status pn_relu_backward_f64(size_t n, const double *a, const double *grad_a, double *grad_z);

/*
 * One dense layer: a[n_rows][n_out] = f(x[n_rows][n_in] @ weight[n_in][n_out] + bias[n_out]); bias may be NULL.
 * workspace: at least pn_dense_workspace_f64 bytes, any alignment; may be NULL where that is 0.
 */
pn_status pn_dense_workspace_f64(size_t n_rows, size_t n_in, size_t n_out, size_t *n_bytes);
pn_status pn_dense_forward_f64(size_t n_rows, size_t n_in, size_t n_out, const double *x, const double *weight,
                               const double *bias, pn_activation activation, double *a,
                               void *workspace, size_t workspace_bytes);

/*
 * Its backward pass, from z, a and grad_a[n_rows][n_out]; z may be NULL if f' is not written in it. With
 * grad_z = grad_a * f'(z):
 *   grad_x[n_rows][n_in]      = grad_z @ weight^T
 *   grad_weight[n_in][n_out]  = x^T @ grad_z
 *   grad_bias[n_out]          = sum over rows of grad_z
 * Each output may be NULL: not wanted. workspace as above.
 */
pn_status pn_dense_backward_f64(size_t n_rows, size_t n_in, size_t n_out, const double *x, const double *weight,
                                const double *z, const double *a, const double *grad_a, pn_activation activation,
                                double *grad_x, double *grad_weight, double *grad_bias,
                                void *workspace, size_t workspace_bytes);

/* The same in single precision. */
pn_status pn_sigmoid_f32(size_t n, const float *z, float *a);
pn_status pn_tanh_f32(size_t n, const float *z, float *a);
pn_status pn_relu_f32(size_t n, const float *z, float *a);
pn_status pn_sigmoid_backward_f32(size_t n, const float *a, const float *grad_a, float *grad_z);
pn_status pn_tanh_backward_f32(size_t n, const float *a, const float *grad_a, float *grad_z);
pn_status pn_relu_backward_f32(size_t n, const float *a, const float *grad_a, float *grad_z);
pn_status pn_dense_workspace_f32(size_t n_rows, size_t n_in, size_t n_out, size_t *n_bytes);
pn_status pn_dense_forward_f32(size_t n_rows, size_t n_in, size_t n_out, const float *x, const float *weight,
                               const float *bias, pn_activation activation, float *a,
                               void *workspace, size_t workspace_bytes);
pn_status pn_dense_backward_f32(size_t n_rows, size_t n_in, size_t n_out, const float *x, const float *weight,
                                const float *z, const float *a, const float *grad_a, pn_activation activation,
                                float *grad_x, float *grad_weight, float *grad_bias,
                                void *workspace, size_t workspace_bytes);

#if defined(PN_EXPORT) && defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
