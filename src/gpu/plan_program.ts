/**
 * Binds a plan to memory: slots for its tensors, a model's arenas, and inputs by name.
 *
 * @module
 */
import type { Plan } from "../plan/plan.ts";
import { type Bind, bindBuffers } from "./bind.ts";
import type { DeviceBuffer } from "./buffer.ts";
import { Program } from "./executor.ts";
import type { Network } from "./network.ts";
import type { SlotPool } from "./slots.ts";

/** A plan ready to run. */
export interface PlanProgram extends Disposable {
  readonly program: Program;
  /** Finds the memory behind a reference in the plan, for host reads and writes. */
  readonly bind: Bind;
}

/** The sources of a plan's buffers. */
export interface PlanMemory {
  readonly network: Network;
  readonly slots: SlotPool;
  /** Returns the buffer behind the name of an input, or undefined if there is none. */
  readonly input: (name: string) => DeviceBuffer | undefined;
}

/**
 * Makes a plan ready to run.
 *
 * @throws {KernelError} If a kernel does not compile or the plan names an unknown buffer.
 */
export async function preparePlan(plan: Plan, { network, slots, input }: PlanMemory): Promise<PlanProgram> {
  const buffers = slots.take(plan.slots);
  const tensor = (name: string) => {
    const found = plan.tensors.get(name);
    return found && { buffer: buffers[found.slot], quads: found.quads };
  };
  const bind = bindBuffers(`plan ${plan.name}`, { tensor, network, input });
  const program = await Program.create(network.gpu, plan.dispatches, { bind });
  return { program, bind, [Symbol.dispose]: () => program[Symbol.dispose]() };
}
