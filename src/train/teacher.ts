/**
 * A teacher: a network that predicts the same batch before each step of its student.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";
import type { DeviceBuffer } from "../gpu/buffer.ts";
import type { Examples } from "../gpu/examples.ts";
import type { Network } from "../gpu/network.ts";
import { preparePlan } from "../gpu/plan_program.ts";
import { SlotPool } from "../gpu/slots.ts";
import { type Graph, resolveGraph } from "../model/graph.ts";
import { type ForwardOptions, lowerForward } from "../plan/forward.ts";
import { mixShares } from "../plan/mixup.ts";
import { logitsOf } from "../plan/plan.ts";
import { featuresOf, shapeText } from "../shape.ts";

/** A teacher ready for a student's steps. */
export interface Teacher extends Disposable {
  /** The logits of the last batch, in the order of its rows. */
  readonly logits: DeviceBuffer;
  /** Predicts the batch that the examples were just told; its images are varied by the seed as the student's are. */
  run(rows: Uint32Array, seed: number): void;
}

/** The plan of a teacher, which sees images as its student does. */
export function lowerTeacher(graph: Graph, { batch, choose, images, mixes }: ForwardOptions) {
  const source = images ? { images: { ...images, inEvaluation: true } } : {};
  return lowerForward(graph, { batch, choose, mixes, ...source });
}

/**
 * Prepares a teacher for a student.
 *
 * @throws {ShapeError} Where it takes other images or gives other logits than its student.
 */
export async function openTeacher(
  teacher: Network,
  { student, examples, shares, ...options }: ForwardOptions & {
    readonly student: Graph;
    readonly examples: Examples;
    /** The shares by which the student's images are mixed, with `mixes`. */
    readonly shares?: DeviceBuffer | undefined;
  },
): Promise<Teacher> {
  checkTeacherFits(teacher.graph, student);
  // Memory of its own, since the student's step must not write over the logits before it has read them.
  const slots = new SlotPool(teacher.gpu);
  const plan = lowerTeacher(teacher.graph, options);
  const others = (name: string) => name === mixShares ? shares : examples.resolve(name);
  const { program, resolve } = await preparePlan(plan, { network: teacher, slots, others });
  return {
    logits: resolve(logitsOf(plan)).buffer,
    run(rows, seed) {
      if (!examples.areImages) examples.select(rows, resolve);
      program.run({ seed });
    },
    [Symbol.dispose]() {
      program[Symbol.dispose]();
      slots[Symbol.dispose]();
    },
  };
}

function checkTeacherFits(teacher: Graph, student: Graph): void {
  const sidesOf = (graph: Graph) => {
    const nodes = resolveGraph(graph);
    return `${shapeText(nodes[0].input)} to ${featuresOf(nodes[nodes.length - 1].output)} classes`;
  };
  const current = sidesOf(teacher), wanted = sidesOf(student);
  if (current === wanted) return;
  throw new ShapeError({ act: "learn from teacher", thing: teacher.name, current, wanted });
}
