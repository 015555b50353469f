"use strict";
/*
 * NumPy's random numbers: numpyRandom(seed) gives those of numpy.random.default_rng(seed), bit by bit. The seed passes
 * through SeedSequence (O'Neill's seed_seq_fe, 2015) into PCG64 (PCG XSL RR 128/64, O'Neill 2014).
 */

/** Four 64-bit words from an integer of at least 0, as SeedSequence(seed).generate_state(4, uint64). */
function seedSequenceState(seed) {
  const entropy = [];
  for (let rest = BigInt(seed); rest > 0n || entropy.length === 0; rest >>= 32n) {
    entropy.push(Number(rest & 0xffffffffn));
  }
  let hashConstant = 0x43b0d7e5;
  const hash = (word) => {
    let value = (word ^ hashConstant) >>> 0;
    hashConstant = Math.imul(hashConstant, 0x931e8875) >>> 0;
    value = Math.imul(value, hashConstant) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mix = (x, y) => {
    const value = (Math.imul(x, 0xca01f9dd) - Math.imul(y, 0x4973f715)) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const pool = [0, 1, 2, 3].map((i) => hash(i < entropy.length ? entropy[i] : 0));
  for (let source = 0; source < 4; source++) {
    for (let target = 0; target < 4; target++) {
      if (source !== target) pool[target] = mix(pool[target], hash(pool[source]));
    }
  }
  for (let source = 4; source < entropy.length; source++) {
    for (let target = 0; target < 4; target++) pool[target] = mix(pool[target], hash(entropy[source]));
  }
  let outputConstant = 0x8b51f9dd;
  const words = [];
  for (let i = 0; i < 8; i++) {
    let value = (pool[i % 4] ^ outputConstant) >>> 0;
    outputConstant = Math.imul(outputConstant, 0x58f38ded) >>> 0;
    value = Math.imul(value, outputConstant) >>> 0;
    words.push(BigInt((value ^ (value >>> 16)) >>> 0));
  }
  return [0, 2, 4, 6].map((i) => words[i] | (words[i + 1] << 32n));
}

const PCG_MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const MASK_64 = (1n << 64n) - 1n;
const MASK_128 = (1n << 128n) - 1n;

class NumpyRandom {
  constructor(seed) {
    if (!(typeof seed === "bigint" ? seed >= 0n : Number.isSafeInteger(seed) && seed >= 0)) {
      throw new RangeError(`seed must be an integer of at least 0, not ${seed}`);
    }
    const [stateHigh, stateLow, streamHigh, streamLow] = seedSequenceState(seed);
    this.increment = (((streamHigh << 64n) | streamLow) << 1n | 1n) & MASK_128;
    this.state = ((this.increment + ((stateHigh << 64n) | stateLow)) * PCG_MULTIPLIER + this.increment) & MASK_128;
    this.spare = null; // the upper half of a number of which 32 bits were asked for
  }

  /** The next 64 bits, as a BigInt: integers(2**64, dtype=np.uint64). */
  next64() {
    this.state = (this.state * PCG_MULTIPLIER + this.increment) & MASK_128;
    const folded = (this.state >> 64n) ^ (this.state & MASK_64);
    const turn = this.state >> 122n;
    return ((folded >> turn) | (folded << (64n - turn))) & MASK_64;
  }

  next32() {
    if (this.spare !== null) {
      const half = this.spare;
      this.spare = null;
      return half;
    }
    const both = this.next64();
    this.spare = Number(both >> 32n);
    return Number(both & 0xffffffffn);
  }

  /** A number of [0, 1). */
  random() {
    return Number(this.next64() >> 11n) / 9007199254740992;
  }

  uniform(low, high) {
    return low + (high - low) * this.random();
  }

  /** An integer of [low, high), of at most 2**32 - 1 of them: Lemire's method (2019). */
  integers(low, high) {
    const n = high - low;
    if (!(Number.isSafeInteger(low) && Number.isSafeInteger(n) && n >= 1 && n < 2 ** 32)) {
      throw new RangeError(`integers needs whole numbers, low < high, and a range below 2**32, not ${low}, ${high}`);
    }
    if (n === 1) return low;
    const size = BigInt(n);
    let product = BigInt(this.next32()) * size;
    if ((product & 0xffffffffn) < size) {
      const threshold = (0x100000000n - size) % size;
      while ((product & 0xffffffffn) < threshold) product = BigInt(this.next32()) * size;
    }
    return low + Number(product >> 32n);
  }

  /** The numbers 0...n-1 in an order at random: permutation(n). */
  permutation(n) {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const mask = 2 ** (32 - Math.clz32(i)) - 1;
      let j;
      do j = (this.next32() & mask) >>> 0; while (j > i);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}

/** numpy.random.default_rng(seed); the seed is an integer of at least 0, as a number or a BigInt. */
function numpyRandom(seed) {
  return new NumpyRandom(seed);
}
