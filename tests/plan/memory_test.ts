import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../src/errors.ts";
import { inputRef, tensorRef } from "../../src/kernels/buffer_ref.ts";
import { assignSlots, type Lifetime } from "../../src/plan/memory.ts";
import { describePlan, PlanBuilder } from "../../src/plan/plan.ts";
import { openRandomStream } from "../../src/random.ts";

Deno.test("assignSlots() gives the memory of what is over to what comes", () => {
  const { slots, slotOf } = assignSlots([
    { name: "a", quads: 10, first: 0, last: 1 },
    { name: "b", quads: 8, first: 1, last: 2 },
    { name: "c", quads: 9, first: 2, last: 3 },
    { name: "d", quads: 1, first: 3, last: 4 },
  ]);
  assertEquals(slots, [10, 8]);
  assertEquals(Object.fromEntries(slotOf), { a: 0, c: 0, b: 1, d: 1 });
});

Deno.test("assignSlots() has nothing to do without tensors", () => {
  assertEquals(assignSlots([]), { slots: [], slotOf: new Map() });
});

Deno.test("assignSlots() never lets live tensors overlap, and never needs more than all of them", () => {
  const stream = openRandomStream(5, "lifetimes");
  const draw = (below: number) => Math.floor(stream.nextUniform() * below);
  for (let round = 0; round < 200; round++) {
    const steps = 1 + draw(30);
    const lifetimes = Array.from({ length: 1 + draw(40) }, (_, i): Lifetime => {
      const first = draw(steps);
      return { name: `tensor ${i}`, quads: 1 + draw(1000), first, last: first + draw(steps - first) };
    });
    const { slots, slotOf } = assignSlots(lifetimes);
    assertEquals(slotOf.size, lifetimes.length);
    for (const [i, a] of lifetimes.entries()) {
      assert(slots[slotOf.get(a.name)!] >= a.quads, "a slot holds its tensors");
      for (const b of lifetimes.slice(i + 1)) {
        const overlap = a.first <= b.last && b.first <= a.last;
        assert(!overlap || slotOf.get(a.name) !== slotOf.get(b.name), `${a.name} and ${b.name}`);
      }
    }
    const total = (sizes: readonly number[]) => sizes.reduce((sum, size) => sum + size, 0);
    assert(total(slots) <= total(lifetimes.map(({ quads }) => quads)));
    // No assignment needs less than what is alive at once.
    const alive = (step: number) =>
      total(lifetimes.filter(({ first, last }) => first <= step && step <= last).map(({ quads }) => quads));
    assert(total(slots) >= Math.max(...Array.from({ length: steps }, (_, step) => alive(step))));
  }
});

Deno.test("PlanBuilder.keep() keeps a tensor's memory to itself", () => {
  const build = (kept: readonly string[]) => {
    const builder = new PlanBuilder();
    for (const name of ["a", "b", "c"]) builder.declare(name, 4);
    builder.declare("a", 2);
    builder.declare("unused", 100);
    const dispatch = { kernel: "layer/relu_forward", label: "relu", params: { quads: 4 }, constants: {} };
    for (const [x, y] of [["a", "b"], ["b", "c"], ["c", undefined]] as const) {
      const bindings = { x: tensorRef(x), y: y === undefined ? inputRef("out") : tensorRef(y) };
      builder.emit({ ...dispatch, bindings, workgroups: [1, 1, 1] });
    }
    for (const name of kept) builder.keep(name);
    return builder.build("test", 3);
  };
  assertEquals(build([]).slots, [4, 4]);
  assertEquals(build(["a"]).slots, [4, 4, 4]);
  assertEquals(build([]).tensors.has("out"), false);
  assert(Object.isFrozen(build([])));
  assertEquals(
    describePlan(build([])).split("\n").slice(0, 2),
    ["plan test, batch 3", "relu: layer/relu_forward [1 1 1] x=a@0 y=b@1"],
  );
});

Deno.test("PlanBuilder.build() names a tensor that was not declared", () => {
  const builder = new PlanBuilder();
  builder.declare("x", 1);
  builder.emit({
    kernel: "layer/relu_forward",
    label: "relu",
    bindings: { x: tensorRef("x"), y: tensorRef("y") },
    params: { quads: 1 },
    constants: {},
    workgroups: [1, 1, 1],
  });
  assertThrows(() => builder.build("test", 1), KernelError, 'Cannot plan "test": relu names tensor y');
});
