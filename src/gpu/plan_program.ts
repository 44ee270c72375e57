/**
 * Binds a plan to the memory that it runs in: slots for its tensors, a model's arenas, and other buffers by name.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import type { Plan } from "../plan/plan.ts";
import type { DeviceBuffer } from "./buffer.ts";
import { type BoundBuffer, Program } from "./executor.ts";
import { isArenaRole, type Network } from "./network.ts";
import type { SlotPool } from "./slots.ts";

/** A plan ready to run. */
export interface PlanProgram extends Disposable {
  readonly program: Program;
  /** The memory behind a name in the plan, for what the host writes or reads. */
  resolve(name: string): BoundBuffer;
}

/** Where a plan's buffers come from. */
export interface PlanMemory {
  readonly network: Network;
  readonly slots: SlotPool;
  /** Returns the buffer behind a name that is neither a tensor nor an arena. */
  readonly others: (name: string) => DeviceBuffer | undefined;
}

/**
 * Makes a plan ready to run.
 *
 * @throws {KernelError} Where a kernel does not compile or the plan names an unknown buffer.
 */
export async function preparePlan(plan: Plan, { network, slots, others }: PlanMemory): Promise<PlanProgram> {
  const buffers = slots.take(plan.slots);
  const resolve = (name: string): BoundBuffer => {
    const tensor = plan.tensors.get(name);
    if (tensor) return { buffer: buffers[tensor.slot], quads: tensor.quads };
    const buffer = isArenaRole(name) ? network.arena(name) : others(name);
    if (buffer) return { buffer, quads: buffer.sizeBytes / 16 };
    const wanted = "a tensor, an arena or a buffer of the step";
    throw new KernelError({ act: "bind plan", thing: plan.name, current: `unknown buffer ${name}`, wanted });
  };
  const program = await Program.create(network.gpu, plan.dispatches, { resolve });
  return { program, resolve, [Symbol.dispose]: () => program[Symbol.dispose]() };
}
