/* What is drawn: the network, the decision surface with the data, the loss curves, and small pictures of data sets. */
"use strict";

const NEURON_GRID = 24; // points along each side of a neuron's own surface
const OUTPUT_GRID = 50; // and of the network's

/** Colours from the style sheet, and a table of 256 colours from -1 (orange) by 0 to 1 (blue). */
function readTheme() {
  const style = getComputedStyle(document.documentElement),
    colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const theme = Object.fromEntries(
    ["negative", "neutral", "positive", "text", "muted", "panel", "outline", "focus"].map((name) => [
      name,
      colour(name),
    ]),
  );
  const [low, middle, high] = [theme.negative, theme.neutral, theme.positive].map((hex) =>
    [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)),
  );
  theme.table = new Uint32Array(256);
  const bytes = new Uint8ClampedArray(theme.table.buffer);
  for (let i = 0; i < 256; i++) {
    const t = (i - 127.5) / 127.5,
      end = t < 0 ? low : high;
    for (let c = 0; c < 3; c++) bytes[4 * i + c] = middle[c] + (end[c] - middle[c]) * Math.abs(t) ** 0.8;
    bytes[4 * i + 3] = 255;
  }
  theme.of = (t) => {
    const at = 4 * Math.max(0, Math.min(255, Math.round(127.5 + 127.5 * t)));
    return `rgb(${bytes[at]},${bytes[at + 1]},${bytes[at + 2]})`;
  };
  return theme;
}

/** The points of a square grid, row by row from above, as [x1, x2]. */
function gridPoints(size) {
  const at = (k) => EDGE * ((2 * k + 1) / size - 1);
  return Array.from({ length: size * size }, (_, i) => [at(i % size), -at(Math.floor(i / size))]);
}

/** Makes a canvas as fine as the screen; its context, scaled to pixels of the style sheet, and its size in these. */
function prepare(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2),
    w = Math.round(width * ratio),
    h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** What of a neuron's output is shown as -1 to 1. */
function scaleOf(state, layer) {
  if (layer === state.hidden.length) return DATA_SETS[state.data].isRegression ? (a) => a : (a) => 2 * a - 1;
  return state.activation === "sigmoid" ? (a) => 2 * a - 1 : (a) => a;
}

function fillPixels(pixels, table, values, offset, stride, n, scale) {
  for (let i = 0; i < n; i++) {
    const t = 127.5 + 127.5 * scale(values[offset + i * stride]);
    pixels[i] = table[t > 255 ? 255 : t > 0 ? t | 0 : 0];
  }
}

// ---- The network ----

class NetworkPicture {
  constructor(canvas) {
    this.canvas = canvas;
    this.atlas = document.createElement("canvas"); // the neurons' surfaces, one below the other
    this.grid = gridPoints(NEURON_GRID);
  }

  /** Where everything is, for a network of this state in a box of this width. */
  layout(state, width, theme) {
    const sizes = layerSizes(state),
      most = Math.max(...sizes),
      columns = sizes.length;
    Object.assign(this, { state, sizes, theme, width });
    this.size = Math.max(22, Math.min(44, (width / columns) * 0.56));
    this.top = 74; // room for the buttons above the columns
    const gap = Math.max(this.size + 14, Math.min(this.size * 1.45, 58)),
      margin = this.size / 2 + 6;
    this.height = this.top + most * gap + 6;
    this.x = sizes.map((_, k) => margin + ((width - 2 * margin) * k) / (columns - 1));
    this.y = sizes.map((n) =>
      Array.from({ length: n }, (_, j) => this.top + (most * gap) / 2 + (j - (n - 1) / 2) * gap),
    );
    this.context = prepare(this.canvas, width, this.height);
    this.canvas.style.height = `${this.height}px`;
    this.inputs = featureRows(this.grid, state.features);
    const n = sizes.reduce((sum, size) => sum + size, 0);
    this.atlas.width = NEURON_GRID;
    this.atlas.height = NEURON_GRID * n;
    this.image = this.atlas.getContext("2d").createImageData(NEURON_GRID, NEURON_GRID * n);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  paintSurfaces(run) {
    const n = NEURON_GRID * NEURON_GRID,
      forward = run.network.activations(this.inputs);
    let tile = 0;
    this.sizes.forEach((size, k) => {
      const values = k === 0 ? this.inputs : forward[k - 1].a,
        scale = k === 0 ? (a) => a : scaleOf(this.state, k - 1);
      for (let j = 0; j < size; j++, tile++)
        fillPixels(this.pixels.subarray(tile * n, (tile + 1) * n), this.theme.table, values, j, size, n, scale);
    });
    this.atlas.getContext("2d").putImageData(this.image, 0, 0);
  }

  /** The curve of a weight: its four control points. */
  curve(k, i, j) {
    const x0 = this.x[k] + this.size / 2,
      x3 = this.x[k + 1] - this.size / 2,
      middle = (x0 + x3) / 2;
    return [x0, this.y[k][i], middle, this.y[k][i], middle, this.y[k + 1][j], x3, this.y[k + 1][j]];
  }

  strokeWeight(k, i, j, width, style) {
    const [x0, y0, ...rest] = this.curve(k, i, j),
      context = this.context;
    context.beginPath();
    context.moveTo(x0, y0);
    context.bezierCurveTo(...rest);
    context.lineWidth = width;
    context.strokeStyle = style;
    context.stroke();
  }

  draw(run, selected) {
    const { context, theme, size } = this;
    this.paintSurfaces(run);
    context.clearRect(0, 0, this.width, this.height);
    run.network.layers.forEach(({ weight }, k) => {
      const nOut = this.sizes[k + 1];
      for (let i = 0; i < this.sizes[k]; i++) {
        for (let j = 0; j < nOut; j++) {
          const w = weight[i * nOut + j],
            width = Math.min(9, 0.6 + 2.2 * Math.abs(w));
          if (selected === `w${k}.${i}.${j}`) this.strokeWeight(k, i, j, width + 5, theme.focus);
          context.globalAlpha = Math.min(1, 0.35 + 0.5 * Math.abs(w));
          this.strokeWeight(k, i, j, width, w < 0 ? theme.negative : theme.positive);
          context.globalAlpha = 1;
        }
      }
    });
    let tile = 0;
    this.sizes.forEach((n, k) => {
      for (let j = 0; j < n; j++, tile++) {
        const left = this.x[k] - size / 2,
          top = this.y[k][j] - size / 2,
          isSelected = selected === `n${k - 1}.${j}`;
        context.fillStyle = isSelected ? theme.focus : theme.outline;
        const rim = isSelected ? 4 : 1.5;
        context.fillRect(left - rim, top - rim, size + 2 * rim, size + 2 * rim);
        context.drawImage(
          this.atlas,
          0.5,
          tile * NEURON_GRID + 0.5,
          NEURON_GRID - 1,
          NEURON_GRID - 1,
          left,
          top,
          size,
          size,
        );
        if (k > 0) this.drawBias(run.network.layers[k - 1].bias[j], left, top + size);
      }
    });
  }

  /** A small square at a neuron's corner. */
  drawBias(bias, left, bottom) {
    this.context.fillStyle = this.theme.outline;
    this.context.fillRect(left - 4, bottom - 6, 10, 10);
    this.context.fillStyle = this.theme.of(Math.max(-1, Math.min(1, bias)));
    this.context.fillRect(left - 3, bottom - 5, 8, 8);
  }

  /** The input whose picture is there, or -1. */
  inputAt(x, y) {
    return Math.abs(x - this.x[0]) > this.size / 2
      ? -1
      : this.y[0].findIndex((middle) => Math.abs(middle - y) <= this.size / 2);
  }

  /** The name of the weight whose curve is near, or null. */
  weightAt(x, y) {
    let best = null,
      least = 9;
    for (let k = 0; k + 1 < this.sizes.length; k++) {
      if (x < this.x[k] || x > this.x[k + 1]) continue;
      for (let i = 0; i < this.sizes[k]; i++) {
        for (let j = 0; j < this.sizes[k + 1]; j++) {
          const distance = distanceTo(this.curve(k, i, j), x, y);
          if (distance < least) [best, least] = [`w${k}.${i}.${j}`, distance];
        }
      }
    }
    return best;
  }
}

function distanceTo([x0, y0, x1, y1, x2, y2, x3, y3], x, y) {
  let least = Infinity;
  for (let s = 0; s <= 24; s++) {
    const t = s / 24,
      u = 1 - t;
    const px = u * u * u * x0 + 3 * u * u * t * x1 + 3 * u * t * t * x2 + t * t * t * x3;
    const py = u * u * u * y0 + 3 * u * u * t * y1 + 3 * u * t * t * y2 + t * t * t * y3;
    least = Math.min(least, Math.hypot(px - x, py - y));
  }
  return least;
}

// ---- The decision surface ----

class SurfacePicture {
  constructor(canvas) {
    this.canvas = canvas;
    this.small = document.createElement("canvas");
    this.small.width = this.small.height = OUTPUT_GRID;
    this.image = this.small.getContext("2d").createImageData(OUTPUT_GRID, OUTPUT_GRID);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.dots = document.createElement("canvas");
    this.grid = gridPoints(OUTPUT_GRID);
  }

  layout(run, width, theme) {
    Object.assign(this, { width, theme, state: run.state });
    this.context = prepare(this.canvas, width, width);
    this.canvas.style.height = `${width}px`;
    this.inputs = featureRows(this.grid, run.state.features);
    const context = prepare(this.dots, width, width);
    context.clearRect(0, 0, width, width);
    for (const point of run.train.points) this.drawDot(context, point, false);
    if (run.state.showTest) run.test.points.forEach((point) => this.drawDot(context, point, true));
  }

  toPixels = (x1, x2) => [((x1 / EDGE + 1) / 2) * this.width, ((1 - x2 / EDGE) / 2) * this.width];

  toPoint = (x, y) => [EDGE * ((2 * x) / this.width - 1), EDGE * (1 - (2 * y) / this.width)];

  /** Training rows are discs, test rows diamonds. */
  drawDot(context, [x1, x2, y], isTest) {
    const [x, top] = this.toPixels(x1, x2),
      r = isTest ? 5 : 3.8;
    context.beginPath();
    if (isTest) {
      context.moveTo(x - r, top);
      context.lineTo(x, top - r);
      context.lineTo(x + r, top);
      context.lineTo(x, top + r);
      context.closePath();
    } else {
      context.arc(x, top, r, 0, 7);
    }
    context.fillStyle = this.theme.of(
      DATA_SETS[this.state.data].isRegression ? Math.max(-1, Math.min(1, y)) : 2 * y - 1,
    );
    context.fill();
    context.lineWidth = 1.3;
    context.strokeStyle = this.theme.outline;
    context.stroke();
  }

  /** Fills the pixels with what neuron j of layer k says, or input j if k is -1. */
  fill(run, k, j) {
    const { state } = this,
      nOut = layerSizes(state)[k + 1],
      isOutput = k === state.hidden.length;
    const values =
      k < 0 ? this.inputs : isOutput ? run.network.predict(this.inputs) : run.network.activations(this.inputs)[k].a;
    const scale = k < 0 ? (a) => a : scaleOf(state, k),
      shade = state.discrete && isOutput ? (a) => (scale(a) < 0 ? -1 : 1) : scale;
    fillPixels(this.pixels, this.theme.table, values, j, nOut, OUTPUT_GRID * OUTPUT_GRID, shade);
  }

  /**
   * `batch` are the points of the next step, of which that of number `chosen` is marked; `crosshair` is where a key adds
   * a point, or null.
   */
  draw(run, [k, j], batch, chosen, crosshair) {
    this.fill(run, k, j);
    this.small.getContext("2d").putImageData(this.image, 0, 0);
    this.context.imageSmoothingEnabled = !this.state.discrete;
    this.context.drawImage(this.small, 0, 0, this.width, this.width);
    this.context.imageSmoothingEnabled = true;
    this.context.drawImage(this.dots, 0, 0, this.width, this.width);
    batch.forEach(([x1, x2], i) => this.ring(...this.toPixels(x1, x2), i === chosen ? 9 : 6, i === chosen ? 2.5 : 1));
    if (crosshair) {
      const [x, y] = this.toPixels(...crosshair);
      this.ring(x, y, 7, 2.5);
      this.context.fillStyle = this.theme.text;
      this.context.fillRect(x - 14, y - 0.75, 28, 1.5);
      this.context.fillRect(x - 0.75, y - 14, 1.5, 28);
    }
  }

  ring(x, y, radius, thickness) {
    for (const [width, style] of [
      [2 * thickness, this.theme.panel],
      [thickness, this.theme.text],
    ]) {
      this.context.beginPath();
      this.context.arc(x, y, radius, 0, 7);
      this.context.lineWidth = width;
      this.context.strokeStyle = style;
      this.context.stroke();
    }
  }
}

/** A small picture of a data set. */
function drawThumbnail(canvas, points, isRegression, theme) {
  const context = prepare(canvas, 44, 44);
  context.fillStyle = theme.neutral;
  context.fillRect(0, 0, 44, 44);
  for (const [x1, x2, y] of points) {
    context.fillStyle = theme.of(isRegression ? Math.max(-1, Math.min(1, y)) : 2 * y - 1);
    context.beginPath();
    context.arc(22 + (x1 / EDGE) * 22, 22 - (x2 / EDGE) * 22, points.length < 10 ? 3.5 : 1.6, 0, 7);
    context.fill();
  }
}

// ---- The loss curves ----

function drawCurves(canvas, run, width, height, theme) {
  const context = prepare(canvas, width, height),
    { now } = run;
  const points = [...run.curve, [now.epoch, now.train, now.test]],
    left = 34,
    bottom = height - 16,
    top = 6;
  const finite = points.flatMap(([, train, test]) => [train, test]).filter(Number.isFinite);
  const most = Math.max(1e-9, ...finite) * 1.02,
    last = Math.max(1, now.epoch);
  const x = (epoch) => left + ((width - left - 6) * epoch) / last,
    y = (loss) => bottom - ((bottom - top) * loss) / most;
  context.clearRect(0, 0, width, height);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = theme.muted;
  context.strokeStyle = theme.muted;
  context.lineWidth = 0.5;
  for (const share of [0, 0.5, 1]) {
    context.textAlign = "right";
    context.fillText(shortNumber(most * share), left - 4, y(most * share) + (share === 1 ? 8 : 3));
    context.strokeRect(left, y(most * share), width - left - 6, 0);
  }
  context.fillText(`epoch ${Math.floor(last)}`, width - 6, height - 3);
  for (const [column, style, dash] of [
    [2, theme.negative, [5, 3]],
    [1, theme.positive, []],
  ]) {
    context.beginPath();
    for (const point of points) {
      if (Number.isFinite(point[column])) context.lineTo(x(point[0]), y(point[column]));
    }
    context.setLineDash(dash);
    context.lineWidth = 2;
    context.strokeStyle = style;
    context.stroke();
  }
  context.setLineDash([]);
}

const shortNumber = (value) =>
  value === 0 ? "0" : value >= 0.01 && value < 1000 ? value.toPrecision(2).replace(/\.0$/, "") : value.toExponential(0);
