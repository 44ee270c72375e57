/**
 * Runs the commands as `deno task` does, in a process of their own.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

/** What a command printed, and its exit code. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The lines of standard error that begin with `error: `. */
  readonly errors: readonly string[];
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The permissions that deno.json gives a task, so that a test notices where they are too few. */
async function permissionsOf(task: string): Promise<readonly string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  return tasks[task].command.match(/--(no-prompt|allow-\S+)/g).map((flag: string) =>
    flag.replaceAll("'", "")
  );
}

/** The commands that tests run. */
export type Task =
  | "compare"
  | "convert"
  | "data"
  | "report"
  | "evaluate"
  | "model"
  | "predict"
  | "prune"
  | "sensitivity"
  | "verify";

/** Where a command runs, and what its environment has beside that of the tests. */
export interface CommandPlace {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Flags of Deno that take permissions away. */
  readonly denied?: readonly string[];
}

async function commandOf(
  task: Task,
  args: readonly string[],
  { cwd, env = {}, denied = [] }: CommandPlace = {},
): Promise<Deno.Command> {
  const permissions = await permissionsOf(task);
  const command = [
    "run",
    ...permissions,
    ...denied,
    `--config=${root}deno.json`,
    `${root}src/cli/${task}.ts`,
    ...args,
  ];
  return new Deno.Command("deno", {
    args: command,
    env: { NO_COLOR: "1", ...env },
    ...(cwd === undefined ? {} : { cwd }),
    stdout: "piped",
    stderr: "piped",
  });
}

/** Starts a command of `deno task`, to be killed. */
export async function startTask(task: Task, args: readonly string[]): Promise<Deno.ChildProcess> {
  return (await commandOf(task, args)).spawn();
}

/** Runs a command of `deno task` with arguments. */
export async function runTask(
  task: Task,
  args: readonly string[],
  place: CommandPlace = {},
): Promise<CommandResult> {
  const output = await (await commandOf(task, args, place)).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  // Mesa says on standard error where it has no runtime folder, which is not ours.
  const errors = stderr.split("\n").filter((line) => /^error: (?!XDG_RUNTIME_DIR)/.test(line));
  return { code: output.code, stdout, stderr, errors };
}
