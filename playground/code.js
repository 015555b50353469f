/* The same network as a program in Python and in C. Both print the losses that the page shows. */
"use strict";

/** Epochs of the program: those that the page has made, or 100 before its first. */
const epochsOf = (run) => run.epoch || 100;

function epochNote(run) {
  if (run.epoch === 0) return "the page has not finished an epoch yet";
  return run.steps % run.stepsPerEpoch === 0
    ? "as many as the page has made"
    : `the page has made ${run.steps % run.stepsPerEpoch} steps more`;
}

/** Texts with commas between them, in lines of at most 100 characters. */
function wrapped(texts, indent) {
  const lines = [];
  for (const text of texts) {
    if (lines.length > 0 && lines.at(-1).length + text.length + 2 <= 100 - indent.length)
      lines[lines.length - 1] += ` ${text},`;
    else lines.push(`${text},`);
  }
  return lines.map((text) => indent + text).join("\n");
}

// ---- Python ----

function pythonData({ state, points }) {
  if (state.data === "own") {
    const rows = wrapped(
      points.map((point) => `[${point.join(", ")}]`),
      "    ",
    );
    return ["points = np.array([", rows, "])", "p, y = points[:, :2], points[:, 2]", "i = np.arange(len(y))"];
  }
  const set = DATA_SETS[state.data],
    noise = state.noise / 100,
    isNoisy = noise > 0;
  const normal = isNoisy || state.data === "blobs" ? PYTHON_NORMAL : [];
  const lines = [
    `n = ${points.length}`,
    "i = np.arange(n)",
    `u = np.random.default_rng(${state.dataSeed}).random((n, 4))`,
    ...normal,
    ...set.python,
  ];
  lines.push(isNoisy && !set.isRegression ? `p = np.round(p + ${noise} * g, 4)` : "p = np.round(p, 4)");
  if (set.isRegression) lines.push(isNoisy ? `y = np.round(y + ${noise} * g[:, 0], 4)` : "y = np.round(y, 4)");
  return lines;
}

function pythonNetwork({ state, train, epoch }) {
  const sizes = layerSizes(state),
    penalty = state.regularization === "none" ? "" : `, ${state.regularization}=${state.strength}`;
  const layers = sizes
    .slice(1)
    .map((nOut, k) => `    pn.Dense(${sizes[k]}, ${nOut}, "${activationOf(state, k)}"${penalty}),`);
  const init = state.start.length > 0 ? ["start = [", wrapped(state.start.map(String), "    "), "]"] : [];
  const optimizer = OPTIMIZER_EQUATIONS[state.optimizer].python.replace("RATE", rateAt(state, 0)),
    start = state.start.length > 0 ? "start" : `"${state.init}"`;
  return [
    ...init,
    `net = pn.Network([`,
    ...layers,
    `], loss="${state.loss}", init=${start}, seed=${state.seed}, optimizer=${optimizer})`,
  ];
}

/** An expression for a rate that has been changed on the way: of the step's number. */
const pythonRates = (rates) =>
  rates
    .slice(1)
    .reduceRight((rest, [from], i) => `${rates[i][1]} if step < ${from} else ${rest}`, String(rates.at(-1)[1]));

function pythonText(run) {
  const { state } = run,
    names = state.features.map((name) => FEATURES[name].python).join(", ");
  const batch = run.batchSize < run.train.n ? `, batch_size=${run.batchSize}` : "";
  const rates = state.rates.length > 1 ? `, learning_rate=lambda step: ${pythonRates(state.rates)}` : "";
  return [
    "import numpy as np",
    "import plainnet as pn",
    "",
    `# The data: ${DATA_SETS[state.data].title}.`,
    ...pythonData(run),
    "x1, x2 = p.T",
    `x = np.column_stack([${names}])`,
    `is_test = (i + 1) * ${state.test} // 100 > i * ${state.test} // 100`,
    "",
    ...pythonNetwork(run),
    "",
    `net.fit(x[~is_test], y[~is_test], epochs=${epochsOf(run)}${batch}${rates})  # ${epochNote(run)}`,
    'print("training loss", net.evaluate(x[~is_test], y[~is_test]))',
    ...(run.test.n > 0 ? ['print("test loss", net.evaluate(x[is_test], y[is_test]))'] : []),
    "",
  ].join("\n");
}

// ---- C ----

function cRows(name, { n, points }) {
  const size = name.toUpperCase();
  return [
    `#define N_${size} ${n}`,
    `static const double ${name}[N_${size}][3] = { /* x1, x2, y */`,
    wrapped(
      points.map((point) => `{${point.join(", ")}}`),
      "    ",
    ),
    "};",
  ];
}

const cName = (name) => `PN_${name.toUpperCase()}`;

function cNetwork(run) {
  const { state } = run,
    sizes = layerSizes(state),
    hasPenalty = state.regularization !== "none";
  const penalty = `.${state.regularization} = ${state.strength}`;
  const options = hasPenalty
    ? [`static const pn_layer_options options = {${penalty}, .weight_rate = 1, .bias_rate = 1};`]
    : [];
  const layers = sizes
    .slice(1)
    .map(
      (nOut, k) =>
        `    {${sizes[k]}, ${nOut}, ${cName(activationOf(state, k))}, 1, ${hasPenalty ? "&options" : "NULL"}},`,
    );
  const parameter = state.loss === "huber" ? ", .loss_parameter = 1" : "";
  return [
    ...options,
    "static const pn_layer layers[] = { /* n_in, n_out, activation, has_bias, options */",
    ...layers,
    "};",
    "static const pn_network network = {",
    `    .n_layers = ${sizes.length - 1}, .layers = layers, .loss = ${cName(state.loss)}${parameter},`,
    "};",
    "",
    `/* Weight[n_in][n_out], then bias[n_out], of each layer: where the page began. */`,
    "static double parameters[] = {",
    wrapped(Array.from(run.startParameters, String), "    "),
    "};",
  ];
}

const C_HELPERS = [
  "static void check(pn_status status)",
  "{",
  "    if (status != PN_OK) {",
  '        fprintf(stderr, "%s\\n", pn_status_message(status));',
  "        exit(EXIT_FAILURE);",
  "    }",
  "}",
  "",
  "static void *allocate(size_t n_bytes)",
  "{",
  "    void *space = calloc(n_bytes + 1, 1);",
  "    if (space == NULL)",
  "        exit(EXIT_FAILURE);",
  "    return space;",
  "}",
  "",
  "static double loss_of(size_t n, double x[][N_FEATURES], const double *y)",
  "{",
  "    size_t n_bytes;",
  "    double loss;",
  "    check(pn_gradient_workspace_f64(n, &network, &n_bytes));",
  "    void *workspace = allocate(n_bytes);",
  "    check(pn_loss_f64(n, &network, parameters, x[0], y, NULL, &loss, NULL, workspace, n_bytes));",
  "    free(workspace);",
  "    return loss;",
  "}",
  "",
];

function cTraining(run) {
  const { state } = run,
    isShuffled = run.batchSize < run.train.n,
    hasRates = state.rates.length > 1;
  const optimizer = OPTIMIZER_EQUATIONS[state.optimizer].c;
  return [
    "    const pn_training training = {",
    `        .epochs = ${epochsOf(run)}, /* ${epochNote(run)} */`,
    `        .batch_size = ${run.batchSize}, .learning_rate = ${rateAt(state, 0)},`,
    `        .shuffle = ${Number(isShuffled)}, .seed = UINT64_C(${run.network.shuffleSeed}),`,
    `        .optimizer = {${optimizer}},${hasRates ? " .learning_rates = rates," : ""}`,
    "    };",
  ];
}

function cRates(run) {
  if (run.state.rates.length === 1) return [];
  const n = epochsOf(run) * run.stepsPerEpoch;
  const choice = run.state.rates
    .slice(1)
    .reduceRight(
      (rest, [from], i) => `step < ${from} ? ${run.state.rates[i][1]} : ${rest}`,
      String(run.state.rates.at(-1)[1]),
    );
  return [
    `    static double rates[${n}];`,
    `    for (size_t step = 0; step < ${n}; step++)`,
    `        rates[step] = ${choice};`,
  ];
}

function cText(run) {
  const { state } = run,
    hasTest = run.test.n > 0,
    sizes = layerSizes(state);
  const fill = (name) => [
    `    static double x_${name}[N_${name.toUpperCase()}][N_FEATURES], y_${name}[N_${name.toUpperCase()}];`,
    `    prepare(N_${name.toUpperCase()}, ${name}, x_${name}, y_${name});`,
  ];
  return [
    "/* cc -O3 -Icsrc network.c csrc/(every .c file) -lm -lpthread -o network */",
    "#include <math.h>",
    "#include <stdint.h>",
    "#include <stdio.h>",
    "#include <stdlib.h>",
    "",
    '#include "plainnet.h"',
    "",
    ...cRows("train", run.train),
    ...(hasTest ? cRows("test", run.test) : []),
    "",
    `enum { N_FEATURES = ${sizes[0]} };`,
    "",
    ...cNetwork(run),
    "",
    ...C_HELPERS,
    "static void prepare(size_t n, const double points[][3], double x[][N_FEATURES], double *y)",
    "{",
    "    for (size_t i = 0; i < n; i++) {",
    "        const double x1 = points[i][0], x2 = points[i][1];",
    ...state.features.map((name, k) => `        x[i][${k}] = ${FEATURES[name].c};`),
    "        (void)x1, (void)x2;",
    "        y[i] = points[i][2];",
    "    }",
    "}",
    "",
    "int main(void)",
    "{",
    ...fill("train"),
    ...(hasTest ? fill("test") : []),
    ...cRates(run),
    ...cTraining(run),
    "    size_t n_bytes, n_state;",
    "    check(pn_train_workspace_f64(N_TRAIN, &network, &training, &n_bytes));",
    "    check(pn_optimizer_state(&network, &training.optimizer, &n_state));",
    "    void *workspace = allocate(n_bytes);",
    "    double *kept = n_state > 0 ? allocate(n_state * sizeof *kept) : NULL;",
    "    pn_progress progress = {0};",
    "    check(pn_train_f64(N_TRAIN, &network, &training, parameters, kept, x_train[0], y_train, NULL, 0, NULL,",
    "                       &progress, workspace, n_bytes));",
    "    free(workspace);",
    "    free(kept);",
    '    printf("training loss %.17g\\n", loss_of(N_TRAIN, x_train, y_train));',
    ...(hasTest ? ['    printf("test loss %.17g\\n", loss_of(N_TEST, x_test, y_test));'] : []),
    "    return EXIT_SUCCESS;",
    "}",
    "",
  ].join("\n");
}
