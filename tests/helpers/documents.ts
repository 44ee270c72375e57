/**
 * The pages of the documentation and the examples in docstrings, taken apart for tests.
 *
 * @module
 */
import { posix } from "node:path";

/** A page of the documentation, or a source file. */
export interface Page {
  /** Its path from the repository's folder. */
  readonly path: string;
  readonly text: string;
}

/** A block of code of a page. */
export interface CodeBlock {
  /** Where it begins, as `path:line`. */
  readonly at: string;
  /** What stands behind its fence, such as `sh`; `indented` where a block has no fence. */
  readonly kind: string;
  readonly code: string;
}

const root = new URL("../..", import.meta.url);

/** Paths below a folder with an ending. */
function list(folder: string, ending: string): string[] {
  return [...Deno.readDirSync(new URL(folder, root))].flatMap(({ name, isDirectory }) => {
    const path = posix.join(folder, name);
    return isDirectory ? list(`${path}/`, ending) : path.endsWith(ending) ? [path] : [];
  }).sort();
}

const read = (path: string): Page => ({ path, text: Deno.readTextFileSync(new URL(path, root)) });

/** All pages of the documentation. */
export function readPages(): readonly Page[] {
  return ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...list("docs/", ".md")].map(read);
}

/** All files whose docstrings are documentation. */
export function readSources(): readonly Page[] {
  return ["mod.ts", ...list("src/", ".ts")].map(read);
}

/** The blocks of code of a page, those without a fence too. */
export function codeBlocks({ path, text }: Page): readonly CodeBlock[] {
  const blocks: CodeBlock[] = [], lines = text.split("\n");
  let open: { readonly line: number; readonly kind: string } | undefined;
  lines.forEach((line, i) => {
    const fence = /^\s*```(.*)$/.exec(line);
    if (fence && open) {
      const code = lines.slice(open.line + 1, i).join("\n");
      blocks.push({ at: `${path}:${open.line + 1}`, kind: open.kind, code: `${code}\n` });
      open = undefined;
    } else if (fence) open = { line: i, kind: fence[1]!.trim() };
    else if (!open && /^ {4}\S/.test(line) && lines[i - 1]?.trim() === "") {
      blocks.push({ at: `${path}:${i + 1}`, kind: "indented", code: line });
    }
  });
  if (open) throw new Error(`${path}:${open.line + 1}: the fence is not closed`);
  return blocks;
}

/** The blocks of code in the docstrings of a source file. */
export function docstringBlocks({ path, text }: Page): readonly CodeBlock[] {
  // Lines stay where they are, so that a block is found by its line.
  const lines = text.split("\n").map((line) => /^\s*\* ?(.*)$/.exec(line)?.[1] ?? "");
  return codeBlocks({ path, text: lines.join("\n") }).filter(({ kind }) => kind !== "indented");
}

/** The page without its blocks of code: what remains is prose, on the same lines. */
export function proseOf({ text }: Page): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, (block) => block.replaceAll(/[^\n]/g, ""));
}

/** Code in a line of prose. */
export function inlineCode(page: Page): readonly { readonly at: string; readonly code: string }[] {
  return [...proseOf(page).matchAll(/`([^`]+)`/g)].map((match) => {
    const line = page.text.slice(0, match.index).split("\n").length;
    return { at: `${page.path}:${line}`, code: match[1]!.replaceAll(/\s*\n\s*/g, " ") };
  });
}

/**
 * The commands of a block of shell lines, as words. Comments and the file that output goes to are left out; of quotes only
 * those around a whole word are known.
 */
export function shellCommands(code: string): readonly (readonly string[])[] {
  return code.replaceAll(/\\\n/g, " ").split("\n").map((line) => {
    const words = [...line.matchAll(/'([^']*)'|"([^"]*)"|(#).*|[^\s'"]+/g)]
      .filter((match) => match[3] === undefined)
      .map((match) => match[1] ?? match[2] ?? match[0]);
    const redirect = words.indexOf(">");
    return redirect < 0 ? words : words.slice(0, redirect);
  }).filter((words) => words.length > 0);
}
