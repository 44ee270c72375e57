/**
 * A teacher: a network that predicts the same batch before each step of its student.
 *
 * @module
 */
import { tensorRef } from "../kernels/buffer_ref.ts";
import { ShapeError } from "../errors.ts";
import type { DeviceBuffer } from "../gpu/buffer.ts";
import type { Examples } from "../gpu/examples.ts";
import { checkArenasFinite } from "../gpu/finite.ts";
import type { Network } from "../gpu/network.ts";
import { preparePlan } from "../gpu/plan_program.ts";
import { SlotPool } from "../gpu/slots.ts";
import { type Graph, resolveGraph } from "../model/graph.ts";
import { type ComparingLoss, findComparedLayers } from "../plan/features.ts";
import { type ForwardOptions, lowerForward } from "../plan/forward.ts";
import { mixShares } from "../plan/mixup.ts";
import { findLogits, type Plan } from "../plan/plan.ts";
import { countFeatures, shapeText } from "../shape.ts";
import { countCacheBytes, TeacherCache } from "./teacher_cache.ts";

/** A teacher that is ready for a student's steps. */
export interface Teacher extends Disposable {
  /** The logits of the last batch, in the order of its rows. */
  readonly logits: DeviceBuffer;
  /** The compared feature maps of the last batch, in order. */
  readonly features: readonly DeviceBuffer[];
  /** Predicts the selected batch. The seed gives its images the same augmentation as the student's. */
  run(rows: Uint32Array, seed: number): void;
}

/** Options of a teacher's plan. */
export interface TeacherOptions extends Omit<ForwardOptions, "probes" | "layout"> {
  /** The loss of the student, whose compared layers are kept too. */
  readonly loss: ComparingLoss;
}

/** The plan of a teacher, with the same images as its student's. */
export function lowerTeacher(
  { graph, layout }: Pick<Network, "graph" | "layout">,
  { batch, choose, images, mixes, loss }: TeacherOptions,
): Plan {
  const source = images ? { images: { ...images, inEvaluation: true } } : {};
  const probes = listComparedNames(graph, loss);
  return lowerForward(graph, { layout, batch, choose, mixes, probes, ...source });
}

/** The names of the layers whose outputs a student is compared by. */
export function listComparedNames(graph: Graph, loss: ComparingLoss): readonly string[] {
  return findComparedLayers(graph, loss).map((layer) => graph.layers[layer].name);
}

/**
 * Prepares a teacher for a student.
 *
 * @throws {ShapeError} If it takes other images or gives other logits than its student, or other features where those
 *   are compared.
 * @throws {NumericError} If a weight or a statistic of the teacher is not finite.
 */
export async function openTeacher(
  teacher: Network,
  { student, examples, shares, cacheBytes = 0, ...options }: TeacherOptions & {
    readonly student: Graph;
    readonly examples: Examples;
    /** The shares of the student's mixed images, with `mixes`. */
    readonly shares?: DeviceBuffer | undefined;
    /**
     * Most bytes for its outputs of all examples, which it then computes once; only where an example is the same each time.
     * Default: 0.
     */
    readonly cacheBytes?: number | undefined;
  },
): Promise<Teacher> {
  checkTeacherFits(teacher.graph, student);
  await checkArenasFinite(teacher, ["values", "statistics"], "learn from");
  checkFeaturesFit(teacher.graph, { student, loss: options.loss });
  // It has memory of its own, because the student's step must not overwrite the logits before reading them.
  const slots = new SlotPool(teacher.gpu);
  const plan = lowerTeacher(teacher, options);
  const input = (name: string) => name === mixShares ? shares : examples.input(name);
  const { program, bind } = await preparePlan(plan, { network: teacher, slots, input });
  const outputOf = (tensor: string) => ({
    buffer: bind(tensorRef(tensor)).buffer,
    quads: plan.tensors.get(tensor)!.quads / plan.batch,
  });
  const logits = outputOf(findLogits(plan));
  const features = listComparedNames(teacher.graph, options.loss)
    .map((name) => outputOf(plan.outputs.get(name)!));
  const outputs = [logits, ...features];
  const cache = countCacheBytes(outputs, { examples: examples.count, batch: plan.batch }) <= cacheBytes
    ? new TeacherCache(teacher.gpu, outputs, plan.batch)
    : undefined;
  return {
    logits: logits.buffer,
    features: features.map(({ buffer }) => buffer),
    run(rows, seed) {
      if (cache?.recall(rows)) return;
      if (!examples.areImages) examples.select(rows, bind);
      program.run({ seed });
      cache?.keep(rows);
    },
    [Symbol.dispose]() {
      cache?.[Symbol.dispose]();
      program[Symbol.dispose]();
      slots[Symbol.dispose]();
    },
  };
}

function checkTeacherFits(teacher: Graph, student: Graph): void {
  const sidesOf = (graph: Graph) => {
    const nodes = resolveGraph(graph);
    return `${shapeText(nodes[0].input)} to ${countFeatures(nodes[nodes.length - 1].output)} classes`;
  };
  const current = sidesOf(teacher), wanted = sidesOf(student);
  if (current === wanted) return;
  throw new ShapeError({ act: "learn from teacher", thing: teacher.name, current, wanted });
}

/** Features are compared number by number, so both networks must have the same shape of features. */
function checkFeaturesFit(
  teacher: Graph,
  { student, loss }: { readonly student: Graph; readonly loss: ComparingLoss },
): void {
  const refuse = (current: string, wanted: string) => {
    throw new ShapeError({ act: "learn features from teacher", thing: teacher.name, current, wanted });
  };
  const of = (graph: Graph) => {
    const nodes = resolveGraph(graph);
    return findComparedLayers(graph, loss, nodes).map((layer) => {
      const { spec: { name }, output } = nodes[layer];
      return { name, output };
    });
  };
  const taught = of(teacher), learned = of(student);
  if (taught.length !== learned.length) {
    refuse(`maps of ${taught.length} sizes`, `${learned.length} as ${student.name} has`);
  }
  const keys = ["channels", "height", "width", "taps"] as const;
  for (const [map, { name, output }] of taught.entries()) {
    const wanted = learned[map];
    if (keys.every((key) => output[key] === wanted.output[key])) continue;
    refuse(
      `layer ${name} gives ${shapeText(output)}`,
      `${shapeText(wanted.output)} as layer ${wanted.name} of ${student.name} does`,
    );
  }
}
