/**
 * Variants of kernels: what a kernel is compiled as. Those that tests of kernels run are noted, and compared with those
 * that plans ask for (coverage.ts).
 *
 * @module
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chooseReadPath, type Dispatch } from "../../src/kernels/dispatch.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { kernelSource } from "../../src/kernels/source.ts";

/** A kernel as it is compiled. */
export interface Variant {
  /** The kernel's name; of a product the core and the operation, joined by a colon. */
  readonly kernel: string;
  /** Its WGSL, or that of its part behind the colon, where it is no file of kernels/. */
  readonly text?: string | undefined;
  readonly path: ReadPath;
  /** The value of every override that the kernel has. */
  readonly overrides: Readonly<Record<string, number>>;
}

/** The overrides of a kernel with their defaults; all are booleans. */
export function overridesOf(kernel: string, text?: string): Readonly<Record<string, number>> {
  const declarations = kernelSource(kernel, text).matchAll(/^override (\w+): bool = (true|false);/gm);
  return Object.fromEntries([...declarations].map(([, name, value]) => [name, value === "true" ? 1 : 0]));
}

/** What a dispatch is compiled as on a device that reads by a path, or is made to. */
export function variantOf(dispatch: Dispatch, devicePath: ReadPath, forced?: ReadPath): Variant {
  const { kernel, text, constants } = dispatch;
  const path = dispatch.path ?? forced ?? chooseReadPath(dispatch, devicePath);
  return { kernel, text, path, overrides: { ...overridesOf(kernel, text), ...constants } };
}

/** A line for a variant, such as `layer/add_forward storage GATED=0 RELU=1`. */
export function formatVariant(
  { kernel, path, overrides }: Omit<Variant, "path" | "text"> & { readonly path: ReadPath | "any path" },
): string {
  const values = Object.entries(overrides).sort(([a], [b]) => a < b ? -1 : 1).map((pair) => pair.join("="));
  return [kernel, path, ...values].join(" ");
}

/** Reads what `formatVariant` made. */
export function parseVariant(line: string): Variant {
  const [kernel, path, ...values] = line.split(" ");
  const overrides = Object.fromEntries(values.map((pair) => pair.split("=")).map(([k, v]) => [k, Number(v)]));
  return { kernel, path: path as ReadPath, overrides };
}

/** The file that the processes of one `./winnow test` share; undefined where that did not start the tests. */
export function notesPath(): string | undefined {
  const run = Deno.env.get("WINNOW_TEST_RUN");
  return run === undefined ? undefined : join(tmpdir(), `winnow-kernels-${run}`);
}

const noted = new Set<string>();

/** Notes that a test runs dispatches to compare what they give with a reference. */
export function noteVariants(dispatches: readonly Dispatch[], forced: ReadPath): void {
  const path = notesPath();
  if (path === undefined) return;
  const lines = dispatches.map((dispatch) => formatVariant(variantOf(dispatch, forced, forced)))
    .filter((line) => !noted.has(line));
  if (lines.length === 0) return;
  for (const line of lines) noted.add(line);
  // A whole line at a time, since the files of tests run side by side.
  Deno.writeTextFileSync(path, lines.map((line) => `${line}\n`).join(""), { append: true });
}
