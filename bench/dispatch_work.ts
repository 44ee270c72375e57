/**
 * What the dispatches of a plan do on a GPU, read from the plan: how long the loops of a lane are, how often lanes wait, and how
 * many multiply-adds and bytes there are.
 *
 * @module
 */
import { assembleKernel } from "../src/kernels/assemble.ts";
import { withoutComments } from "../src/kernels/interface.ts";
import { type Dispatch, isProductKernel } from "../src/kernels/dispatch.ts";
import { coreTable } from "../src/kernels/core_table.ts";
import type { Plan } from "../src/plan/plan.ts";

/** The work of one dispatch. */
export interface DispatchWork {
  readonly workgroups: number;
  /** Invocations of a workgroup. */
  readonly lanes: number;
  /** Turns of a lane's loop, one after the other; in each the lane waits once for what it loads. */
  readonly turns: number;
  /** Times that a workgroup waits for its lanes, or that a lane reads what others left in workgroup memory. */
  readonly barriers: number;
  /** Instructions of a lane, all turns together. */
  readonly instructions: number;
  /** Multiply-adds of matrix products that the result needs; what a tile computes beyond its matrix is not counted. */
  readonly multiplyAdds: number;
  /** Bytes read and written, each operand once. */
  readonly bytes: number;
  /** Bytes that the lanes load, again and again where lanes share an operand. */
  readonly loadedBytes: number;
  /** Registers of a lane. */
  readonly registers: number;
  /** Bytes of workgroup memory. */
  readonly workgroupBytes: number;
}

/** The loops of a kernel that is no matrix product. */
interface Loops {
  readonly turns: number;
  readonly barriers?: number;
}

type ReadLoops = (params: Dispatch["params"], lanes: number) => Loops;

/** Lanes of the kernels of kernels/reduce, and rows whose loads wait together there. */
const sumLanes = 64, together = 4;

/** Barriers of a tree over the lanes of a workgroup. */
const treeBarriers = (lanes: number) => 1 + Math.log2(lanes);

/** Sums over rows: each lane has rows of its own, then the lanes of a column are added one by one in workgroup memory. */
const columns: ReadLoops = ({ rows_per_chunk, quads }) => {
  const depth = Math.floor(sumLanes / Math.min(quads!, sumLanes));
  return { turns: Math.ceil(rows_per_chunk! / depth / together), barriers: 1 + depth };
};
const byColumn: ReadLoops = ({ quads_total, stride }) => ({ turns: Math.ceil(quads_total / stride) });
/** The windows that a pixel lies in. */
const window: ReadLoops = ({ kernel_height, kernel_width, stride_y, stride_x, out_height, out_width }) => ({
  turns: Math.min(Math.ceil(kernel_height! / stride_y!), out_height!) *
    Math.min(Math.ceil(kernel_width! / stride_x!), out_width!),
});
const wholeWindow: ReadLoops = ({ kernel_height, kernel_width }) => ({
  turns: kernel_height! * kernel_width!,
});
/** All pixels of the windows that a pixel lies in. */
const windows: ReadLoops = (params, lanes) => ({
  turns: window(params, lanes).turns * wholeWindow(params, lanes).turns,
});
const classes = (passes: number): ReadLoops => ({ quads }) => ({ turns: passes * quads });
const grouped: ReadLoops = ({ kernel_height, kernel_width, group_in = 1, group_out = 1 }) => ({
  turns: kernel_height * kernel_width * Math.max(Math.ceil(group_in / 4), group_out),
});

/** The loops of kernels that have any, by stem or core. A kernel without an entry has one turn. */
const loopsOf: Readonly<Record<string, ReadLoops>> = {
  "layer/avgpool2d_backward": window,
  "layer/avgpool2d_forward": wholeWindow,
  "layer/batchnorm2d_backward": byColumn,
  "layer/batchnorm2d_forward": byColumn,
  "layer/grouped_conv2d_backward_input": grouped,
  "layer/grouped_conv2d_backward_weight": ({ rows_per_chunk }) => ({ turns: rows_per_chunk! }),
  "layer/grouped_conv2d_forward": grouped,
  "layer/maxpool2d_backward": windows,
  "layer/maxpool2d_backward_disjoint": wholeWindow,
  "layer/maxpool2d_forward": wholeWindow,
  "layer/multiply_backward_factor": ({ pixels }) => ({ turns: pixels }),
  "layer/normed_weight_backward": ({ row_quads }, lanes) => ({
    turns: 4 * Math.ceil(row_quads / lanes),
    barriers: treeBarriers(lanes),
  }),

  "loss/softmax_cross_entropy": classes(3),
  "loss/tally": ({ rows }, lanes) => ({ turns: Math.ceil(rows / lanes), barriers: treeBarriers(lanes) }),
  "optimizer/clip_norm": ({ chunks }, lanes) => ({ turns: chunks, barriers: treeBarriers(lanes) }),
  "reduce/batchnorm2d_backward": columns,
  "reduce/columns": columns,
  "reduce/lanes": ({ quads }) => ({ turns: Math.ceil(quads! / sumLanes), barriers: 1 + sumLanes }),
  "reduce/merge_moments": ({ chunks, lanes }) => ({
    turns: Math.ceil(chunks! / lanes!),
    barriers: 1 + lanes!,
  }),
  "reduce/moments": columns,
  "reduce/splits": ({ splits, lanes }) => ({
    turns: Math.ceil(splits! / lanes!),
    barriers: lanes! > 1 ? 1 + lanes! : 0,
  }),
};

/** Kernels whose loops are short and load nothing from turn to turn. */
const withoutTurns: readonly string[] = [
  "activation/forward",
  "activation/backward",
  "layer/maxpool2d_backward_argmax",
  "layer/shuffle_channels",
];

/** The stem of a kernel, without its operation. */
function coreOf(kernel: string): string {
  return kernel.split(":")[0]!;
}

/** True if it is known what loops a kernel has. */
export function knowsLoops(kernel: string): boolean {
  if (isProductKernel(kernel)) return Object.hasOwn(coreTable, coreOf(kernel));
  const core = coreOf(kernel);
  if (Object.hasOwn(loopsOf, core) || withoutTurns.includes(core)) return true;
  return !/\b(for|while|loop)\b/.test(withoutComments(assembleKernel(kernel, "storage").code));
}

/**
 * Registers of a lane and instructions, as Mesa's compiler for AMD's Navi 21 makes them (RADV_DEBUG=shaderstats,shaders): all
 * tiles of 64 x 64 take 112 to 128 registers, no other kernel of the presets' steps more than 56. In a tile's inner loop 64 of
 * 80 instructions multiply and add.
 */
const compiled = { tileRegisters: 128, registers: 56, multiplyAddShare: 0.8, perTurn: 30, once: 60 };

/** Bytes of workgroup memory that a kernel's WGSL declares. */
function readWorkgroupBytes(code: string): number {
  const bytes: Readonly<Record<string, number>> = { vec4f: 16, f32: 4, u32: 4, vec4u: 16 };
  return [...code.matchAll(/var<workgroup>\s+\w+\s*:\s*array<(\w+),\s*(\d+)u?>/g)]
    .reduce((sum, [, type, count]) => sum + (bytes[type!] ?? 4) * Number(count), 0);
}

/** Bytes of what a dispatch reads and writes, each once, however many bindings show it. */
function countBytes({ bindings, params }: Dispatch, code: string, { tensors }: Plan): number {
  const counted = new Set<string>();
  let bytes = 0;
  for (const [name, ref] of Object.entries(bindings)) {
    const quads = "tensor" in ref ? tensors.get(ref.tensor)?.quads ?? 0 : params.quads ?? 0;
    for (const verb of ["read", "write"]) {
      const key = `${verb} ${JSON.stringify(ref)}`;
      const isUsed = new RegExp(`(?<!fn )\\b${verb}_${name}\\(`).test(code);
      if (!isUsed || counted.has(key)) continue;
      counted.add(key);
      bytes += 16 * quads;
    }
  }
  return bytes;
}

/** What a dispatch of a plan does, read from its parameters and its WGSL on the storage path. */
export function readWork(dispatch: Dispatch, plan: Plan): DispatchWork {
  const { kernel, params, text } = dispatch;
  const { code: withComments, interface: { workgroupSize } } = assembleKernel(kernel, "storage", text);
  const code = withoutComments(withComments);
  const [x, y, z] = dispatch.workgroups, lanes = workgroupSize[0] * workgroupSize[1] * workgroupSize[2];
  const workgroups = x * y * z, bytes = countBytes(dispatch, code, plan);
  const common = { workgroups, lanes, bytes, workgroupBytes: readWorkgroupBytes(code) };
  if (isProductKernel(kernel)) {
    const { rows, columns, segments, inner, segments_per_split } = params;
    const { ROWS, COLUMNS, DEPTH = 1 } = coreTable[coreOf(kernel)]!.sizes;
    const turns = Math.ceil(segments_per_split! * inner! / DEPTH!);
    const ofTurn = ROWS! * COLUMNS! * 4 * DEPTH! / lanes;
    return {
      ...common,
      turns,
      barriers: 2 * turns,
      instructions: compiled.once + turns * ofTurn / compiled.multiplyAddShare,
      multiplyAdds: rows! * columns! * segments! * inner! * 4,
      loadedBytes: workgroups * turns * (ROWS! + COLUMNS!) * 16 * DEPTH!,
      registers: compiled.tileRegisters,
    };
  }
  const { turns, barriers = 0 } = loopsOf[coreOf(kernel)]?.(params, lanes) ?? { turns: 1 };
  const instructions = compiled.once + turns * compiled.perTurn;
  return {
    ...common,
    turns,
    barriers,
    instructions,
    multiplyAdds: 0,
    loadedBytes: bytes,
    registers: compiled.registers,
  };
}
