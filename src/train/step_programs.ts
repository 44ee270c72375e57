/**
 * The programs of a training step.
 *
 * @module
 */
import { Owner } from "../dispose.ts";
import type { Accumulation } from "../plan/optimizer.ts";
import type { Examples } from "../gpu/examples.ts";
import { checkBatchFits } from "../gpu/fitting.ts";
import type { Network } from "../gpu/network.ts";
import { type PlanProgram, preparePlan } from "../gpu/plan_program.ts";
import type { Tally } from "../gpu/tally.ts";
import { teacherLogits } from "../plan/distillation.ts";
import { type ComparingLoss, teacherFeatures } from "../plan/features.ts";
import { lowerPlan, lowerUpdatePlan } from "../plan/lower.ts";
import { mixShares } from "../plan/mixup.ts";
import type { Plan } from "../plan/plan.ts";
import { type Mixup, openMixup } from "./mixup.ts";
import type { TrainOptions } from "./phase.ts";
import { lowerTeacher, openTeacher, type Teacher } from "./teacher.ts";

/**
 * What follows the backward pass of a batch: only the sum of gradients (`gathering`), only the step's gradient
 * (`gradients`), the update (`plain`), or the update and the running mean (`averaging`).
 */
type StepKind = "gathering" | "gradients" | "plain" | "averaging";

/** The programs of a step, each one submit. */
export interface StepPrograms extends Disposable {
  /** For all batches of a step except the last. */
  readonly gathering: PlanProgram | undefined;
  /** For the last batch of a step, if its gradient is reduced before the update. */
  readonly gradients: PlanProgram | undefined;
  /** For the last batch of a step, without and with the running mean. After `gradients`: the update alone. */
  readonly plain: PlanProgram;
  readonly averaging: PlanProgram;
  /** Predicts each batch before its program runs. */
  readonly teacher: Teacher | undefined;
  /** Draws each batch's shares before its programs run. */
  readonly mixup: Mixup | undefined;
}

/** The images of a step, if its examples are images. */
export function makeImageOptions(
  examples: Examples,
  { augmentation = "none", cutout = 0 }: Pick<TrainOptions, "augmentation" | "cutout">,
) {
  return examples.areImages ? { images: { augmentation, cutout } } : {};
}

/** True if batches are mixed. */
export function isMixed({ mixup = 0 }: Pick<TrainOptions, "mixup">): boolean {
  return mixup > 0;
}

/** True if an example is the same in every epoch. */
export function repeatsExamples(options: Pick<TrainOptions, "augmentation" | "cutout" | "mixup">): boolean {
  const { augmentation = "none", cutout = 0 } = options;
  return augmentation === "none" && cutout === 0 && !isMixed(options);
}

/** What of the loss a teacher tells. */
export function readComparingLoss({ distillation, reconstruction }: ComparingLoss): ComparingLoss {
  return { distillation, reconstruction };
}

function makeAccumulation(
  { accumulate = 1 }: Pick<TrainOptions, "accumulate">,
  kind: StepKind,
): Accumulation {
  return { batches: accumulate, isLast: kind !== "gathering" };
}

/** Lowers a step. Its batch is that of the options, or all examples if there are fewer. */
function lowerStep(
  { graph, layout }: Network,
  examples: Examples,
  { kind, ...options }: Omit<TrainOptions, "slots"> & { readonly kind: StepKind },
): Plan {
  const batch = Math.min(options.batch, examples.count);
  return lowerPlan(graph, {
    ...options,
    ...makeImageOptions(examples, options),
    layout,
    batch,
    mode: "train",
    mixes: isMixed(options),
    averages: kind === "averaging",
    accumulation: makeAccumulation(options, kind),
    stopsAtGradients: kind === "gradients",
  });
}

/** The plans of `StepPrograms`, in the order in which they are prepared. */
export function lowerStepPlans(
  network: Network,
  examples: Examples,
  options: Omit<TrainOptions, "slots">,
): Readonly<Record<"plain" | "averaging", Plan>> & Readonly<Partial<Record<StepKind, Plan>>> {
  const { accumulate = 1, reduceGradients } = options;
  const step = (kind: StepKind) => lowerStep(network, examples, { ...options, kind });
  const update = (kind: StepKind) => {
    const accumulation = makeAccumulation(options, kind), averages = kind === "averaging";
    return lowerUpdatePlan(network.layout, { ...options, averages, accumulation });
  };
  const last = reduceGradients ? update : step;
  return {
    ...(accumulate > 1 ? { gathering: step("gathering") } : {}),
    ...(reduceGradients ? { gradients: step("gradients") } : {}),
    plain: last("plain"),
    averaging: last("averaging"),
  };
}

/** Lowers a step and its teacher's forward pass. */
export function lowerTraining(
  network: Network,
  examples: Examples,
  options: Omit<TrainOptions, "slots">,
): readonly Plan[] {
  const { teacher, batch, choose } = options;
  return [
    lowerStep(network, examples, { ...options, kind: "averaging" }),
    ...(teacher
      ? [lowerTeacher(teacher, {
        ...{ batch, choose, mixes: isMixed(options), ...makeImageOptions(examples, options) },
        loss: readComparingLoss(options),
      })]
      : []),
  ];
}

/**
 * Refuses a batch if the device cannot hold its step or the teacher's.
 *
 * @throws {ShapeError} Saying the largest that it can hold.
 */
export function checkStepFits(
  network: Network,
  examples: Examples,
  options: Omit<TrainOptions, "slots">,
): void {
  const lower = (batch: number) => lowerTraining(network, examples, { ...options, batch });
  checkBatchFits(network.gpu, Math.min(options.batch, examples.count), lower, "train with");
}

/**
 * Prepares the programs of a step.
 *
 * @throws {ShapeError} If the device cannot hold the batch, or the teacher does not fit.
 */
export async function prepareStep(
  network: Network,
  examples: Examples,
  options: TrainOptions & { readonly tally: Tally },
): Promise<StepPrograms> {
  const { slots, tally, choose, batch, mixup: alpha = 0 } = options;
  checkStepFits(network, examples, options);
  using stack = new Owner();
  const mixes = isMixed(options),
    mixup = mixes ? stack.use(openMixup(network.gpu, { alpha, batch })) : undefined;
  const seen = {
    examples,
    batch,
    choose,
    mixes,
    shares: mixup?.shares,
    ...makeImageOptions(examples, options),
  };
  const teacher = options.teacher &&
    stack.use(
      await openTeacher(options.teacher, {
        student: network.graph,
        loss: readComparingLoss(options),
        cacheBytes: repeatsExamples(options) ? options.teacherCacheBytes : 0,
        ...seen,
      }),
    );
  const own = new Map([
    ["tally", tally.buffer],
    ...(teacher ? [[teacherLogits, teacher.logits] as const] : []),
    ...(teacher?.features ?? []).map((buffer, map) => [teacherFeatures(map), buffer] as const),
    ...(mixup ? [[mixShares, mixup.shares] as const] : []),
  ]);
  const input = (name: string) => own.get(name) ?? examples.input(name);
  const prepare = async (plan: Plan) => stack.use(await preparePlan(plan, { network, slots, input }));
  const plans = lowerStepPlans(network, examples, options);
  const gathering = plans.gathering && await prepare(plans.gathering);
  const gradients = plans.gradients && await prepare(plans.gradients);
  const plain = await prepare(plans.plain), averaging = await prepare(plans.averaging);
  const owned = stack.move();
  return {
    gathering,
    gradients,
    plain,
    averaging,
    teacher,
    mixup,
    [Symbol.dispose]: () => owned[Symbol.dispose](),
  };
}
