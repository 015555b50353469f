/* The page: controls, the loop of frames, the address. */
"use strict";

const byId = (id) => document.getElementById(id);

/** Milliseconds of a frame that training may take; what is drawn needs the rest. */
const TRAINING_TIME = 6;

/** Changes of these keep the network and its steps. */
const KEEPS_RUN = ["speed", "showTest", "discrete", "selected", "row", "code", "hide"];

const TITLES = {
  speed: SPEEDS,
  activation: ACTIVATION_EQUATIONS,
  loss: LOSS_EQUATIONS,
  optimizer: OPTIMIZER_EQUATIONS,
  output: { sigmoid: 0, tanh: 0, identity: 0 },
  init: START_NAMES,
  regularization: REGULARIZATIONS,
};

class App {
  constructor(plainnet) {
    this.plainnet = plainnet;
    this.net = new NetworkPicture(byId("net"));
    this.surface = new SurfacePicture(byId("surface"));
    this.panel = new EquationPanel(byId("equation"), {
      select: (name) => this.change({ selected: name }),
      chooseRow: (row) => this.change({ row }),
      setParameter: (index, text) => this.setParameter(index, text),
    });
    this.isPlaying = false;
    this.crosshair = null;
    this.curvesAt = 0;
    this.pointed = null; // [layer, neuron] whose surface the large picture shows instead of the output's
    this.times = []; // of the last frames, in milliseconds, for whoever measures
    this.fillControls();
    this.listen();
    this.openAddress();
  }

  // ---- State ----

  /** Opens the state that the address has; its steps are made again. */
  openAddress() {
    const [state, problems] = stateFromText(location.hash.slice(1));
    this.pause();
    this.state = state;
    this.begin(state.steps);
    this.complain(
      problems.length > 0
        ? `In the address, this cannot be used; the defaults stand there:\n${problems.join("\n")}`
        : "",
    );
  }

  /** Sets some fields of the state. Most of them begin the training anew, from the same seed. */
  change(fields) {
    Object.assign(this.state, fields);
    const notes = settle(this.state);
    if (Object.keys(fields).every((name) => KEEPS_RUN.includes(name))) {
      if ("showTest" in fields) this.layout();
      this.showAll();
      return;
    }
    if (!("start" in fields)) this.state.start = [];
    this.state.rates = [[0, this.state.rates.at(-1)[1]]];
    this.begin(0);
    this.complain(notes.join("\n"));
  }

  changeRate(rate) {
    const { steps } = this.run,
      { rates } = this.state;
    this.state.rates = steps === 0 ? [[0, rate]] : [...rates.filter(([from]) => from < steps), [steps, rate]];
    this.run.numbersAt = null;
    this.showAll();
  }

  setParameter(index, text) {
    try {
      const start = Array.from(this.run.network.parameters);
      start[index] = PARAMETER.read(text);
      this.change({ start });
    } catch (error) {
      this.complain(`The new value: ${error.message}, not ${text || "nothing"}.`);
    }
  }

  /** A new run of the state, of which `goal` steps are made at once. */
  begin(goal) {
    const run = new Run(this.plainnet, this.state);
    this.run?.free();
    this.run = run;
    this.goal = run.train.n > 0 ? goal : 0;
    this.selectWhatIsThere();
    this.fillFields();
    this.layout();
    this.showAll();
    this.request();
  }

  selectWhatIsThere() {
    const [k, i, j] = this.state.selected.slice(1).split(".").map(Number),
      sizes = layerSizes(this.state);
    const isThere = this.state.selected[0] === "n" ? i < sizes[k + 1] : i < sizes[k] && j < sizes[k + 1];
    if (!isThere) this.state.selected = "";
  }

  writeAddress() {
    if (this.run.steps < this.goal) return;
    this.state.steps = this.run.steps;
    const text = stateToText(this.state);
    if (location.hash.slice(1) !== text) {
      this.written = text;
      history.replaceState(null, "", `#${text}`);
    }
  }

  complain(text) {
    byId("problem").textContent = text;
    byId("problem").hidden = text === "";
  }

  // ---- Frames ----

  request() {
    this.frame ??= requestAnimationFrame((time) => this.makeFrame(time));
  }

  makeFrame(time) {
    this.frame = null;
    const begin = performance.now(),
      isBehind = this.run.steps < this.goal;
    try {
      if (isBehind) this.train(begin + 2 * TRAINING_TIME, this.goal - this.run.steps);
      else if (this.isPlaying) this.play(time, begin + TRAINING_TIME);
    } catch (error) {
      this.pause();
      this.goal = 0;
      this.complain(
        `The training stopped at step ${this.run.steps}: ${error.message} A smaller learning rate may help.`,
      );
    }
    this.showRun();
    if (time - (this.shownAt ?? 0) > 250) {
      this.shownAt = time;
      this.showSlowly();
    }
    if (this.isPlaying || this.run.steps < this.goal) this.request();
    else this.showAll();
    this.times.push(performance.now() - begin);
    this.times.splice(0, this.times.length - 600);
  }

  /** Makes steps until so many are made, or until that time. */
  train(until, steps) {
    const goal = this.run.steps + steps;
    do this.run.advance(Math.min(goal - this.run.steps, 50));
    while (this.run.steps < goal && performance.now() < until);
  }

  play(time, until) {
    const { speed } = this.state,
      { run } = this,
      left = run.stepsPerEpoch - (run.steps % run.stepsPerEpoch);
    if (speed === "slow" && time - (this.steppedAt ?? 0) < 1000) return;
    this.steppedAt = time;
    this.train(until, { slow: 1, step: 1, epoch: left, fast: Infinity }[speed]);
  }

  togglePlaying() {
    if (this.isPlaying) {
      this.pause();
      return;
    }
    this.isPlaying = true;
    this.complain("");
    byId("run").textContent = "❚❚ Pause";
    this.announce("Running");
    this.request();
  }

  pause() {
    byId("run").textContent = "▶ Run";
    if (!this.isPlaying) return;
    this.isPlaying = false;
    this.announce(this.summary());
    this.request();
  }

  stepBy(steps) {
    this.pause();
    try {
      this.train(Infinity, steps);
    } catch (error) {
      this.complain(`No step was made: ${error.message} A smaller learning rate may help.`);
    }
    this.showAll();
    this.announce(this.summary());
  }

  // ---- What is shown ----

  layout() {
    this.theme = readTheme();
    this.net.layout(this.state, byId("picture").clientWidth, this.theme);
    this.surface.layout(this.run, byId("surface").parentElement.clientWidth - 22, this.theme);
    this.curveWidth = byId("curves").clientWidth;
    this.placeButtons();
  }

  showAll() {
    this.showRun();
    this.showSlowly();
    this.writeAddress();
  }

  /** What changes in every frame. */
  showRun() {
    const { run, state } = this,
      { train, test } = run.now;
    this.net.draw(run, state.selected);
    const rows = run.train.n > 0 && !this.isPlaying ? run.numbers().rows : [];
    this.surface.draw(
      run,
      this.pointed ?? [state.hidden.length, 0],
      rows.map((row) => run.train.points[row]),
      Math.min(state.row, rows.length - 1),
      this.crosshair,
    );
    byId("epochNumber").textContent = run.epoch;
    byId("stepNumber").textContent = run.steps < this.goal ? `${run.steps} of ${this.goal}` : run.steps;
    byId("trainLoss").textContent = Number.isFinite(train) ? train.toFixed(4) : "–";
    byId("testLoss").textContent = Number.isFinite(test) ? test.toFixed(4) : "–";
    if (!this.isPlaying || performance.now() - this.curvesAt > 100) {
      this.curvesAt = performance.now(); // ten times a second: a frame moves them by less than a pixel
      drawCurves(byId("curves"), run, this.curveWidth, 130, this.theme);
    }
    for (const id of ["step", "epoch", "run"]) byId(id).disabled = run.train.n === 0 || run.steps < this.goal;
  }

  /** What changes a few times a second. */
  showSlowly() {
    const { run, state } = this,
      isClass = !DATA_SETS[state.data].isRegression;
    byId("rightBox").hidden = !isClass;
    if (isClass && run.train.n > 0)
      byId("right").textContent =
        [run.train, run.test]
          .filter(({ n }) => n > 0)
          .map((rows) => percent(run.shareRight(rows)))
          .join(" / ") + " %";
    this.panel.render(run);
    if (!this.isPlaying || this.codeShown !== state.code)
      byId("code").textContent = { python: pythonText, c: cText }[state.code](run);
    this.codeShown = state.code;
    this.describePictures();
    if (this.isPlaying && performance.now() - (this.wroteAt ?? 0) > 1000) {
      this.wroteAt = performance.now(); // browsers allow some three changes a second
      this.writeAddress();
    }
    if (this.isPlaying && performance.now() - this.announcedAt > 5000) this.announce(this.summary());
  }

  describePictures() {
    const { run, state } = this,
      set = DATA_SETS[state.data];
    const what = set.isRegression ? "from orange, -1, to blue, 1" : "orange is class 0, blue is class 1";
    const how = state.data === "own" ? " The arrow keys move a cross, Enter clicks there." : "";
    byId("surface").setAttribute(
      "aria-label",
      `What the network says about every place: ${what}. Data: ${set.title}, ${run.points.length} points.${how}`,
    );
    byId("curves").setAttribute("aria-label", `The loss after each epoch. ${this.summary()}`);
    byId("scaleLow").textContent = set.isRegression ? "−1" : "0";
    const who = this.pointed ? this.panel.titleOf(run, ...this.pointed) : "the network";
    byId("legend").textContent =
      `What ${who} says, for x₁ and x₂ from −${EDGE} to ${EDGE}. Discs are training data, diamonds test data, ` +
      `those with a ring the next step's.${state.data === "own" ? " Click to add points." : ""}`;
    this.net.buttons.forEach(({ button, k, j }) => {
      const bias = run.network.layers[k].bias[j],
        name = k === state.hidden.length ? "The output" : `Layer ${k + 1}, neuron ${j + 1}`;
      button.setAttribute("aria-label", `${name}, bias ${shown(bias)}`);
      button.setAttribute("aria-pressed", String(state.selected === `n${k}.${j}`));
    });
  }

  summary() {
    const { epoch, train, test } = this.run.now;
    const ofTest = this.run.test.n > 0 ? `, test loss ${test.toFixed(4)}` : "";
    return `Epoch ${Math.floor(epoch)}, step ${this.run.steps}: training loss ${train.toFixed(4)}${ofTest}.`;
  }

  announce(text) {
    byId("live").textContent = text;
    this.announcedAt = performance.now();
  }

  // ---- Buttons in the picture of the network ----

  placeButtons() {
    const { net, state } = this,
      focused = document.activeElement?.dataset?.key;
    byId("layerCount").textContent = `${state.hidden.length} hidden layer${state.hidden.length === 1 ? "" : "s"}`;
    byId("fewerLayers").disabled = state.hidden.length === 0;
    byId("moreLayers").disabled = state.hidden.length === MAX_LAYERS;
    byId("columns").replaceChildren(
      ...state.hidden.map((n, k) => {
        const button = (text, to, title) =>
          el(
            "button",
            {
              type: "button",
              "data-key": title,
              "aria-label": title,
              ...(to < 1 || to > MAX_NEURONS ? { disabled: "" } : {}),
              click: () => this.change({ hidden: state.hidden.with(k, to) }),
            },
            text,
          );
        const column = el(
          "div",
          {},
          button("+", n + 1, `one neuron more in layer ${k + 1}`),
          button("−", n - 1, `one neuron fewer in layer ${k + 1}`),
          el("br"),
          String(n),
        );
        column.classList.toggle("narrow", net.x[1] - net.x[0] < 60);
        column.style.left = `${net.x[k + 1]}px`;
        return column;
      }),
    );
    net.buttons = net.y.slice(1).flatMap((column, k) => column.map((y, j) => this.neuronButton(k, j, net.x[k + 1], y)));
    const labels = state.features.map((name, i) =>
      this.textAt(FEATURES[name].label, net.x[0], net.y[0][i] - net.size / 2 - 7),
    );
    const output = this.textAt("out", net.x.at(-1), net.y.at(-1)[0] - net.size / 2 - 9);
    byId("neurons").replaceChildren(...net.buttons.map(({ button }) => button), ...labels, output);
    (net.buttons.find(({ name }) => name === state.selected) ?? net.buttons[0]).button.tabIndex = 0;
    if (focused) byId("picture").querySelector(`[data-key="${focused}"]`)?.focus();
  }

  textAt(text, x, y) {
    const span = el("span", { "aria-hidden": "true" }, text);
    Object.assign(span.style, { left: `${Math.max(x, 4 + 3.2 * text.length)}px`, top: `${y}px` });
    return span;
  }

  /** One of them is in the order of the tab key; the arrow keys lead from there to the others. */
  neuronButton(k, j, x, y) {
    const name = `n${k}.${j}`;
    const button = el("button", {
      type: "button",
      tabindex: "-1",
      "data-key": name,
      click: () => this.change({ selected: name }),
      pointerenter: () => this.point([k, j]),
      pointerleave: () => this.point(null),
      focus: () => this.point([k, j]),
      blur: () => this.point(null),
      keydown: (event) => this.moveFocus(event, k, j),
    });
    Object.assign(button.style, {
      left: `${x}px`,
      top: `${y}px`,
      width: `${this.net.size + 4}px`,
      height: `${this.net.size + 4}px`,
    });
    return { button, k, j, name };
  }

  /** Shows that neuron's surface in the large picture; null: the output's. */
  point(place) {
    if (String(place) === String(this.pointed)) return;
    this.pointed = place;
    this.describePictures();
    this.showRun();
  }

  moveFocus(event, k, j) {
    const [dk, dj] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [
      0, 0,
    ];
    const to = layerSizes(this.state)[k + dk + 1];
    if ((dk === 0 && dj === 0) || k + dk < 0 || to === undefined) return;
    event.preventDefault();
    const name = `n${k + dk}.${Math.max(0, Math.min(to - 1, j + dj))}`;
    for (const { button, name: other } of this.net.buttons) {
      button.tabIndex = other === name ? 0 : -1;
      if (other === name) button.focus();
    }
  }

  // ---- Own points ----

  /** A click into the surface, at a place in its coordinates. */
  clickAt(x1, x2) {
    const { state, run } = this;
    if (state.data === "own") {
      this.brush(Math.round(x1 * 100) / 100, Math.round(x2 * 100) / 100);
    } else if (run.train.n > 0) {
      const points = run.numbers().rows.map((row) => run.train.points[row]);
      this.change({ row: nearest(points, x1, x2), selected: state.selected || `n${state.hidden.length}.0` });
    }
  }

  brush(x1, x2) {
    const { points } = this.state,
      value = document.querySelector("[name=brush]:checked").value;
    if (value === "erase")
      this.change({ points: points.length > 0 ? points.toSpliced(nearest(points, x1, x2), 1) : [] });
    else if (points.length < MAX_POINTS) this.change({ points: [...points, [x1, x2, Number(value)]] });
    else this.complain(`There are ${MAX_POINTS} points already, which is as many as there can be.`);
    this.announce(`${this.state.points.length} points`);
  }

  moveCrosshair(event) {
    const step = event.shiftKey ? 0.25 : 0.05,
      move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    if (move) {
      this.crosshair = (this.crosshair ?? [0, 0]).map((at, i) => Math.max(-EDGE, Math.min(EDGE, at + move[i])));
      this.announce(this.crosshair.map((at) => at.toFixed(2)).join(", "));
    } else if ((event.key === "Enter" || event.key === " ") && this.crosshair) {
      this.clickAt(...this.crosshair);
    } else {
      return;
    }
    event.preventDefault();
    this.showRun();
  }

  // ---- Controls ----

  fillControls() {
    for (const select of document.querySelectorAll("select[data-field]")) {
      const table = TITLES[select.dataset.field];
      select.append(
        ...Object.entries(table).map(([name, entry]) =>
          el("option", { value: name }, entry.title ?? (typeof entry === "string" ? entry : name)),
        ),
      );
    }
    byId("rateList").append(...[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3].map((rate) => el("option", { value: rate })));
    byId("sets").append(
      ...Object.entries(DATA_SETS).map(([name, { title }]) =>
        el(
          "label",
          { class: "set" },
          el("input", { type: "radio", name: "set", value: name }),
          el("canvas", { "aria-hidden": "true" }),
          title,
        ),
      ),
    );
    byId("features").append(
      ...Object.entries(FEATURES).map(([name, { label }]) =>
        el("label", { class: "check" }, el("input", { type: "checkbox", name: "feature", value: name }), ` ${label}`),
      ),
    );
  }

  /** Shows the state in the controls. */
  fillFields() {
    const { state } = this;
    for (const field of document.querySelectorAll("[data-field]")) {
      if (field.type === "checkbox") field.checked = state[field.dataset.field];
      else field.value = state[field.dataset.field];
      if (field.type === "range") field.previousElementSibling.textContent = field.value;
    }
    byId("rate").value = state.rates.at(-1)[1];
    const isOff = {
      output: LOSS_EQUATIONS[state.loss].needs,
      n: state.data === "own" || state.data === "table",
      noise: state.data === "own",
      dataSeed: state.data === "own",
      strength: state.regularization === "none",
      batch: state.optimizer === "rprop",
    };
    for (const [name, off] of Object.entries(isOff))
      document.querySelector(`[data-field=${name}]`).disabled = Boolean(off);
    byId("newData").disabled = isOff.dataSeed;
    for (const input of document.querySelectorAll("[name=set], [name=code]"))
      input.checked = input.value === (input.name === "set" ? state.data : state.code);
    for (const input of document.querySelectorAll("[name=feature]"))
      input.checked = state.features.includes(input.value);
    byId("brushes").hidden = state.data !== "own";
    for (const part of Object.keys(PARTS)) document.querySelector(`.part-${part}`).hidden = state.hide.includes(part);
    this.drawThumbnails();
  }

  drawThumbnails() {
    const theme = readTheme();
    for (const input of document.querySelectorAll("[name=set]")) {
      const state = { ...this.state, data: input.value, n: 120 };
      drawThumbnail(
        input.nextElementSibling,
        makePoints(state, this.plainnet.random(this.state.dataSeed)),
        DATA_SETS[input.value].isRegression,
        theme,
      );
    }
  }

  /** What a control says, checked as what an address says. */
  readField(field) {
    const [, kind] = FIELDS[field.dataset.field];
    try {
      const value = kind.read(field.type === "checkbox" ? (field.checked ? "1" : "0") : field.value);
      this.complain("");
      this.change({ [field.dataset.field]: value });
    } catch (error) {
      this.complain(`${field.labels[0].innerText.trim()}: ${error.message}, not ${field.value || "nothing"}.`);
    }
  }

  readRate() {
    try {
      this.changeRate(RATE.read(byId("rate").value));
      this.complain("");
    } catch (error) {
      this.complain(`Learning rate: ${error.message}.`);
    }
  }

  /** A regression cannot have the log loss: it comes back with the next data set of classes. */
  chooseData(data) {
    const { loss, output } = this.state,
      wasRegression = DATA_SETS[this.state.data].isRegression;
    if (DATA_SETS[data].isRegression && !wasRegression) this.ofClasses = { loss, output };
    this.change({ data, ...(wasRegression && !DATA_SETS[data].isRegression ? this.ofClasses : {}) });
  }

  readFeatures(input) {
    const features = Array.from(document.querySelectorAll("[name=feature]:checked"), ({ value }) => value);
    if (features.length > 0) {
      this.change({ features });
    } else {
      input.checked = true;
      this.complain("The network needs one feature at least.");
    }
  }

  async copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      this.announce(`${what} copied`);
      this.complain("");
    } catch (error) {
      this.complain(`The browser does not let the page copy (${error.message}). ${what} to copy by hand:\n${text}`);
    }
  }

  listen() {
    const click = (id, action) => byId(id).addEventListener("click", action);
    click("run", () => this.togglePlaying());
    click("step", () => this.stepBy(1));
    click("epoch", () => this.stepBy(this.run.stepsPerEpoch - (this.run.steps % this.run.stepsPerEpoch)));
    click("reset", () => {
      this.pause();
      this.change({ start: [] });
      this.announce("Reset");
    });
    click("newData", () => this.change({ dataSeed: (this.state.dataSeed + 1) % 2 ** 32 }));
    click("newWeights", () => this.change({ seed: (this.state.seed + 1) % 2 ** 32 }));
    click("moreLayers", () => this.change({ hidden: [...this.state.hidden, this.state.hidden.at(-1) ?? 4] }));
    click("fewerLayers", () => this.change({ hidden: this.state.hidden.slice(0, -1) }));
    click("clear", () => this.change({ points: [] }));
    click("copy", () => this.copy(byId("code").textContent, "Program"));
    click("share", () => this.copy(location.href, "Link"));
    byId("rate").addEventListener("change", () => this.readRate());
    document.addEventListener("change", ({ target }) => {
      if (target.dataset.field) this.readField(target);
      else if (target.name === "set") this.chooseData(target.value);
      else if (target.name === "feature") this.readFeatures(target);
      else if (target.name === "code") this.change({ code: target.value });
    });
    for (const range of document.querySelectorAll("[type=range]"))
      range.addEventListener("input", () => (range.previousElementSibling.textContent = range.value));
    this.listenToPictures();
    window.addEventListener("hashchange", () => {
      if (location.hash.slice(1) !== this.written) this.openAddress();
    });
  }

  listenToPictures() {
    const net = byId("net"),
      surface = byId("surface");
    const place = (event) => [event.offsetX, event.offsetY];
    byId("picture").addEventListener("click", (event) => {
      const name = event.target === net || event.target.id === "neurons" ? this.net.weightAt(...place(event)) : null;
      if (name) this.change({ selected: name });
    });
    byId("picture").addEventListener("pointermove", (event) => {
      if (event.target !== net) return;
      const name = this.net.weightAt(...place(event)),
        input = this.net.inputAt(...place(event));
      this.point(input < 0 ? null : [-1, input]);
      net.style.cursor = name ? "pointer" : "";
      net.title = name ? this.weightTitle(name) : "";
    });
    net.addEventListener("pointerleave", () => this.point(null));
    surface.addEventListener("click", (event) => this.clickAt(...this.surface.toPoint(...place(event))));
    surface.addEventListener("keydown", (event) => this.moveCrosshair(event));
    surface.addEventListener("blur", () => {
      this.crosshair = null;
      this.showRun();
    });
    const redraw = () => {
      this.layout();
      this.drawThumbnails();
      this.showAll();
    };
    new ResizeObserver(redraw).observe(byId("picture"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    const wide = matchMedia("(min-width: 700px)"),
      open = () => document.querySelectorAll("details").forEach((details) => (details.open = wide.matches));
    wide.addEventListener("change", open);
    open();
  }

  weightTitle(name) {
    const [k, i, j] = name.slice(1).split(".").map(Number),
      sizes = layerSizes(this.state);
    return `weight ${shown(this.run.network.layers[k].weight[i * sizes[k + 1] + j])}: click for its equation`;
  }
}

const percent = (share) => (100 * share).toFixed(0);

function nearest(points, x1, x2) {
  const distances = points.map(([p1, p2]) => Math.hypot(p1 - x1, p2 - x2));
  return distances.indexOf(Math.min(...distances));
}

let playground; // for tests, and for the curious at the console

loadPlainnet(PLAINNET_WASM).then(
  (plainnet) => (playground = new App(plainnet)),
  (error) => {
    byId("problem").textContent =
      `The page does not work in this browser: ${error.message}. It needs WebAssembly with SIMD.`;
    byId("problem").hidden = false;
  },
);
