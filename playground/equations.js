/* The panel that shows the equation of a neuron or of a weight, with the numbers of the step that comes next. */
"use strict";

const SHOWN_TERMS = 12;

/** An element; attributes that are functions listen to events. */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== ""));
  return element;
}

/** A number to four digits, with a minus sign. */
function shown(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text =
    size >= 1e-4 && size < 1e5
      ? String(Number(value.toPrecision(4)))
      : value
          .toExponential(2)
          .replace(/e([+-])(\d+)/, (_, sign, power) => `·10${superscript((sign === "-" ? "⁻" : "") + power)}`);
  return text.replace("-", "−");
}

const superscript = (text) => text.replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]);

const inBrackets = (value) => (value < 0 ? `(${shown(value)})` : shown(value));

/** A line of text and of elements between which there is nothing. */
const line = (...parts) => el("p", { class: "equation" }, ...parts);

/** A number to nine digits, for a change that is small. */
const precise = (number) => String(Number(number.toPrecision(9))).replace(/-/g, "−");

const value = (number) =>
  el("span", { class: number < 0 ? "number negative" : "number positive", title: String(number) }, shown(number));

/** Terms with plus signs; those beyond SHOWN_TERMS are only counted. */
function sum(terms) {
  const parts = terms.slice(0, SHOWN_TERMS).flatMap((term, i) => (i === 0 ? [term] : [" + ", term]));
  if (terms.length > SHOWN_TERMS) parts.push(` + … (${terms.length - SHOWN_TERMS} more)`);
  return parts;
}

class EquationPanel {
  /** `actions` has select(name), chooseRow(number) and setParameter(index, text). */
  constructor(element, actions) {
    this.element = element;
    this.actions = actions;
    this.isPressed = false; // what a finger is on is not replaced under it
    element.addEventListener("pointerdown", () => (this.isPressed = true));
    for (const type of ["pointerup", "pointercancel"]) window.addEventListener(type, () => (this.isPressed = false));
  }

  render(run) {
    if (this.isPressed) return;
    const { selected } = run.state,
      focused = document.activeElement?.dataset?.key;
    if (selected === "" || run.train.n === 0) {
      this.element.replaceChildren(
        el(
          "p",
          {},
          selected === ""
            ? "Choose a neuron or a line of the network: its equation stands here, with the numbers of the next step."
            : "There are no training rows yet.",
        ),
      );
      return;
    }
    const numbers = run.numbers(),
      [k, ...place] = selected.slice(1).split(".").map(Number);
    Object.assign(this, {
      run,
      numbers,
      sizes: layerSizes(run.state),
      row: Math.min(run.state.row, numbers.rows.length - 1),
    });
    this.element.replaceChildren(...(selected[0] === "n" ? this.neuron(k, ...place) : this.weight(k, ...place)));
    if (focused) this.element.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  // ---- What things are called, and their numbers in the chosen row ----

  isOutput = (k) => k === this.sizes.length - 2;

  nameOf = (k, j) => this.titleOf(this.run, k, j);

  titleOf({ state }, k, j) {
    if (k < 0) return `input ${FEATURES[state.features[j]].label}`;
    return k === state.hidden.length ? "the output" : `layer ${k + 1}, neuron ${j + 1}`;
  }

  output(k, j, row = this.row) {
    return k < 0 ? this.numbers.x[row * this.sizes[0] + j] : this.numbers.layers[k].a[row * this.sizes[k + 1] + j];
  }

  gradZ(k, j, row = this.row) {
    return this.numbers.layers[k].gradZ[row * this.sizes[k + 1] + j];
  }

  weightOf = (k, i, j) => this.run.network.layers[k].weight[i * this.sizes[k + 1] + j];

  /** Numbers that lead to the equation that they come from. */
  link(name, number, title) {
    return el(
      "button",
      {
        type: "button",
        class: `link ${number < 0 ? "negative" : "positive"}`,
        "data-key": name + title,
        title: `${title}: ${number}`,
        "aria-label": `${inBrackets(number)}, ${title}`,
        click: () => this.actions.select(name),
      },
      inBrackets(number),
    );
  }

  weightLink = (k, i, j) =>
    this.link(
      `w${k}.${i}.${j}`,
      this.weightOf(k, i, j),
      `the weight from ${this.nameOf(k - 1, i)} to ${this.nameOf(k, j)}`,
    );

  outputLink(k, j) {
    const number = this.output(k, j);
    if (k < 0) return el("span", { class: "number", title: `${this.nameOf(k, j)}: ${number}` }, inBrackets(number));
    return this.link(`n${k}.${j}`, number, `the output a of ${this.nameOf(k, j)}`);
  }

  sourceLine([file, text], what) {
    return el("p", { class: "source" }, `${what}: `, el("code", {}, text), " in ", el("span", { class: "file" }, file));
  }

  rowChooser() {
    const { numbers, row } = this,
      label = `row ${row + 1} of the ${numbers.rows.length} of the next step`;
    const button = (text, to, title) => {
      const isThere = to >= 0 && to < numbers.rows.length;
      return el(
        "button",
        {
          type: "button",
          "data-key": title,
          "aria-label": title,
          ...(isThere ? {} : { disabled: "" }),
          click: () => this.actions.chooseRow(to),
        },
        text,
      );
    };
    const [x1, x2, y] = this.run.train.points[numbers.rows[row]];
    return el(
      "p",
      { class: "row" },
      button("◀", row - 1, "the row before"),
      ` ${label} `,
      button("▶", row + 1, "the row after"),
      ` x₁ = ${shown(x1)}, x₂ = ${shown(x2)}, target y = ${shown(y)}`,
    );
  }

  // ---- A neuron ----

  neuron(k, j) {
    const { sizes, run } = this,
      activation = this.isOutput(k) ? run.state.output : run.state.activation;
    const f = ACTIVATION_EQUATIONS[activation],
      at = this.row * sizes[k + 1] + j,
      z = this.numbers.layers[k].z[at],
      a = this.numbers.layers[k].a[at];
    const inputs = Array.from({ length: sizes[k] }, (_, i) => i),
      bias = run.network.layers[k].bias[j];
    const name = this.nameOf(k, j);
    return [
      el("h3", {}, `${name[0].toUpperCase()}${name.slice(1)}: a = f(z), f is ${activation}`),
      this.rowChooser(),
      el("h4", {}, "Forward"),
      line("z = Σ weight · input + bias"),
      line(
        "z = ",
        ...inputs.flatMap((i) => [this.weightLink(k, i, j), "·", this.outputLink(k - 1, i), " + "]),
        value(bias),
        " = ",
        value(z),
      ),
      line(`a = ${f.f} = `, value(a)),
      this.sourceLine(LINES.forward, "In C, the sum"),
      this.sourceLine(f.c[0], "and f"),
      el("h4", {}, "Backward"),
      ...(this.isOutput(k) ? this.outputGradient(k, j, f, z, a) : this.hiddenGradient(k, j, f, z, a)),
      el("h4", {}, "The bias in this step"),
      line(
        "∂L/∂b = Σ over the rows of ∂L/∂z = ",
        ...sum(this.numbers.rows.map((_, row) => inBrackets(this.gradZ(k, j, row)))),
        " = ",
        value(this.numbers.layers[k].gradBias[j]),
      ),
      this.sourceLine(LINES.bias, "In C"),
      ...this.update("b", bias, this.numbers.layers[k].gradBias[j], this.indexOf(k, sizes[k], j)),
    ];
  }

  hiddenGradient(k, j, f, z, a) {
    const next = Array.from({ length: this.sizes[k + 2] }, (_, n) => n),
      at = this.row * this.sizes[k + 1] + j;
    return [
      line("∂L/∂a = Σ weight · ∂L/∂z, over the neurons that take a"),
      line(
        "∂L/∂a = ",
        ...sum(
          next.map((n) =>
            el(
              "span",
              {},
              this.weightLink(k + 1, j, n),
              "·",
              this.link(`n${k + 1}.${n}`, this.gradZ(k + 1, n), `∂L/∂z of ${this.nameOf(k + 1, n)}`),
            ),
          ),
        ),
        " = ",
        value(this.numbers.layers[k].gradA[at]),
      ),
      line(`f′(z) = ${f.slope} = `, value(f.derivative(z, a))),
      line("∂L/∂z = ∂L/∂a · f′(z) = ", value(this.gradZ(k, j))),
      this.sourceLine(LINES.backward, "In C, the product"),
      this.sourceLine(f.c[1], "and f′"),
    ];
  }

  outputGradient(k, j, f, z, a) {
    const loss = LOSS_EQUATIONS[this.run.state.loss],
      m = this.numbers.rows.length,
      y = this.numbers.y[this.row];
    const lines = [line(`L = ${loss.f}, over the m = ${m} rows of the step`)];
    if (loss.needs) {
      lines.push(line(`∂L/∂z = ${loss.slope} = (${shown(a)} − ${shown(y)}) / ${m} = `, value(this.gradZ(k, j))));
      lines.push(line("The factor f′(z) of the sigmoid cancels one of ∂L/∂a."));
      return [...lines, this.sourceLine(loss.c, "In C")];
    }
    lines.push(line(`∂L/∂a = ${loss.slope} = `, value(loss.derivative(a - y, m)), `, a − y = ${shown(a - y)}`));
    lines.push(line(`f′(z) = ${f.slope} = `, value(f.derivative(z, a))));
    lines.push(line("∂L/∂z = ∂L/∂a · f′(z) = ", value(this.gradZ(k, j))));
    return [...lines, this.sourceLine(loss.c, "In C, the loss"), this.sourceLine(f.c[1], "and f′")];
  }

  // ---- A weight ----

  weight(k, i, j) {
    const w = this.weightOf(k, i, j),
      a = this.output(k - 1, i),
      { regularization, strength } = this.run.state;
    const gradient = this.numbers.layers[k].dataGradWeight[i * this.sizes[k + 1] + j];
    const terms = this.numbers.rows.map(
      (_, row) => `${inBrackets(this.output(k - 1, i, row))}·${inBrackets(this.gradZ(k, j, row))}`,
    );
    const penalty = { none: 0, l1: strength * Math.sign(w), l2: strength * w }[regularization];
    const lines = [
      el("h3", {}, `The weight w from ${this.nameOf(k - 1, i)} to ${this.nameOf(k, j)}`),
      this.rowChooser(),
      el("h4", {}, "Forward"),
      line(
        "It adds w · input = ",
        value(w),
        "·",
        this.outputLink(k - 1, i),
        " = ",
        value(w * a),
        " to the z of ",
        el(
          "button",
          { type: "button", class: "link", "data-key": "target", click: () => this.actions.select(`n${k}.${j}`) },
          this.nameOf(k, j),
        ),
        ".",
      ),
      this.sourceLine(LINES.forward, "In C"),
      el("h4", {}, "Backward"),
      line("∂L/∂w = Σ over the rows of input · ∂L/∂z = ", ...sum(terms), " = ", value(gradient)),
      line(
        "In the chosen row ∂L/∂z is ",
        this.link(`n${k}.${j}`, this.gradZ(k, j), `∂L/∂z of ${this.nameOf(k, j)}`),
        ".",
      ),
      this.sourceLine(LINES.weight, "In C, as a product of matrices"),
    ];
    if (regularization !== "none") {
      lines.push(
        line(
          `${regularization.toUpperCase()} adds ${strength} · ${regularization === "l1" ? "sign(w)" : "w"} = `,
          value(penalty),
          ": g = ",
          value(gradient + penalty),
        ),
      );
      lines.push(this.sourceLine(LINES.penalty, "In C"));
    }
    return [
      ...lines,
      el("h4", {}, "The weight in this step"),
      ...this.update("w", w, gradient + penalty, this.indexOf(k, i, j)),
    ];
  }

  /** The place among all parameters; i is the number of inputs for a bias. */
  indexOf(k, i, j) {
    const before = this.sizes.slice(0, k).reduce((total, n, layer) => total + (n + 1) * this.sizes[layer + 1], 0);
    return before + i * this.sizes[k + 1] + j;
  }

  /** The step of the optimizer, and a field to change the number by hand. */
  update(letter, w, g, index) {
    const optimizer = OPTIMIZER_EQUATIONS[this.run.state.optimizer],
      { rate, t } = this.numbers;
    const { w: after, lines } = optimizer.step(w, g, this.run.slots(index), rate, t),
      rename = (text) => (letter === "b" ? text.replace(/\bw\b/g, "b") : text);
    const input = el("input", {
      type: "number",
      step: "any",
      value: String(w),
      "data-key": "edit",
      "aria-label": `new value of ${letter}`,
    });
    const hasPenalty = letter === "w" && this.run.state.regularization !== "none";
    const isTaken = letter === "b" && optimizer.kernel.momentum > 0; // the letter b, by what momentum keeps
    const rule = isTaken ? "bias ← bias − rate · what stands above" : rename(optimizer.rule);
    const inNumbers = lines.length === 0 ? ` = ${precise(w)} − ${shown(rate)} · ${inBrackets(g)}` : "";
    return [
      line(`g = ∂L/∂${letter}${hasPenalty ? " and the penalty" : ""} = `, value(g), `, rate = ${shown(rate)}`),
      ...lines.map(([text, number]) => line(`${text} = `, value(number))),
      line(`${rule}${inNumbers} = `, el("strong", { "data-after": String(after) }, precise(after))),
      this.sourceLine(optimizer.line, "In C"),
      el(
        "form",
        {
          class: "edit",
          submit: (event) => {
            event.preventDefault();
            this.actions.setParameter(index, input.value);
          },
        },
        el("label", {}, `${letter} = `, input),
        el("button", { type: "submit", "data-key": "set" }, "Set"),
        " begins anew, with the network as it is and this number in it.",
      ),
    ];
  }
}
