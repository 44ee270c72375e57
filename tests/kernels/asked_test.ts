/** Holds the list of what plans ask for against what kernels offer: no kernel and no override is there for nothing. */
import assert from "node:assert/strict";
import { kernelInterface, kernelLines, kernelNames } from "../../src/kernels/source.ts";
import { askedVariants } from "./asked.ts";
import { findUncompared } from "./uncompared.ts";
import { overridesOf, parseVariant } from "./variants.ts";

const asked = askedVariants();

/** Their kernels by name, each with its text where it is no file of kernels/. */
const kernels = new Map(asked.map(({ kernel, text }) => [kernel, text]));

Deno.test("plans ask for every kernel but one, alone or as a part of another", () => {
  const partsOf = ([name, text]: [string, string | undefined]) => [
    ...name.split(":"),
    ...kernelLines(name, text).map(({ file }) => file),
  ];
  const found = new Set([...kernels].flatMap(partsOf));
  const missing = kernelNames.filter((name) => !found.has(name));
  // A device is asked by it what it can do, before there are plans: gemm_subgroup_test.ts.
  assert.deepEqual(missing, ["gemm/software/subgroup_probe"]);
});

Deno.test("plans ask for both values of every override", () => {
  let overrides = 0;
  for (const [kernel, text] of kernels) {
    const variants = asked.filter((variant) => variant.kernel === kernel);
    // All overrides are booleans, so that the values can be counted.
    const names = kernelInterface(kernel, text).overrides;
    assert.deepEqual(Object.keys(overridesOf(kernel, text)), names, kernel);
    for (const name of names) {
      overrides++;
      const values = new Set(variants.map((variant) => variant.overrides[name]));
      assert.deepEqual([...values].sort(), [0, 1], `${kernel} ${name}`);
    }
  }
  assert(overrides > 100, `${overrides} overrides`);
});

Deno.test("findUncompared() finds kernels, read paths, values and combinations that no test compared", () => {
  const sum = (overrides: string) => parseVariant(`layer/add_forward storage ${overrides}`);
  const product = (core: string, path: string, overrides: string) =>
    parseVariant(`gemm/software/register_${core}:gemm/conv2d_backward_input ${path} ${overrides}`);
  const compared = [
    sum("GATED=0 RELU=0"),
    product("8x8", "storage", "GATED=0 HAS_ADDEND=1"),
    product("16x8", "texture", "GATED=1 HAS_ADDEND=0"),
  ];
  assert.deepEqual(findUncompared(compared, compared), []);
  assert.deepEqual(findUncompared([parseVariant("mask/apply storage")], compared), ["mask/apply storage"]);
  assert.deepEqual(findUncompared([sum("GATED=1 RELU=0")], compared), [
    "layer/add_forward any path GATED=1 RELU=0",
    "layer/add_forward storage GATED=1",
  ]);
  assert.deepEqual(findUncompared([product("8x8", "storage", "GATED=0 HAS_ADDEND=0")], compared), [
    "gemm/conv2d_backward_input any path GATED=0 HAS_ADDEND=0",
    "gemm/software/register_8x8:gemm/conv2d_backward_input storage HAS_ADDEND=0",
  ]);
  // The combination is known by another core.
  assert.deepEqual(findUncompared([product("8x8", "storage", "GATED=1 HAS_ADDEND=0")], compared), [
    "gemm/software/register_8x8:gemm/conv2d_backward_input storage GATED=1",
    "gemm/software/register_8x8:gemm/conv2d_backward_input storage HAS_ADDEND=0",
  ]);
});
